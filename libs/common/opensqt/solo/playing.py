"""Plays the markets of several bots in the order of their times, as fast as was asked for."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from opensqt.solo.run import SoloRun

BURST_MAX: Final = 200
"""Ticks played before signals get their turn."""


async def play(
    runs: Sequence[SoloRun],
    *,
    speed: float | None,
    stop: asyncio.Event,
    look: Callable[[], None] = lambda: None,
) -> None:
    """Play until every recording ends, or somebody wants it to stop.

    Args:
        runs: Each of them has begun; the one that is behind plays first.
        speed: Market time per time; None: as fast as it goes.
        stop: Set by whoever wants that.
        look: Is called now and then.
    """
    began_s, began_ns, burst = time.monotonic(), _first(runs), 0
    while not stop.is_set() and (found := _next(runs)) is not None:
        run, next_ns = found
        wait_s = 0.0
        if speed is not None:
            wait_s = began_s + (next_ns - began_ns) / 1e9 / speed - time.monotonic()
        burst += 1
        if wait_s > 0 or burst > BURST_MAX:
            burst = 0
            look()
            await _wait(stop, min(max(wait_s, 0.0), 1.0))
            continue
        await run.step()


def _first(runs: Sequence[SoloRun]) -> int:
    return min(run.market.now_ns() for run in runs)


def _next(runs: Sequence[SoloRun]) -> tuple[SoloRun, int] | None:
    """Whose market goes on next, and when; None when all have ended."""
    coming = [(next_ns, n) for n, run in enumerate(runs) if (next_ns := run.market.next_ns())]
    if not coming:
        return None
    next_ns, number = min(coming)
    return runs[number], next_ns


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    if not seconds:
        await asyncio.sleep(0)
        return
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
