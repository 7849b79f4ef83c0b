"""The ledger: what fills cost and earned, and what funding paid, in whole units of money.

As `core.exchange.account.Position.traded` books it: a partial close releases a share of the cost
that is rounded to what the exchange books, half to even, and the rest stays with the position.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from opensqt.backtest.columns import Ints
from opensqt.backtest.integer.scale import Scale
from opensqt.backtest.result import Payments
from opensqt.backtest.rounding import half_even
from opensqt.backtest.tape import RATE_UNIT, Tape

LARGEST: Final = 2**62
"""Products below this are computed in 64 bits."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ledger:
    """An account after each of its fills."""

    position: Ints
    cost: Ints
    """Signed, of what is open."""
    realised: Ints
    """By the fill alone."""
    fee: Ints
    """Of the fill alone."""

    @classmethod
    def of(cls, scale: Scale, side: Ints, price: Ints, quantity: Ints) -> "Ledger":
        """Book fills, all of them as maker."""
        position: list[int] = []
        costs: list[int] = []
        profits: list[int] = []
        held = cost = 0
        lot, booked = scale.lot_money, scale.booked_money
        signed_quantity = side * quantity
        for signed, money in zip(signed_quantity.tolist(), (price * lot).tolist(), strict=True):
            if held * signed >= 0:
                profit = 0
                cost += signed * money
            else:
                closing = signed if abs(signed) <= abs(held) else -held
                if closing == -held:
                    released = cost
                else:
                    released = booked * half_even(cost * abs(closing), abs(held) * booked)
                profit = -closing * money - released
                cost += (signed - closing) * money - released
            held += signed
            position.append(held)
            costs.append(cost)
            profits.append(profit)
        return cls(
            position=np.array(position, dtype=np.int64),
            cost=np.array(costs, dtype=np.int64),
            realised=np.array(profits, dtype=np.int64),
            fee=_fees(scale, price, quantity),
        )


def _fees(scale: Scale, price: Ints, quantity: Ints) -> Ints:
    numerator, denominator = scale.rules.fees.maker.as_integer_ratio()
    notional = price * quantity
    factor, unit = scale.lot_money * numerator, denominator * scale.booked_money
    if not len(price):
        return notional
    if int(notional.max()) * max(abs(factor), 1) >= LARGEST or unit >= LARGEST:
        exact = [scale.booked_money * half_even(n * factor, unit) for n in notional.tolist()]
        return np.array(exact, dtype=np.int64)
    whole, rest = np.divmod(notional * factor, unit)
    twice = 2 * rest
    up = (twice > unit) | ((twice == unit) & (whole & 1).astype(np.bool_))
    fees: Ints = (whole + up) * scale.booked_money
    return fees


def payments_of(
    scale: Scale, tape: Tape, fill_at: Ints, position: Ints
) -> tuple[Payments, NDArray[np.int64]]:
    """What funding paid, and before which trade each payment was.

    Args:
        scale: The grid.
        tape: Its market.
        fill_at: The trade of each fill.
        position: What was held after it.
    """
    fundings, trades = tape.fundings, tape.trades
    before = np.searchsorted(trades.row, fundings.row)
    fills = np.searchsorted(fill_at, before)
    rows: list[tuple[int, int, int, int]] = []
    trade_after: list[int] = []
    rate_money = Decimal(scale.lot_money) * RATE_UNIT
    numerator, denominator = rate_money.as_integer_ratio()
    for index, (trade, count) in enumerate(zip(before.tolist(), fills.tolist(), strict=True)):
        held = int(position[count - 1]) if count else 0
        if not held:
            continue
        mark, rate = int(trades.price[trade - 1]), int(fundings.rate[index])
        amount = scale.booked_money * half_even(
            -held * mark * rate * numerator, denominator * scale.booked_money
        )
        rows.append((int(fundings.time_ns[index]), rate, held, amount))
        trade_after.append(trade)
    times, rates, positions, amounts = zip(*rows, strict=True) if rows else ((), (), (), ())
    table = Payments.of(
        bot=np.zeros(len(rows)), time_ns=times, rate=rates, position=positions, amount=amounts
    )
    return table, np.array(trade_after, dtype=np.int64)
