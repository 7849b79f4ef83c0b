"""Tests in which processes die: each on a loop of its own, whose dead are collected with it."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

from simulation.loop import Process, SimulationLoop
from simulation.quiet import quiet


def alone(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test's coroutine on a loop of its own."""

    def run() -> None:
        with quiet(1):
            loop = SimulationLoop(random.Random(1))
            try:
                loop.run_until_complete(test())
            finally:
                loop.close()

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def the_loop() -> SimulationLoop:
    """The loop that runs."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulationLoop)
    return loop


def process(name: str = "p") -> Process:
    """A process on it."""
    return Process(the_loop(), name)
