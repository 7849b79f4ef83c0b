"""What an order has to satisfy, and what a market charges.

The rules are Binance's, as `exchangeInfo` states them: PRICE_FILTER, LOT_SIZE, MIN_NOTIONAL,
PERCENT_PRICE and MAX_NUM_ORDERS.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from opensqt.core.exchange.events import Refused
from opensqt.core.exchange.orders import OrderRequest, OrderType, TimeInForce
from opensqt.core.instrument import Instrument
from opensqt.core.numbers import ZERO, is_multiple, plain


class RuleBroken(Exception):  # noqa: N818  # a refusal, not a fault
    """A request breaks a rule; inside the package only, outside it becomes `OrderRefused`."""

    def __init__(self, reason: Refused, allowed: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.allowed = allowed


class Touch(StrEnum):
    """What is assumed of an order when the market trades at its price, and not through it."""

    QUEUE = "queue"
    """What was displayed ahead of it fills first."""
    NEVER = "never"
    """It does not fill: the cautious end. Only a trade through its price fills it."""
    AT_ONCE = "at_once"
    """Nothing is ahead of it: the hopeful end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """What a fill costs, as a share of its notional; a rebate is negative."""

    maker: Decimal = Decimal("0.0002")
    taker: Decimal = Decimal("0.0005")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRules:
    """One market: its instrument, fees and limits, and what is assumed where data is missing."""

    instrument: Instrument
    fees: Fees = Fees()
    max_leverage: int = 125
    maintenance_rate: Decimal = Decimal("0.004")
    """Maintenance margin as a share of the position's notional."""
    liquidation_fee: Decimal = Decimal("0.0125")
    """Share of the notional that a liquidation costs."""
    price_band: Decimal = Decimal("0.05")
    """How far from the mark price a limit may lie on the side that takes, as a share."""
    max_open_orders: int = 200
    assumed_depth: Decimal = Decimal(1)
    """Quantity assumed at every price level of which the data does not tell the size.

    It is what a taker finds beyond the best price, one level per tick, and the size of the best
    price where the data has trades only.
    """
    touch: Touch = Touch.QUEUE
    """What a trade at an order's price does to it."""
    bounded: bool = True
    """A trade fills at most its own quantity, of all orders together. False: it fills the orders
    that it reaches whole, as when the data does not say how much was traded."""


def check_request(
    request: OrderRequest, rules: MarketRules, *, mark: Decimal | None, now_ns: int
) -> None:
    """Refuse what breaks a filter.

    Raises:
        RuleBroken: Naming the rule and what it allows.
    """
    instrument = rules.instrument
    check_quantity(request.quantity, instrument)
    if request.type is OrderType.LIMIT:
        if request.price is None:
            raise RuleBroken(Refused.PRICE_MISSING, "a limit order has a price")
        check_price(request, request.price, rules, mark=mark)
    price = request.price or mark
    if price and not request.reduce_only and price * request.quantity < instrument.min_notional:
        raise RuleBroken(Refused.NOTIONAL, plain(instrument.min_notional))
    gtd = request.time_in_force is TimeInForce.GTD
    if gtd and (request.good_till_ns is None or request.good_till_ns <= now_ns):
        raise RuleBroken(Refused.GOOD_TILL, "a time in the future")


def check_quantity(quantity: Decimal, instrument: Instrument) -> None:
    """Refuse a quantity that is not positive, off the step or out of bounds.

    Raises:
        RuleBroken: Naming the rule and what it allows.
    """
    if quantity <= ZERO:
        raise RuleBroken(Refused.QUANTITY_NOT_POSITIVE, "more than zero")
    if quantity < instrument.min_quantity:
        raise RuleBroken(Refused.QUANTITY_TOO_SMALL, f"from {plain(instrument.min_quantity)}")
    if quantity > instrument.max_quantity:
        raise RuleBroken(Refused.QUANTITY_TOO_LARGE, f"up to {plain(instrument.max_quantity)}")
    if not is_multiple(quantity, instrument.step_size):
        raise RuleBroken(Refused.STEP, f"multiples of {plain(instrument.step_size)}")


def check_price(
    request: OrderRequest, price: Decimal, rules: MarketRules, *, mark: Decimal | None
) -> None:
    """Refuse a price that is not positive, off the tick, or too far through the market.

    Raises:
        RuleBroken: Naming the rule and what it allows.
    """
    if price <= ZERO:
        raise RuleBroken(Refused.PRICE_NOT_POSITIVE, "more than zero")
    if not is_multiple(price, rules.instrument.tick_size):
        raise RuleBroken(Refused.TICK, f"multiples of {plain(rules.instrument.tick_size)}")
    if mark is None:
        return
    if request.side.sign > 0:
        highest = rules.instrument.price_at_most(mark * (1 + rules.price_band))
        if price > highest:
            raise RuleBroken(Refused.PRICE_TOO_HIGH, plain(highest))
    else:
        lowest = rules.instrument.price_at_least(mark * (1 - rules.price_band))
        if price < lowest:
            raise RuleBroken(Refused.PRICE_TOO_LOW, plain(lowest))
