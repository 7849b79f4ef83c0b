"""The grid in hftbacktest: no latency, no queue, whole orders.

The strategy hears of a trade one nanosecond after the exchange, so that a fill and what is done
about it never come before the trade itself. It looks at every trade, and at its orders when the
price passes a level; with ``plain`` as the fourth argument at every trade.
"""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
from common import Stopwatch, best_of, read_case, write_result
from hftbacktest import (
    BUY,
    BUY_EVENT,
    EXCH_EVENT,
    FILLED,
    GTX,
    LIMIT,
    LOCAL_EVENT,
    SELL_EVENT,
    TRADE_EVENT,
    BacktestAsset,
    HashMapMarketDepthBacktest,
)
from hftbacktest.binding import event_dtype
from numba import njit

FOR_EVER = 2**62


@njit
def trade(
    hbt: Any, grid: np.ndarray, sizes: tuple[float, float], plain: int, fills: np.ndarray
) -> int:
    """Run the grid; returns the number of fills. `fills` takes their time, price, side."""
    anchor, interval, levels, slack, lowest, highest = grid
    tick, quantity = sizes
    opening = np.zeros(highest - lowest, np.bool_)
    closing = np.zeros(highest - lowest, np.bool_)
    exits = np.zeros(highest - lowest, np.int64)
    filled, low, high, kept_from, known, beside = 0, 0.0, 0.0, lowest, 0.0, 0
    while hbt.wait_next_feed(False, FOR_EVER) == 2:
        price = hbt.last_trades(0)[-1].px
        hbt.clear_last_trades(0)
        if low < price < high and not plain:
            known = price
            continue
        before = round(known / tick)
        known = price
        orders, first = hbt.orders(0).values(), filled
        while orders.has_next():  # submitting while this goes on would move the orders
            order = orders.get()
            if order.status != FILLED:
                continue
            fills[filled, 0] = order.exch_timestamp
            fills[filled, 1] = order.exec_price_tick
            fills[filled, 2] = 1 if order.side == BUY else -1
            filled += 1
            slot = order.order_id // 2
            opening[slot] = False
            closing[slot] = order.side == BUY
            if order.side != BUY and exits[slot] != anchor + (slot + lowest + 1) * interval:
                beside -= 1
        for fill in range(first, filled):
            if fills[fill, 2] > 0:
                slot = (fills[fill, 1] - anchor) // interval - lowest
                exits[slot] = max(fills[fill, 1] + interval, before + 1)
                beside += exits[slot] != fills[fill, 1] + interval
                exit_price = exits[slot] * tick
                hbt.submit_sell_order(0, 2 * slot + 1, exit_price, quantity, GTX, LIMIT, False)
        hbt.clear_inactive_orders(0)
        top = int(np.floor((price / tick - anchor) / interval))
        low = (anchor + top * interval) * tick
        high = low + interval * tick
        if beside:
            for slot in range(highest - lowest):
                if closing[slot] and exits[slot] != anchor + (slot + lowest + 1) * interval:
                    high = min(high, (exits[slot] + 0.5) * tick)
        for level in range(top, top - levels, -1):
            slot = level - lowest
            if not opening[slot] and not closing[slot]:
                opening[slot] = True
                at = (anchor + level * interval) * tick
                hbt.submit_buy_order(0, 2 * slot, at, quantity, GTX, LIMIT, False)
        for level in range(kept_from, top - levels - slack + 1):
            if opening[level - lowest]:
                opening[level - lowest] = False
                hbt.cancel(0, 2 * (level - lowest), False)
        kept_from = top - levels - slack + 1
    return filled


def make_events(ticks: SimpleNamespace, tick: float, step: float) -> np.ndarray:
    """The ticks in hftbacktest's own form."""
    events = np.zeros(len(ticks.price), event_dtype)
    side = np.where(ticks.buyer_is_maker, SELL_EVENT, BUY_EVENT).astype(np.uint64)
    events["ev"] = np.uint64(EXCH_EVENT | LOCAL_EVENT | TRADE_EVENT) | side
    events["exch_ts"] = ticks.time_ns
    events["local_ts"] = ticks.time_ns + 1
    events["px"] = ticks.price * tick
    events["qty"] = ticks.quantity * step
    return events


def run(events: np.ndarray, grid: SimpleNamespace, fills: np.ndarray) -> int:
    tick, step = float(grid.tick), float(grid.step)
    asset = (
        BacktestAsset()
        .data(events)
        .linear_asset(1.0)
        .constant_order_latency(0, 0)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(float(grid.maker_fee), float(grid.taker_fee))
        .tick_size(tick)
        .lot_size(step)
        .last_trades_capacity(16)
    )
    hbt = HashMapMarketDepthBacktest([asset])
    first, last = (round(price / tick) for price in (events["px"].min(), events["px"].max()))
    lowest = (first - grid.anchor) // grid.interval - grid.levels - grid.slack - 2
    highest = (last - grid.anchor) // grid.interval + 3
    shape = (grid.anchor, grid.interval, grid.levels, grid.slack, lowest, highest)
    plain = int(sys.argv[4] == "plain")
    filled = trade(hbt, np.array(shape), (tick, grid.quantity * step), plain, fills)
    hbt.close()
    return filled


def main() -> None:
    watch = Stopwatch()
    ticks, grid = read_case()
    events = make_events(ticks, float(grid.tick), float(grid.step))
    fills = np.zeros((len(events) * 2, 4), np.int64)
    fills[:, 3] = grid.quantity
    load_s = watch.lap()
    run(events[:2].copy(), grid, fills)
    compile_s = watch.lap()
    filled, taken = best_of(lambda: run(events, grid, fills))
    write_result(
        fills[:filled],
        load_s=load_s,
        compile_s=compile_s,
        ticks=len(events),
        **taken,
    )


main()
