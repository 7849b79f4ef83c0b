"""The grid in OpenSQT; the fourth argument is the mode. Ledger, equity and drawdown included."""

import sys
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
from common import Stopwatch, best_of, read_case, write_result

from opensqt.backtest.case import AccountCase, Case, Mode
from opensqt.backtest.figures.equity import drawdown_of, equity_of
from opensqt.backtest.integer.engine import prepare
from opensqt.backtest.result import Result
from opensqt.backtest.run import run
from opensqt.backtest.tape import Tape, Trades
from opensqt.core.exchange.rules import Fees, MarketRules, Touch
from opensqt.core.grid.book import Direction
from opensqt.core.grid.config import GridConfig
from opensqt.core.instrument import Instrument
from opensqt.engine.bot import Bot

ACCOUNT, SYMBOL = "bench", "BTCUSDT"
MANY = 10_000
"""Orders that may be open: the grid's closing orders pile up as the price falls."""


def make_case(ticks: SimpleNamespace, grid: SimpleNamespace) -> Case:
    """The same grid on the same ticks as the other engines'."""
    tick, step = Decimal(grid.tick), Decimal(grid.step)
    instrument = Instrument(
        symbol=SYMBOL,
        base="BTC",
        quote="USDT",
        tick_size=tick,
        step_size=step,
        min_quantity=step,
        max_quantity=Decimal(1000),
        min_notional=Decimal(5),
    )
    bot = Bot(
        bot_id="bench",
        account=ACCOUNT,
        symbol=SYMBOL,
        direction=Direction.LONG,
        anchor=grid.anchor * tick,
        grid=GridConfig(
            interval=grid.interval * tick,
            buy_levels=grid.levels,
            sell_levels=grid.levels,
            quantity=grid.quantity * step,
            slack_levels=grid.slack,
            max_open_orders=MANY,
        ),
        instrument=instrument,
    )
    rules = MarketRules(
        instrument=instrument,
        fees=Fees(maker=Decimal(grid.maker_fee), taker=Decimal(grid.taker_fee)),
        max_open_orders=MANY,
        touch=Touch.NEVER,
        bounded=False,
    )
    tape = Tape(
        symbol=SYMBOL,
        tick=tick,
        quantity_unit=step,
        trades=Trades(
            time_ns=ticks.time_ns,
            price=ticks.price,
            quantity=ticks.quantity,
            buyer_is_maker=np.ones(len(ticks.price), np.bool_),
            row=np.arange(len(ticks.price)),
        ),
    )
    return Case(
        bots=(bot,),
        markets={SYMBOL: rules},
        tapes={SYMBOL: tape},
        accounts={ACCOUNT: AccountCase(deposit=Decimal(grid.deposit))},
    )


def rows_of(result: Result) -> np.ndarray:
    """The fills as rows of (time, price, side, quantity)."""
    fills = result.fills
    return np.column_stack(
        (fills.time_ns, fills.price, result.orders.side[fills.order], fills.quantity)
    )


def main() -> None:
    mode, _, curve = sys.argv[4].partition(" ")
    equity = equity_of if curve else drawdown_of
    watch = Stopwatch()
    ticks, grid = read_case()
    case = make_case(ticks, grid)
    load_s = watch.lap()
    if Mode.INTEGER in mode:
        prepare()  # compiled on another day, it is only loaded
    compile_s = watch.lap()

    def trade() -> tuple[Result, float]:
        result = run(case, mode=Mode(mode))
        watch.lap()
        equity(case, result, ACCOUNT)
        return result, watch.lap()

    (result, equity_s), taken = best_of(trade)
    write_result(
        rows_of(result),
        ticks=len(ticks.price),
        load_s=load_s,
        compile_s=compile_s,
        equity_s=equity_s,
        mode=result.mode,
        detours=result.detours,
        acted=result.acted,
        **taken,
    )


main()
