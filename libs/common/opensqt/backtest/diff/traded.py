"""What two runs traded, by bot: what their differences come to in money.

A run tells its orders and fills, and neither marks nor funding. So what each still holds is valued
at one price, that of the last fill of the first run (or of the second, if the first has none), and
funding is left out on both sides.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, localcontext

from opensqt.backtest.recorded.run import Run, RunFill, RunOrder
from opensqt.core.numbers import EXACT, ZERO
from opensqt.core.orders import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Traded:
    """What a bot traded in one run; quantities in base, money in quote."""

    bought: Decimal
    sold: Decimal
    fees: Decimal | None
    """Paid; None: not all are known."""
    result: Decimal | None
    """Proceeds less cost and fees, and the position at the common price; None: fees are unknown,
    or neither run has a fill."""

    @property
    def position(self) -> Decimal:
        """At the end, signed."""
        return EXACT.subtract(self.bought, self.sold)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradedByBoth:
    """What a bot traded in both runs."""

    bot: str
    symbol: str
    price: Decimal | None
    """At which what is held is valued; None: neither run has a fill."""
    a: Traded
    b: Traded


def traded_by_both(a: Run, b: Run) -> tuple[TradedByBoth, ...]:
    """What each bot traded in two runs, by bot and symbol."""
    who = sorted({(order.bot, order.symbol) for run in (a, b) for order in run.orders})
    return tuple(_of_bot(bot, symbol, a, b) for bot, symbol in who)


_Orders = tuple[RunOrder, ...]


def _of_bot(bot: str, symbol: str, a: Run, b: Run) -> TradedByBoth:
    mine, others = (
        tuple(one for one in run.orders if (one.bot, one.symbol) == (bot, symbol)) for run in (a, b)
    )
    price = _last_price(mine)
    if price is None:
        price = _last_price(others)
    return TradedByBoth(
        bot=bot, symbol=symbol, price=price, a=_traded(mine, price), b=_traded(others, price)
    )


def _traded(orders: _Orders, price: Decimal | None) -> Traded:
    with localcontext(EXACT):
        buys = _fills(one for one in orders if one.side is Side.BUY)
        sells = _fills(one for one in orders if one.side is Side.SELL)
        bought, sold = (sum((f.quantity for f in fills), ZERO) for fills in (buys, sells))
        cost, proceeds = (sum((f.quantity * f.price for f in s), ZERO) for s in (buys, sells))
        told = [fill.fee for fill in (*buys, *sells) if fill.fee is not None]
        fees = sum(told, ZERO) if len(told) == len(buys) + len(sells) else None
        held = bought - sold
        result = None
        if fees is not None and price is not None:
            result = proceeds - cost - fees + held * price
        return Traded(bought=bought, sold=sold, fees=fees, result=result)


def _fills(orders: Iterable[RunOrder]) -> tuple[RunFill, ...]:
    return tuple(fill for order in orders for fill in order.fills)


def _last_price(orders: _Orders) -> Decimal | None:
    last = max(_fills(orders), key=lambda fill: fill.time_ns, default=None)
    return None if last is None else last.price
