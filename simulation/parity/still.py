"""What takes no time: the bus, the calls and the database, and a loop that lets them finish first.

Between two things that happen outside everything inside comes to rest, in whatever order the
processes take their turns.
"""

import heapq
import random
from collections.abc import Callable
from typing import Any, Protocol

from simulation.database import Database
from simulation.loop import SimulationLoop
from simulation.network import Network, Wire
from simulation.plan import Link


class Due(Protocol):
    """Where the next thing comes from that happens outside."""

    def due_ns(self) -> int | None:
        """When, in nanoseconds since the loop was made; None for never."""
        ...

    def act(self) -> None:
        """Let it happen."""
        ...


class RestingLoop(SimulationLoop):
    """A loop in which what is outside waits for everything inside that is due by then.

    Args:
        chance: Decides between processes.
    """

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.outside: Due | None = None

    def _jump(self) -> None:
        timers = self._timers
        while timers and timers[0][2].callback is None:
            heapq.heappop(timers)
        due_ns = self.outside.due_ns() if self.outside is not None else None
        if due_ns is None or (timers and round(timers[0][0] * 1e9) <= due_ns):
            super()._jump()
            return
        assert self.outside is not None
        self.now_s = max(self.now_s, due_ns / 1e9)
        self.world.soon(self.outside.act)


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
