"""Margin: whether the exchange would have let it happen: no refusal for it, and no liquidation.

Looked at afterwards, in whole numbers, and cautiously: what would have come near a refusal is not
ordinary either. A position's equity is linear in the price, so between two fills the lowest or the
highest price decides.
"""

from dataclasses import dataclass

import numpy as np

from opensqt.backtest.columns import Ints
from opensqt.backtest.integer.ledger import Ledger
from opensqt.backtest.integer.ordinary import NotOrdinary
from opensqt.backtest.integer.scale import Scale


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placed:
    """The orders that the exchange took."""

    at: Ints
    """The trade at or after which it did; -1 for never."""
    ended_at: Ints
    """The trade at or after which it ended; -1 for never."""
    notional: Ints
    """In ticks times steps; 0 where it needs no margin."""
    side: Ints


def check_margin(
    scale: Scale,
    ledger: Ledger,
    *,
    prices: Ints,
    fill_at: Ints,
    paid: Ints,
    paid_at: Ints,
    orders: Placed,
) -> None:
    """Refuse what margin would have changed.

    Args:
        scale: The grid.
        ledger: Its account.
        prices: Of all trades.
        fill_at: The trade of each fill.
        paid: Amount of each funding payment.
        paid_at: The trade after each.
        orders: What was placed.

    Raises:
        NotOrdinary: An order would have been refused, or may have been, or the account liquidated.
    """
    steps = _Account.of(scale, ledger, fill_at, paid, paid_at)
    if steps.low_equity(prices, scale) <= 0:
        raise NotOrdinary("the account comes near its liquidation")
    _check_orders(scale, steps, prices, orders)


class _Account:
    """Position, cost and wallet, from each trade on at which one of them changed."""

    def __init__(self, at: Ints, position: Ints, base: Ints) -> None:
        self.at, self.position, self.base = at, position, base

    @classmethod
    def of(
        cls, scale: Scale, ledger: Ledger, fill_at: Ints, paid: Ints, paid_at: Ints
    ) -> "_Account":
        at = np.concatenate([np.zeros(1, dtype=np.int64), fill_at, paid_at])
        order = np.argsort(at, kind="stable")
        zero = np.zeros(1, dtype=np.int64)
        cash = np.cumsum(
            np.concatenate([zero + scale.deposit, ledger.realised - ledger.fee, paid])[order]
        )
        count = np.cumsum(np.concatenate([zero, np.ones_like(fill_at), np.zeros_like(paid)])[order])
        position = np.concatenate([zero, ledger.position])[count]
        cost = np.concatenate([zero, ledger.cost])[count]
        at = at[order]
        last = np.append(at[1:] != at[:-1], True)
        return cls(at[last], position[last], (cash - cost)[last])

    def low_equity(self, prices: Ints, scale: Scale) -> int:
        """The least equity above maintenance margin, rounded down."""
        inside = self.at < len(prices)
        at, position, base = self.at[inside], self.position[inside], self.base[inside]
        if not len(prices):
            return int(base.min())
        worst = np.where(
            position > 0, np.minimum.reduceat(prices, at), np.maximum.reduceat(prices, at)
        )
        numerator, denominator = scale.rules.maintenance_rate.as_integer_ratio()
        value = position.astype(object) * worst * scale.lot_money
        free = (base + value) * denominator - abs(value) * numerator
        held = position != 0
        return int(free[held].min()) if held.any() else 1

    def when(self, trade: Ints) -> Ints:
        """Which row is in effect after a trade."""
        found: Ints = np.searchsorted(self.at, trade, side="right") - 1
        return found


def _check_orders(scale: Scale, steps: _Account, prices: Ints, orders: Placed) -> None:
    placed_at, ended_at, notional = orders.at, orders.ended_at, orders.notional
    placed = placed_at >= 0
    if not placed.any():
        return
    at = placed_at[placed]
    row = steps.when(at)
    mark = prices[at]
    held = steps.position[row] * mark
    equity = steps.base[row] + held * scale.lot_money
    bids = _resting(at, placed_at, ended_at, np.where(orders.side > 0, notional, 0))
    asks = _resting(at, placed_at, ended_at, np.where(orders.side < 0, notional, 0))
    needed = np.maximum(np.abs(held), np.maximum(np.abs(held + bids), np.abs(held - asks)))
    if bool(np.any(needed * scale.lot_money > equity * scale.leverage)):
        raise NotOrdinary("an order comes near what margin allows")


def _resting(at: Ints, placed_at: Ints, ended_at: Ints, notional: Ints) -> Ints:
    """At most so much rested at each trade: what ended at that very trade is counted, too."""
    placed = placed_at >= 0
    begun_at, begun = _running(placed_at[placed], notional[placed])
    ended = ended_at >= 0
    gone_at, gone = _running(ended_at[ended], notional[ended])
    return (
        begun[np.searchsorted(begun_at, at, side="right")]
        - gone[np.searchsorted(gone_at, at, side="left")]
    )


def _running(at: Ints, amounts: Ints) -> tuple[Ints, Ints]:
    order = np.argsort(at, kind="stable")
    return at[order], np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(amounts[order])])
