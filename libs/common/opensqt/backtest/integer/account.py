"""The account at the exchange: position, cost and cash after each fill, fees, funding and margin.

As `core.exchange.account` and `core.exchange.margin` do it, in whole units of money. What comes
near a liquidation ends the run.
"""

from opensqt.backtest.integer.compiled import Record, part
from opensqt.backtest.integer.records import (
    BUY,
    FAR,
    FINE,
    LARGEST,
    LOST,
    SELL,
    TOO_LARGE,
)
from opensqt.backtest.integer.sums import share
from opensqt.backtest.integer.tables import fill_at, order_at, payment_at

NARROW = 1e-9
"""By so much of itself the price of a liquidation is taken to be nearer, being a quotient."""
RATE_WHOLE = 10**10
"""Funding rates are counted in this part."""


@part
def stop(w: Record, status: int) -> None:
    """End the run; the first reason stays."""
    if w.floor.status == FINE:
        w.floor.status = status


@part
def book_fill(  # noqa: PLR0917  # what a fill is
    w: Record, number: int, now_ns: int, price: int, quantity: int, maker: int
) -> None:
    """Book a fill: position, cost, profit and fee, and its row."""
    grid, floor = w.grid, w.floor
    signed = quantity * order_at(w, number).side
    money = price * grid.lot_money
    held = floor.held
    realised = 0
    if held == 0 or (held > 0) == (signed > 0):
        floor.cost += signed * money
    else:
        closing = signed if abs(signed) <= abs(held) else -held
        if closing == -held:
            released = floor.cost
        else:
            parts = share(floor.cost, abs(closing), abs(held) * grid.booked_money)
            released = parts * grid.booked_money
        realised = -closing * money - released
        floor.cost += (signed - closing) * money - released
    floor.held = held + signed
    rate = grid.maker_fee if maker else grid.taker_fee
    fee = grid.booked_money * share(
        price * quantity * grid.lot_money, rate, grid.fee_whole * grid.booked_money
    )
    floor.cash += realised - fee
    row = fill_at(w, floor.fills)
    floor.fills += 1
    row.order, row.time_ns, row.price, row.quantity = number, now_ns, price, quantity
    row.maker, row.fee, row.realised = maker, fee, realised


@part
def pay_funding(w: Record, now_ns: int, rate: int) -> None:
    """Settle a funding at the last price."""
    grid, floor = w.grid, w.floor
    if not floor.held or not floor.last:
        return
    amount = grid.booked_money * share(
        -floor.held * floor.last * grid.lot_money, rate, RATE_WHOLE * grid.booked_money
    )
    floor.cash += amount
    row = payment_at(w, floor.payments)
    floor.payments += 1
    row.time_ns, row.rate, row.position, row.amount = now_ns, rate, floor.held, amount
    find_loss(w)


@part
def find_loss(w: Record) -> None:
    """Find between which prices the account is not liquidated, a little too narrow."""
    grid, floor = w.grid, w.floor
    floor.lost_below, floor.lost_above = 0, FAR
    if not floor.held:
        return
    upkeep = grid.upkeep / grid.upkeep_whole
    per_tick = float(abs(floor.held)) * grid.lot_money
    base = float(floor.cash - floor.cost)
    if floor.held > 0:
        if upkeep >= 1.0:
            stop(w, LOST)
            return
        edge = -base / (per_tick * (1.0 - upkeep))
        floor.lost_below = max(int(min(edge * (1.0 + NARROW), float(FAR))) + 2, 0)
    else:
        edge = base / (per_tick * (1.0 + upkeep))
        floor.lost_above = int(max(min(edge * (1.0 - NARROW), float(FAR)), 0.0)) - 2
    if floor.last <= floor.lost_below or floor.last >= floor.lost_above:
        stop(w, LOST)


@part
def count_notional(w: Record, number: int, quantity: int) -> None:
    """So much of an order rests more, or less; one that reduces the position needs no margin."""
    grid, floor, order = w.grid, w.floor, order_at(w, number)
    if order.kind and not grid.neutral:
        return
    if order.side == BUY:
        floor.bid_notional += order.price * quantity
    else:
        floor.ask_notional += order.price * quantity


@part
def affords(w: Record, number: int) -> bool:
    """Whether margin allows an order."""
    grid, floor, order = w.grid, w.floor, order_at(w, number)
    notional = order.price * order.quantity
    floor.turnover += notional
    if floor.turnover > grid.turnover_max:
        stop(w, TOO_LARGE)
        return False
    if order.kind and not grid.neutral:
        return True
    held = floor.held * floor.last
    bids, asks = floor.bid_notional, floor.ask_notional
    before = _needed(held, bids, asks)
    if order.side == SELL:
        asks += notional
    else:
        bids += notional
    needed = _needed(held, bids, asks)
    if needed <= before:
        return True
    equity = floor.cash - floor.cost + held * grid.lot_money
    if float(needed) * grid.lot_money > float(LARGEST):
        stop(w, TOO_LARGE)
        return False
    return bool(-(-needed * grid.lot_money // grid.leverage) <= equity)


@part
def _needed(held: int, bids: int, asks: int) -> int:
    """The notional that is to be backed: the most that the position could come to."""
    return max(abs(held), abs(held + bids), abs(held - asks))
