"""What the simulated exchange answers: facts, in the order in which they happened."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from opensqt.core.exchange.account import Position
from opensqt.core.exchange.orders import Change, Fill, Order


class Refused(StrEnum):
    """Why the exchange refuses a request; a refused request has changed nothing."""

    SYMBOL = "SYMBOL"
    PRICE_NOT_POSITIVE = "PRICE_NOT_POSITIVE"
    PRICE_MISSING = "PRICE_MISSING"
    TICK = "TICK"
    PRICE_TOO_HIGH = "PRICE_TOO_HIGH"
    PRICE_TOO_LOW = "PRICE_TOO_LOW"
    QUANTITY_NOT_POSITIVE = "QUANTITY_NOT_POSITIVE"
    STEP = "STEP"
    QUANTITY_TOO_SMALL = "QUANTITY_TOO_SMALL"
    QUANTITY_TOO_LARGE = "QUANTITY_TOO_LARGE"
    NOTIONAL = "NOTIONAL"
    GOOD_TILL = "GOOD_TILL"
    DUPLICATE_ID = "DUPLICATE_ID"
    """The client order id is that of an open order. That of a closed one may be used again."""
    TOO_MANY_ORDERS = "TOO_MANY_ORDERS"
    REDUCE_ONLY = "REDUCE_ONLY"
    MARGIN = "MARGIN"
    POST_ONLY = "POST_ONLY"
    FILL_OR_KILL = "FILL_OR_KILL"
    ORDER_UNKNOWN = "ORDER_UNKNOWN"
    """No such order, or it is no longer open: Binance says the same of both."""
    NOTHING_TO_AMEND = "NOTHING_TO_AMEND"
    LEVERAGE = "LEVERAGE"
    LEVERAGE_MARGIN = "LEVERAGE_MARGIN"
    """The open position would not be backed at that leverage."""


class AccountReason(StrEnum):
    """Why an account changed; the names are Binance's."""

    ORDER = "ORDER"
    FUNDING_FEE = "FUNDING_FEE"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRefused:
    """A request that was refused."""

    account: str
    symbol: str
    client_order_id: str
    reason: Refused
    allowed: str = ""
    """What would have been allowed, for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChanged:
    """An order was accepted, filled, amended or ended."""

    change: Change
    order: Order
    """The order after the change."""
    fill: Fill | None
    """The fill, when the change is one."""
    time_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChanged:
    """A wallet or a position changed."""

    account: str
    reason: AccountReason
    wallet: Decimal
    """Wallet balance after the change: deposit + realised - fees + funding."""
    balance_change: Decimal
    """Change that is neither profit nor fee: the funding payment."""
    symbol: str
    position: Position | None
    """The position after the change; None when only the wallet changed."""
    time_ns: int


Event = OrderRefused | OrderChanged | AccountChanged
