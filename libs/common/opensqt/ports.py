"""Ports: what the services need from the world, as protocols.

A composition root takes these, so that the same code runs on a real exchange, NATS, PostgreSQL and
gRPC, and on fakes in one process under virtual time. Nothing here does anything.

Sleeping is `asyncio.sleep` everywhere: a virtual-time event loop replaces it. Reading the time is
the `Clock`'s.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Generic, Protocol, TypeVar

from opensqt.core.actions import ActionBatch
from opensqt.core.events import (
    Candle,
    FundingUpdate,
    GateBeat,
    OrderUpdate,
    Position,
    PositionUpdate,
    PriceChange,
    StreamStatus,
)
from opensqt.core.grid.book import GridBook, GridChange, GridIdentity
from opensqt.core.grid.results import Applied, Outcome, PlacementResult, Reservation
from opensqt.core.instrument import Instrument
from opensqt.core.orders import Execution, Order
from opensqt.core.risk.gate_log import GateChange

E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True)
T = TypeVar("T")


class Clock(Protocol):
    """Tells the time."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970 UTC."""
        ...


# --- events between the services ----------------------------------------------------------------


class Delivery(Enum):
    """How a topic's events reach their consumers."""

    LATEST = "latest"
    """Fire and forget; a slow consumer sees the latest event only, an older one is worthless."""
    LAST_VALUE = "last value"
    """As LATEST, and a new consumer first gets the last event of each key."""
    AT_MOST_ONCE = "at most once"
    """Fire and forget, every event in order; a lost one is made good by its sender."""
    DURABLE = "durable"
    """Stored before `publish` returns, delivered until acknowledged, deduplicated by message id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic(Generic[E]):
    """A kind of event on the bus; a key tells its events apart (a symbol, an account, a bot)."""

    name: str
    event: type[E]
    delivery: Delivery


PRICES: Final = Topic(name="price", event=PriceChange, delivery=Delivery.LATEST)
"""By symbol."""
ORDER_UPDATES: Final = Topic(name="order", event=OrderUpdate, delivery=Delivery.DURABLE)
"""By account."""
FUNDING: Final = Topic(name="funding", event=FundingUpdate, delivery=Delivery.LAST_VALUE)
"""By symbol."""
POSITIONS: Final = Topic(name="position", event=PositionUpdate, delivery=Delivery.LAST_VALUE)
"""By account."""
CANDLES: Final = Topic(name="candle", event=Candle, delivery=Delivery.LAST_VALUE)
"""By symbol; closed candles only."""
STREAM_STATUS: Final = Topic(name="stream", event=StreamStatus, delivery=Delivery.LATEST)
"""By account."""
GATE: Final = Topic(name="gate", event=GateBeat, delivery=Delivery.LAST_VALUE)
"""By account."""
ACTIONS: Final = Topic(name="actions", event=ActionBatch, delivery=Delivery.AT_MOST_ONCE)
"""By account; a batch that is lost is decided again, one that comes twice does nothing twice."""
GRID_CHANGES: Final = Topic(name="grid", event=GridChange, delivery=Delivery.DURABLE)
"""By bot; the state service's outbox."""
TOPICS: Final[tuple[Topic[Any], ...]] = (
    PRICES,
    ORDER_UPDATES,
    FUNDING,
    POSITIONS,
    CANDLES,
    STREAM_STATUS,
    GATE,
    ACTIONS,
    GRID_CHANGES,
)


class Received(Protocol[E_co]):
    """One event that came over the bus."""

    @property
    def event(self) -> E_co:
        """The event."""
        ...

    @property
    def trace(self) -> Mapping[str, str]:
        """Trace context headers (W3C traceparent) that travelled with it."""
        ...

    async def ack(self) -> None:
        """Say that its effect is committed. Only DURABLE topics need it."""
        ...


class EventBus(Protocol):
    """Carries events between the services (NATS in production)."""

    async def publish(self, topic: Topic[E], key: str, event: E, *, message_id: str = "") -> None:
        """Send an event; of a DURABLE topic, return once it is stored.

        Raises:
            DependencyError: A DURABLE event may or may not be stored: publish it again with the
                same `message_id`.
        """
        ...

    def subscribe(
        self, topic: Topic[E], key: str = "*", *, durable: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[Received[E]]]:
        """Receive a topic's events; the iterator ends when the context is left.

        Args:
            topic: The kind of events.
            key: Only events of this key; ``*`` for all.
            durable: Name of the consumer of a DURABLE topic: its position outlives the process.
        """
        ...


class DependencyError(Exception):
    """Something that we depend on does not answer, or answered that it cannot serve now."""


# --- the exchange -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamUp:
    """The account's event stream is connected; what happened before it is not on it."""

    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamDown:
    """The account's event stream is lost."""

    reason: str


AccountEvent = StreamUp | StreamDown | OrderUpdate | PositionUpdate
MarketEvent = PriceChange | FundingUpdate | Candle


