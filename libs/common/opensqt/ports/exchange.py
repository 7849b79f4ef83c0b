"""The exchange, as ports: what is public, what a read-only key sees, what a trading key may do."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from opensqt.core.events import (
    Candle,
    FundingUpdate,
    OrderUpdate,
    Position,
    PositionUpdate,
    PriceChange,
)
from opensqt.core.grid.results import PlacementResult
from opensqt.core.instrument import Instrument
from opensqt.core.orders import Execution, Order


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUse:
    """What an exchange says is used of one of its limits."""

    count: int
    told_ns: int
    """When it said so, by our clock."""


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

    async def orders_since(self, symbol: str, since_ns: int) -> tuple[OrderUpdate, ...]:
        """Every order on `symbol` that was made from `since_ns` on, ended or not, oldest first.

        Exchanges forget: orders that ended without a fill after days, others after months.

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


class OrderSide(AccountFeed, OrderGateway, Protocol):
    """All that one bot needs of an exchange beside its prices."""


class AccountChecks(Protocol):
    """What must be known of an account before anything is traded on it."""

    async def hedge_mode(self) -> bool:
        """Whether the account keeps long and short positions apart; orders here assume it does not.

        Raises:
            DependencyError: No answer that can be relied upon.
        """
        ...

    async def trading_refusal(self, symbol: str) -> str:
        """Why the exchange does not let the key trade, in its words; empty when it does.

        Raises:
            DependencyError: No answer that can be relied upon.
        """
        ...


class Exchange(MarketFeed, AccountFeed, OrderGateway, Protocol):
    """A whole exchange."""

    async def close(self) -> None:
        """Close its connections."""
        ...
