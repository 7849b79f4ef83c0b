"""Orders as the exchange keeps them, and the table of what may become of one.

These are the exchange's own records; what a trader knows of an order is `opensqt.core.orders`. An
order that fails its checks is refused and never becomes a record, as on Binance, so of the
statuses there only NEW, PARTIALLY_FILLED, FILLED, CANCELED and EXPIRED occur here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from opensqt.core.numbers import ZERO, divide
from opensqt.core.orders import OrderStatus, Side
from opensqt.core.values import replace


class OrderType(StrEnum):
    """How an order names its price."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"


class TimeInForce(StrEnum):
    """How long a limit order waits."""

    GTC = "GTC"
    """Until it is cancelled."""
    IOC = "IOC"
    """What does not fill at once expires."""
    FOK = "FOK"
    """Fills whole at once, or is refused."""
    GTX = "GTX"
    """Post-only: refused if it would fill at once."""
    GTD = "GTD"
    """Until its good-till time."""


class Change(StrEnum):
    """What happened to an order; the names are Binance's execution types."""

    NEW = "NEW"
    TRADE = "TRADE"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"
    """Taken back by self-trade prevention: a status on Binance, whose execution type is EXPIRED."""
    AMENDMENT = "AMENDMENT"
    CALCULATED = "CALCULATED"
    """A fill of a liquidation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """What a client asks for. Prices in quote per base, quantities in base."""

    symbol: str
    client_order_id: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    """None for a market order."""
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    good_till_ns: int | None = None
    """When a GTD order expires."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order that the exchange accepted, as it stands after its last change."""

    order_id: int
    account: str
    client_order_id: str
    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    price: Decimal | None
    quantity: Decimal
    reduce_only: bool
    good_till_ns: int | None
    created_ns: int
    updated_ns: int
    status: OrderStatus = OrderStatus.NEW
    executed: Decimal = ZERO
    """Cumulative filled quantity."""
    executed_quote: Decimal = ZERO
    """Cumulative price times quantity of the fills."""
    expired_in_match: bool = False
    """It has EXPIRED, and that because it would have traded with an order of its own account."""

    @property
    def remaining(self) -> Decimal:
        """What has not filled."""
        return self.quantity - self.executed

    @property
    def open(self) -> bool:
        """The order may still fill."""
        return self.status in OPEN

    @property
    def average_price(self) -> Decimal:
        """Average price of the fills; zero before the first, as Binance reports it."""
        return divide(self.executed_quote, self.executed) if self.executed else ZERO

    def filled(self, *, price: Decimal, quantity: Decimal, now_ns: int) -> "Order":
        """The order after one fill.

        Raises:
            AssertionError: The fill exceeds what remains, or the order is not open.
        """
        assert ZERO < quantity <= self.remaining, f"{quantity} of {self.remaining} remaining"
        return replace(
            self,
            status=_after(self.status, Change.TRADE, whole=quantity == self.remaining),
            executed=self.executed + quantity,
            executed_quote=self.executed_quote + price * quantity,
            updated_ns=now_ns,
        )

    def ended(self, change: Change, *, now_ns: int) -> "Order":
        """The order after it was cancelled or has expired; what filled stays filled."""
        return replace(
            self,
            status=_after(self.status, change),
            updated_ns=now_ns,
            expired_in_match=change is Change.EXPIRED_IN_MATCH,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution of one order against the market."""

    trade_id: int
    """Unique on the exchange, and growing."""
    order_id: int
    account: str
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    maker: bool
    fee: Decimal
    """In quote; negative for a rebate."""
    realised: Decimal
    """Profit of the part that closed a position, before fees, in quote."""
    time_ns: int


OPEN: Final = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})

_S = OrderStatus
_LIFE: Final[Mapping[tuple[OrderStatus, Change, bool], OrderStatus]] = {
    # status, change, filled whole: becomes. What is absent cannot happen on an exchange.
    (_S.NEW, Change.TRADE, False): _S.PARTIALLY_FILLED,
    (_S.NEW, Change.TRADE, True): _S.FILLED,
    (_S.NEW, Change.CANCELED, False): _S.CANCELED,
    (_S.NEW, Change.EXPIRED, False): _S.EXPIRED,
    (_S.NEW, Change.EXPIRED_IN_MATCH, False): _S.EXPIRED,
    (_S.PARTIALLY_FILLED, Change.TRADE, False): _S.PARTIALLY_FILLED,
    (_S.PARTIALLY_FILLED, Change.TRADE, True): _S.FILLED,
    (_S.PARTIALLY_FILLED, Change.CANCELED, False): _S.CANCELED,
    (_S.PARTIALLY_FILLED, Change.EXPIRED, False): _S.EXPIRED,
    (_S.PARTIALLY_FILLED, Change.EXPIRED_IN_MATCH, False): _S.EXPIRED,
}


def _after(status: OrderStatus, change: Change, *, whole: bool = False) -> OrderStatus:
    assert (status, change, whole) in _LIFE, f"{change} of an order that is {status}"
    return _LIFE[status, change, whole]