class CancelOutcome(Enum):
    """What a request to cancel came to."""

    CANCELED = "canceled"
    """Proven; `CancelAnswer.update` says what had filled."""
    GONE = "gone"
    """The exchange has no such open order: filled, ended, or never placed. Ask by a look-up."""
    REFUSED = "refused"
    """Not carried out, with a reason; the order is as it was."""
    UNKNOWN = "unknown"
    """No answer that can be relied upon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAnswer:
    """The exchange's answer to a request to cancel."""

    outcome: CancelOutcome
    update: OrderUpdate | None = None
    text: str = ""


class MarketFeed(Protocol):
    """An exchange's public side."""

    async def instruments(self) -> tuple[Instrument, ...]:
        """Every instrument that trades now, by symbol.

        Raises:
            DependencyError: The exchange does not answer.
        """
        ...

    def market_events(self, symbol: str) -> AsyncIterator[MarketEvent]:
        """Prices, funding and candles as they come; reconnects by itself, for ever.

        A price that was not taken before the next one came is left out; the other events are not.
        """
        ...

    async def candles(self, symbol: str, *, limit: int) -> tuple[Candle, ...]:
        """The latest one-minute candles, oldest first; the last one may not be closed.

        Raises:
            DependencyError: The exchange does not answer.
        """
        ...


class AccountFeed(Protocol):
    """An exchange's private side, as far as a read-only key sees it."""

    def account_events(self) -> AsyncIterator[AccountEvent]:
        """Order and position events, whole and in order, with the stream's ups and downs."""
        ...

    async def find_order(self, symbol: str, client_oid: str) -> OrderUpdate | None:
        """Where an order stands; None when the exchange says that it has no such order.

        Raises:
            DependencyError: No answer that can be relied upon.
        """
        ...

    async def find_order_by_exchange_id(
        self, symbol: str, exchange_order_id: str
    ) -> OrderUpdate | None:
        """As `find_order`, by the exchange's own id.

        Raises:
            DependencyError: No answer that can be relied upon.
        """
        ...

    async def open_orders(self, symbol: str) -> tuple[OrderUpdate, ...]:
        """Every open order of the account on `symbol`, ours or not.

        Raises:
            DependencyError: No answer that can be relied upon.
        """
        ...

    async def executions_since(self, symbol: str, since_ns: int) -> tuple[Execution, ...]:
        """Every execution from `since_ns` on, oldest first.

        `Execution.client_oid` is empty where the exchange reports only its own order id, which is
        then in `Execution.exchange_order_id`.

        Raises:
            DependencyError: No answer that can be relied upon.
        """
        ...

    async def position(self, symbol: str) -> Position:
        """The account's position.

        Raises:
            DependencyError: No answer that can be relied upon.
        """
        ...


class OrderGateway(Protocol):
    """An exchange's private side that a trading key opens. Never retries by itself."""

    async def place(self, order: Order) -> PlacementResult:
        """Send an order under its client order id, expiring at its deadline.

        Does not raise for what the exchange or the network does: whatever is not a definite answer
        is UNKNOWN.
        """
        ...

    async def cancel(self, order: Order) -> CancelAnswer:
        """Cancel an order by its client order id. Does not raise, as `place`."""
        ...


class Exchange(MarketFeed, AccountFeed, OrderGateway, Protocol):
    """A whole exchange."""

    async def close(self) -> None:
        """Close its connections."""
        ...


# --- what the monitors know ----------------------------------------------------------------------


class MarketData(Protocol):
    """The market data service, seen from its callers (gRPC in production).

    Raises, on every method: `DependencyError` when it does not answer.
    """

    async def instruments(self) -> tuple[Instrument, ...]:
        """Every instrument that trades now, by symbol."""
        ...

    async def price(self, symbol: str) -> PriceChange:
        """The latest price; `DependencyError` as long as none has come."""
        ...

    async def candles(self, symbol: str, limit: int) -> tuple[Candle, ...]:
        """The latest closed candles of one minute, oldest first; fewer while it has no more."""
        ...


# --- the owner of the slots ---------------------------------------------------------------------


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
        """Create the grid if its bot is not registered; the book as kept, and whether it is new."""
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
        """Note an update of an order that is not ours, once per exchange order id."""
        ...

    async def ping(self) -> None:
        """Answer if the store does.

        Raises:
            DependencyError: It does not.
        """
        ...


# --- the gate's history --------------------------------------------------------------------------


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


# --- engines ------------------------------------------------------------------------------------


class Engine(Protocol):
    """Runs one bot's strategy: events in, actions out."""

    async def start(self) -> None:
        """Begin; returns once events are taken."""
        ...

    async def stop(self) -> None:
        """Decide nothing more; returns once what was decided is handed over."""
        ...

    async def on_price_update(self, event: PriceChange) -> None:
        """The market moved."""
        ...

    async def on_order_update(self, event: OrderUpdate) -> None:
        """An order changed on the exchange."""
        ...

    async def on_funding_update(self, event: FundingUpdate) -> None:
        """The funding rate or mark price changed."""
        ...

    async def on_position_update(self, event: PositionUpdate) -> None:
        """The account's position changed."""
        ...
