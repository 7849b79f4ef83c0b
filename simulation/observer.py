"""What a world tells whoever watches it; every call comes at the moment the thing takes effect.

Times are virtual nanoseconds since the start of the run, as in the trace.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from opensqt.core.actions import ActionBatch
from opensqt.core.events import Gate
from opensqt.core.exchange.engine import SimulatedExchange
from opensqt.core.exchange.orders import Fill
from opensqt.core.exchange.orders import Order as ExchangeOrder
from opensqt.core.grid.book import GridBook, GridChange
from opensqt.core.orders import Order
from opensqt.testing.memory_store import MemoryStore
from simulation.plan import Plan
from simulation.trace import Trace

HARNESS: Final = 0
"""The number of what is in no list and every run must do all the same: come to rest, go on trading
after everything is mended, and not crash over and over."""


class ViolationError(AssertionError):
    """An invariant does not hold."""

    def __init__(self, number: int, what: str, about: str = "") -> None:
        """State the violation.

        Args:
            number: The invariant, as numbered in docs/invariants.md; `HARNESS` for none of them.
            what: What is wrong, with the values.
            about: The client order id of the order that it is about.
        """
        self.number = number
        self.what = what
        self.about = about
        super().__init__(f"invariant {number}: {what}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldView:
    """What an observer may look at, at any time; nothing in it may be changed."""

    plan: Plan
    trace: Trace
    exchange: SimulatedExchange
    """The exchange's own books, which are the truth."""
    account: str
    bot_id: str
    stores: list[MemoryStore]
    """The ledger's stores, oldest first; more than one when a volume was lost."""
    settle_tasks: Callable[[], int] = lambda: 0
    """How many settle tasks have begun and not finished."""

    @property
    def store(self) -> MemoryStore:
        """The ledger's store."""
        return self.stores[-1]


class Observer(Protocol):
    """Watches a world. Any method may raise `ViolationError`, which ends the run."""

    def began(self, world: WorldView) -> None:
        """The world stands, nothing has run yet."""
        ...

    def decided(self, batch: ActionBatch, *, time_ns: int) -> None:
        """A strategy has published a batch."""
        ...

    def committed(self, before: GridBook, after: GridBook, change: GridChange) -> None:
        """The ledger's store has committed a change."""
        ...

    def sent(self, order: Order, *, time_ns: int) -> None:
        """A request to place `order` left the execution process."""
        ...

    def accepted(self, order: ExchangeOrder, *, time_ns: int) -> None:
        """The exchange has accepted an order, ours or not."""
        ...

    def filled(self, order: ExchangeOrder, fill: Fill, *, time_ns: int) -> None:
        """An order has filled, in part or whole."""
        ...

    def ended(self, order: ExchangeOrder, *, time_ns: int) -> None:
        """An order has ended without being filled whole."""
        ...

    def gate_changed(self, gate: Gate, *, time_ns: int) -> None:
        """The risk gate has changed."""
        ...

    def at_rest(self) -> None:
        """Everything is mended and has come to rest: nothing is in doubt, no message under way."""
        ...
