"""What takes no time: the bus, the calls and the database, and a loop that lets them finish first.

Between two things that happen outside everything inside comes to rest, in whatever order the
processes take their turns.
"""

import random
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, Protocol

from opensqt.testing.virtual_time import NothingScheduledError
from simulation.database import Database
from simulation.loop import PROCESS, SimulationLoop, Step
from simulation.network import Network, Wire
from simulation.plan import Link


class Clock(Protocol):
    """What happens outside, in its order, the processes' own alarms among it."""

    def due_ns(self) -> int | None:
        """When the next thing happens, in nanoseconds since the loop was made; None for never."""
        ...

    def act(self) -> None:
        """Let it happen."""
        ...

    def set_alarm(self, due_ns: int, step: Step) -> None:
        """Let a process take a step at a time."""
        ...


class RestingLoop(SimulationLoop):
    """A loop whose time moves on once every process rests, and only to the next thing outside.

    Args:
        chance: Decides between processes.
    """

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.clock: Clock | None = None

    def call_at(  # type: ignore[override]  # as in the loop of the simulation
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Step:
        """Take a step at a time; at once, if that has come."""
        if when <= self.now_s:
            return self.call_soon(callback, *args, context=context)
        assert self.clock is not None
        if context is None:
            context = copy_context()
        step = Step(callback, args, context, context.get(PROCESS, self.world), when)
        self.clock.set_alarm(round(when * 1e9), step)
        return step

    def _jump(self) -> None:
        due_ns = self.clock.due_ns() if self.clock is not None else None
        if due_ns is None:
            raise NothingScheduledError("every task waits, and nothing will happen")
        assert self.clock is not None
        self.now_s = max(self.now_s, due_ns / 1e9)
        self.world.soon(self.clock.act)


class StillNetwork(Network):
    """Carries everything at once, and in its order.

    Args:
        loop: Carries the messages.
        chance: Nothing is drawn from it.
        stream: Carries what the exchange's account stream tells.
    """

    def __init__(
        self, loop: SimulationLoop, chance: random.Random, stream: Callable[[], Wire]
    ) -> None:
        super().__init__(loop, chance)
        self._stream = stream

    def delay_s(self, link: Link) -> float:
        """None."""
        del link
        return 0.0

    def wire(self, link: Link) -> Wire:
        """One direction of a new connection."""
        return self._stream() if link is Link.STREAM else _StillWire(self, link)


class _StillWire(Wire):
    """What goes over it arrives in its order and at the same time: the loop keeps that order."""

    def send(self, arrive: Callable[..., object], *args: Any) -> None:
        network = self._network
        network.arrive_at(network.now_s, self._arrived, (arrive, args))


class StillDatabase(Database):
    """Answers at once."""

    def _trip_s(self) -> float:
        return 0.0
