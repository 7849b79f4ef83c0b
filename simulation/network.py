"""What lies between the processes: messages take their time, and go astray as the faults say.

A `Wire` is one direction of one connection. What goes over it arrives in its order, as over TCP;
over different wires everything overtakes everything.
"""

import random
from collections.abc import Callable
from typing import Any, Final

from simulation.loop import SimulationLoop
from simulation.plan import Fault, FaultKind, Link

DELAY_MIN_S: Final = 0.0001
DELAY_MEAN_S: Final = {
    Link.BUS: 0.0004,
    Link.CALLS: 0.0008,
    Link.ORDERS: 0.006,
    Link.LOOK_UPS: 0.008,
    Link.STREAM: 0.005,
}
"""How long a message takes, beyond the least; exponential, so that now and then it is much."""
DELAY_MAX_S: Final = 0.25


class Network:
    """Decides what becomes of each message.

    Args:
        loop: Carries the messages.
        chance: Where delays and losses come from.
    """

    def __init__(self, loop: SimulationLoop, chance: random.Random) -> None:
        self._loop = loop
        self._chance = chance
        self._random = chance.random
        self._rates = {link: 1 / mean for link, mean in DELAY_MEAN_S.items()}
        self._faults: dict[tuple[FaultKind, Link], list[Fault]] = {}
        self.under_way = 0
        """Messages that will arrive."""

    def begin(self, fault: Fault) -> None:
        """From now on a fault is in force."""
        assert fault.link is not None
        self._faults.setdefault((fault.kind, fault.link), []).append(fault)

    def end(self, fault: Fault) -> None:
        """A fault is over."""
        assert fault.link is not None
        key = (fault.kind, fault.link)
        self._faults[key].remove(fault)
        if not self._faults[key]:
            del self._faults[key]

    @property
    def now_s(self) -> float:
        """The loop's time."""
        return self._loop.now_s

    def delay_s(self, link: Link) -> float:
        """How long a message takes, if nothing is wrong but delays."""
        delay = DELAY_MIN_S + min(self._chance.expovariate(self._rates[link]), DELAY_MAX_S)
        if self._faults:
            for fault in self._faults.get((FaultKind.DELAY, link), ()):
                if self._random() < fault.chance:
                    delay += self._random() * fault.value / 1000
        return delay

    def happens(self, kind: FaultKind, link: Link) -> bool:
        """Whether a fault strikes this message."""
        if not self._faults:
            return False
        return any(self._random() < f.chance for f in self._faults.get((kind, link), ()))

    def send(self, link: Link, arrive: Callable[..., object], *args: Any) -> None:
        """Carry a message that belongs to no connection; it may be lost, late, or come twice."""
        if self.happens(FaultKind.LOSE, link):
            return
        self.arrive_at(self._loop.now_s + self.delay_s(link), arrive, args)
        if self.happens(FaultKind.REPEAT, link):
            self.arrive_at(self._loop.now_s + self.delay_s(link), arrive, args)

    def wire(self, link: Link) -> "Wire":
        """One direction of a new connection."""
        return Wire(self, link)

    def arrive_at(self, when: float, arrive: Callable[..., object], args: tuple[Any, ...]) -> None:
        """Carry a message for certain, to be there at a time."""
        self.under_way += 1
        self._loop.call_at(when, self._arrived, arrive, args, context=self._loop.world.context)

    def _arrived(self, arrive: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.under_way -= 1
        arrive(*args)


class Wire:
    """One direction of one connection."""

    __slots__ = ("_free_s", "_link", "_network", "cut")

    def __init__(self, network: Network, link: Link) -> None:
        self._network = network
        self._link = link
        self._free_s = 0.0
        self.cut = False
        """Set when the connection is lost: what is on the wire never arrives."""

    def send(self, arrive: Callable[..., object], *args: Any) -> None:
        """Carry a message behind those before it; it may be lost, late, or come twice."""
        network = self._network
        if self.cut or network.happens(FaultKind.LOSE, self._link):
            return
        self._put(arrive, args)
        if network.happens(FaultKind.REPEAT, self._link):
            self._put(arrive, args)

    def _put(self, arrive: Callable[..., object], args: tuple[Any, ...]) -> None:
        network = self._network
        when = network.now_s + network.delay_s(self._link)
        self._free_s = max(self._free_s + 1e-9, when)
        network.arrive_at(self._free_s, self._arrived, (arrive, args))

    def _arrived(self, arrive: Callable[..., object], args: tuple[Any, ...]) -> None:
        if not self.cut:
            arrive(*args)
