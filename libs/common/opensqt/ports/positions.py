"""The owner of the slots, as a port: the state service, seen from its callers."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from opensqt.core.actions import ActionBatch
from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import GridBook, GridChange, GridIdentity
from opensqt.core.grid.results import Applied, PlacementResult, Reservation
from opensqt.core.orders import Execution, Order

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Nothing up to this revision was left out of the watch."""

    revision: int


WatchEvent = GridBook | GridChange | Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """A page of a list, and the token of the next; an empty token: this was the last."""

    items: tuple[T, ...]
    next_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """An order update that was put aside: it is of no order of ours, or contradicts the book."""

    update: OrderUpdate
    reason: str
    since_ns: int
    """When its order was first put aside."""
    updates: int = 1
    """How many updates of its order were put aside."""


class PositionManager(Protocol):
    """Owns the slots: the state service, seen from its callers (gRPC in production).

    Raises, on every method: `Refusal` for what it says no to; `DependencyError` when it does not
    answer: then the outcome of a write is unknown, and repeating it is safe.
    """

    async def register_grid(self, identity: GridIdentity) -> GridBook:
        """Register a grid, or return the registered one with its own anchor and epoch."""
        ...

    async def reserve(self, batch: ActionBatch, *, deadline_ns: int) -> Reservation:
        """Commit a batch's intents before anything is sent."""
        ...

    async def record(self, bot_id: str, results: tuple[PlacementResult, ...]) -> int:
        """Record what the exchange answered; the revision after it."""
        ...

    async def apply(self, update: OrderUpdate) -> Applied:
        """Apply what is known of an order."""
        ...

    async def confirm_grid(self, bot_id: str, *, epoch: int) -> int:
        """Say that everything the exchange has of a RECONCILING grid is in its book: it may trade.

        Of a grid that is not RECONCILING nothing changes. The revision after it.

        Raises:
            Refusal: BOT_DIFFERS when the grid's epoch is another: it was registered anew since.
        """
        ...

    async def halt_grid(self, bot_id: str, *, reason: str, by: str) -> int:
        """Halt a grid until `resume_grid`; the revision after it. A halted one keeps its reason.

        One that is RECONCILING stays so, and is HALTED when it is confirmed.
        """
        ...

    async def resume_grid(self, bot_id: str, *, by: str) -> int:
        """End a halt: the grid is RECONCILING, and trades once it is confirmed; the revision after.

        Of a grid that is not HALTED nothing changes.
        """
        ...

    async def quarantine(self, *, page_size: int = 0, page_token: str = "") -> Page[Quarantined]:
        """What was put aside, newest first: the latest update of each order."""
        ...

    async def grid(self, bot_id: str) -> GridBook:
        """A grid with all its slots and live orders."""
        ...

    async def grids(self) -> tuple[GridBook, ...]:
        """Every registered grid, without slots."""
        ...

    async def orders(
        self,
        bot_id: str,
        *,
        live_only: bool = False,
        unsettled_only: bool = False,
        batch_id: str = "",
        page_size: int = 0,
        page_token: str = "",
    ) -> Page[Order]:
        """Orders, newest first."""
        ...

    async def executions(
        self, bot_id: str, *, page_size: int = 0, page_token: str = ""
    ) -> Page[Execution]:
        """Executions, newest first."""
        ...

    def watch(self, bot_id: str, *, from_revision: int = 0) -> AsyncIterator[WatchEvent]:
        """A snapshot (unless `from_revision` is given), then every change, then checkpoints.

        Ends with `DependencyError` when the connection is lost, and with the refusal
        REVISION_COMPACTED when the changes after `from_revision` are no longer kept.
        """
        ...
