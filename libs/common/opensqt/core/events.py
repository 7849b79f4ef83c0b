"""Events: what the monitors see. Times are nanoseconds since 1970 UTC."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from opensqt.core.orders import EndReason, Execution, OrderStatus, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceChange:
    """The market moved. None means unknown, never zero."""

    symbol: str
    last: Decimal | None
    bid: Decimal | None
    ask: Decimal | None
    exchange_time_ns: int
    receive_time_ns: int
    sequence: int


class Forced(StrEnum):
    """Whether the exchange itself made an order, and why; such an order is nobody's intent."""

    NONE = "NONE"
    LIQUIDATION = "LIQUIDATION"
    DELEVERAGING = "DELEVERAGING"
    """Auto-deleveraging: a position was closed to cover somebody else's bankruptcy."""
    SETTLEMENT = "SETTLEMENT"
    """The instrument was delivered or delisted."""


class UpdateSource(StrEnum):
    """Where an order update comes from."""

    STREAM = "STREAM"
    QUERY = "QUERY"
    ANSWER = "ANSWER"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderUpdate:
    """What is known of an order on the exchange; the order may be one that is not ours."""

    account: str
    symbol: str
    client_oid: str
    exchange_order_id: str
    side: Side
    status: OrderStatus
    end_reason: EndReason
    price: Decimal | None
    quantity: Decimal | None
    filled_quantity: Decimal
    """Cumulative executed quantity."""
    average_price: Decimal | None
    execution: Execution | None
    """The execution that this event reports, if it reports one."""
    source: UpdateSource
    exchange_time_ns: int
    receive_time_ns: int
    forced: Forced = Forced.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingUpdate:
    """The funding rate or the mark price changed."""

    symbol: str
    rate: Decimal
    settlement_time_ns: int
    interval_hours: int | None
    """None when the exchange did not say; never assumed to be 8."""
    mark_price: Decimal | None
    index_price: Decimal | None
    exchange_time_ns: int
    receive_time_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A position as the exchange reports it; a negative quantity is a short."""

    symbol: str
    quantity: Decimal
    entry_price: Decimal | None
    mark_price: Decimal | None
    unrealised_pnl: Decimal | None
    liquidation_price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionUpdate:
    """The account's position or balance changed on the exchange."""

    account: str
    position: Position
    cause: str
    wallet_balance: Decimal | None
    balance_change: Decimal | None
    exchange_time_ns: int
    receive_time_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candle:
    """One bar of prices; volume in base."""

    symbol: str
    open_time_ns: int
    interval_s: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    closed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStatus:
    """The order stream's beat."""

    account: str
    verified: bool
    """Connected, and a look-up after connecting has closed any gap."""
    epoch: int
    reason: str
    beat_time_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Whether orders that add exposure may be placed; cancels and reductions always may."""

    revision: int
    open: bool
    reason: str
    changed_by: str
    changed_time_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GateBeat:
    """The gate and when it was last heard of."""

    gate: Gate
    beat_time_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionCheck:
    """The exchange's position beside what the ledger's slots hold, for one market of an account.

    Told after every comparison. Fills that are on their way make the two differ for a moment, so
    only a difference that lasts is a divergence.
    """

    account: str
    symbol: str
    exchange_quantity: Decimal
    ledger_quantity: Decimal
    """What the slots of all grids on the market hold together."""
    bound: Decimal
    """The largest difference that is tolerated, in base."""
    diverging: bool
    """The difference exceeds the bound, and has lasted while nothing else changed."""
    check_time_ns: int

    @property
    def difference(self) -> Decimal:
        """The exchange's position minus the ledger's, in base."""
        return self.exchange_quantity - self.ledger_quantity
