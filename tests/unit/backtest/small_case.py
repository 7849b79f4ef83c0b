"""A market of five trades, so that everything that comes of it can be worked out by hand.

====  =====  ================================  ========
at    trade  what fills, 0.1 each              position
====  =====  ================================  ========
0 h   1000   nothing; buys rest at 990, 980    0
8 h    989   buy at 990                        0.1
16 h  1001   sell at 1000, a round trip of 1   0
24 h   979   buy at 1000, buy at 990           0.2
32 h   985   nothing                           0.2
====  =====  ================================  ========

The maker fee is 0.02 %, and the market begins at midnight.
"""

from dataclasses import replace
from decimal import Decimal as D

import numpy as np

from opensqt.backtest.case import AccountCase, Case, Mode
from opensqt.backtest.result import Result
from opensqt.backtest.run import run
from opensqt.backtest.tape import Tape, Trades
from opensqt.core.exchange.rules import MarketRules, Touch
from opensqt.core.grid.book import Direction
from opensqt.core.grid.config import GridConfig
from opensqt.engine.bot import Bot
from opensqt.testing.tapes import INSTRUMENT

HOUR_NS = 3_600 * 10**9
MIDNIGHT_NS = 1_749_945_600 * 10**9
"""2025-06-15."""
PRICES = (1000, 989, 1001, 979, 985)
DEPOSIT = D(1000)


def small_case(
    *, prices: tuple[int, ...] = PRICES, interval: int = 10, candle_s: int | None = None
) -> Case:
    """The case above, or with another grid or other prices."""
    count = len(prices)
    trades = Trades.of(
        time_ns=MIDNIGHT_NS + np.arange(count) * 8 * HOUR_NS,
        price=np.array(prices) * 10,
        quantity=np.full(count, 10**6),
        buyer_is_maker=np.zeros(count, dtype=bool),
        row=np.arange(count),
    )
    symbol = INSTRUMENT.symbol
    tape = Tape(
        symbol=symbol,
        tick=INSTRUMENT.tick_size,
        quantity_unit=INSTRUMENT.step_size,
        trades=trades,
        source="by hand",
        candle_s=candle_s,
    )
    bot = Bot(
        bot_id="btc",
        account="main",
        symbol=symbol,
        direction=Direction.LONG,
        anchor=D(1000),
        grid=GridConfig(
            interval=D(interval), buy_levels=2, sell_levels=2, quantity=D("0.1"), slack_levels=0
        ),
        instrument=INSTRUMENT,
    )
    return Case(
        bots=(bot,),
        markets={symbol: replace(MarketRules(instrument=INSTRUMENT), touch=Touch.AT_ONCE)},
        tapes={symbol: tape},
        accounts={"main": AccountCase(deposit=DEPOSIT)},
    )


def ran(case: Case) -> Result:
    """What comes of it, by the reference."""
    return run(case, mode=Mode.EVERY)
