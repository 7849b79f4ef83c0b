"""What is kept, as ports: grid books and the gate's history; every change is one transaction."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import GridBook, GridChange, GridIdentity
from opensqt.core.grid.results import Outcome
from opensqt.core.orders import Execution, Order
from opensqt.core.risk.gate_log import GateChange
from opensqt.ports.positions import Quarantined

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a decision needs of a book beside its slots and live orders."""

    order_ids: tuple[str, ...] = ()
    """Orders that may have ended."""
    batch_id: str = ""
    """A batch that may have been committed, with its orders."""
    request_id: str = ""
    """A request that may have brought another batch."""


NOTHING_MORE: Final = Wanted()


class StateStore(Protocol):
    """Keeps grid books; every change is one transaction (PostgreSQL in production)."""

    async def register(self, identity: GridIdentity, *, now_ns: int) -> tuple[GridBook, bool]:
        """Create the grid if its bot is not registered; the book as kept, and whether it is new.

        A new one is RECONCILING.
        """
        ...

    async def transact(
        self,
        bot_id: str,
        decide: Callable[[GridBook], Outcome[T]],
        wanted: Wanted = NOTHING_MORE,
    ) -> Outcome[T]:
        """Lock the book, let `decide` decide on it, and commit its change with an outbox row.

        `decide` is pure and may be called again after a conflict. If it raises, nothing is
        written.

        Raises:
            Refusal: BOT_UNKNOWN.
            DependencyError: The store does not answer; the change may or may not be committed.
        """
        ...

    async def bot_of_order(self, client_oid: str) -> str | None:
        """The bot that owns an order; None for an order that is not ours."""
        ...

    async def client_oid_of(self, account: str, symbol: str, exchange_order_id: str) -> str | None:
        """The client order id of the order that the exchange calls so; None if it is not ours."""
        ...

    async def load(self, bot_id: str) -> GridBook:
        """A book as of now.

        Raises:
            Refusal: BOT_UNKNOWN.
        """
        ...

    async def identities(self) -> tuple[GridBook, ...]:
        """Every registered grid, without slots and orders, by bot."""
        ...

    async def orders(
        self,
        bot_id: str,
        *,
        live_only: bool,
        unsettled_only: bool,
        batch_id: str,
        limit: int,
        before: str,
    ) -> tuple[Order, ...]:
        """Orders, newest first, those older than the order `before` when it is given.

        Orders of a batch are those that it places and those that it cancels.
        """
        ...

    async def executions(
        self, bot_id: str, *, limit: int, before: int
    ) -> tuple[tuple[int, Execution], ...]:
        """Executions with their row numbers, newest first, below row `before` when it is > 0."""
        ...

    async def changes_after(self, bot_id: str, revision: int, limit: int) -> tuple[GridChange, ...]:
        """Committed changes after a revision, in order, without gaps.

        Raises:
            Refusal: REVISION_COMPACTED when they are no longer kept.
        """
        ...

    def committed(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Names of bots that some commit changed, of this process or another; may repeat."""
        ...

    async def unpublished(self, limit: int) -> tuple[GridChange, ...]:
        """Outbox: changes that were not published yet, in order."""
        ...

    async def mark_published(self, changes: tuple[GridChange, ...]) -> None:
        """Outbox: these, and every earlier one of their bots, were published."""
        ...

    async def compact(self, keep: int) -> int:
        """Drop published changes, and batches, older than each bot's last `keep` revisions.

        Returns:
            How many changes were dropped.
        """
        ...

    async def quarantine(self, update: OrderUpdate, reason: str, *, now_ns: int) -> None:
        """Put an update aside: of each order the latest, the latest reason, and how many came."""
        ...

    async def quarantined(self, *, limit: int, before: int) -> tuple[tuple[int, Quarantined], ...]:
        """What was put aside with row numbers, newest first, below row `before` when it is > 0.

        An order keeps the row that it got when it was first put aside.
        """
        ...

    async def quarantine_reason(self, update: OrderUpdate) -> str | None:
        """Why the order of `update` was put aside last; None if it never was.

        An order is named by account, symbol and both of its ids.
        """
        ...

    async def ping(self) -> None:
        """Answer if the store does.

        Raises:
            DependencyError: It does not.
        """
        ...


class GateStore(Protocol):
    """Keeps each account's gate as a history of changes, never rewritten (PostgreSQL)."""

    async def history(self, account: str, limit: int) -> tuple[GateChange, ...]:
        """The latest changes, oldest first; the last one is the gate.

        Raises:
            DependencyError: The store does not answer.
        """
        ...

    async def append(self, account: str, change: GateChange) -> bool:
        """Commit a change; False, and nothing written, when its revision is no longer the next.

        Repeating a change that is committed answers True.

        Raises:
            DependencyError: The store does not answer; the change may or may not be committed.
        """
        ...

    async def ping(self) -> None:
        """Answer if the store does.

        Raises:
            DependencyError: It does not.
        """
        ...
