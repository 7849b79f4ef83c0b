"""Runs with one fault each, and what is seen of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from opensqt.core.orders import Order
from simulation.observer import WorldView
from simulation.plan import Fault, Plan
from simulation.trace import Entry, Trace
from simulation.world import run

LENGTH_MS: Final = 12_000


@dataclass
class Watcher:
    """Implements `Observer`: keeps what it is told, by the time at which it is told."""

    world: WorldView | None = None
    seen: list[tuple[float, str, Any]] = field(default_factory=list)

    def began(self, world: WorldView) -> None:
        self.world = world

    def committed(self, before: Any, after: Any, change: Any) -> None:
        self.seen.append((change.commit_time_ns, "committed", (before, after, change)))

    def at_rest(self) -> None:
        self.seen.append((0.0, "at rest", None))

    def __getattr__(self, name: str) -> Callable[..., None]:
        def told(*what: Any, time_ns: int) -> None:
            self.seen.append((time_ns / 1e9, name, what))

        return told


@dataclass
class Story:
    """What happened."""

    trace: Trace
    watcher: Watcher

    def notes(self, who: str, what: str = "") -> list[float]:
        """When something was noted, in seconds."""
        return [
            entry.time_ns / 1e9
            for entry in self.trace.entries
            if entry.who == who and what in entry.what
        ]

    def entries(self, who: str, what: str = "") -> list[Entry]:
        return [e for e in self.trace.entries if e.who == who and what in e.what]

    def told(self, name: str, from_s: float = 0, to_s: float = 1e9) -> list[Any]:
        """What the observer was told between two times."""
        return [
            what for at_s, kind, what in self.watcher.seen if kind == name and from_s < at_s < to_s
        ]

    def within(self, who: str, what: str, from_s: float, to_s: float) -> int:
        """How often something was noted between two times."""
        return sum(from_s < at_s < to_s for at_s in self.notes(who, what))

    @property
    def sent(self) -> dict[str, float]:
        """When each order was sent."""
        sent: dict[str, float] = {}
        for at_s, kind, what in self.watcher.seen:
            if kind == "sent":
                order: Order = what[0]
                sent[order.client_oid] = at_s
        return sent

    def openings(self, from_s: float, to_s: float) -> list[str]:
        """Orders that open a position, sent between two times."""
        return [oid for oid, at_s in self.sent.items() if oid[1] in "bs" and from_s < at_s < to_s]

    @property
    def accepted(self) -> dict[str, float]:
        """When each order was accepted."""
        return {
            what[0].client_order_id: at_s
            for at_s, kind, what in self.watcher.seen
            if kind == "accepted"
        }

    @property
    def ledger_statuses(self) -> set[str]:
        """Every status that an order ever had in the ledger."""
        return {order.status for _, _, c in self.told("committed", 0, 1e30) for order in c.orders}


def tell(*faults: Fault, seed: int = 1, length_ms: int = LENGTH_MS, **plan: Any) -> Story:
    """Run a plan with these faults."""
    watcher = Watcher()
    trace = run(Plan(seed=seed, length_ms=length_ms, faults=faults, **plan), watcher)
    return Story(trace, watcher)
