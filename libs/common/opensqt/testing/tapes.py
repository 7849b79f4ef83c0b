"""Random markets and random cases for backtests, each a function of its seed."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.random import Generator

from opensqt.backtest.case import AccountCase, Case, Latency
from opensqt.backtest.columns import Ints
from opensqt.backtest.tape import Fundings, Marks, Quotes, Tape, Trades
from opensqt.core.exchange.rules import Fees, MarketRules, Touch
from opensqt.core.grid.book import Direction
from opensqt.core.grid.config import AtrSpacing, GridConfig
from opensqt.core.instrument import Instrument
from opensqt.engine.bot import Bot

START_NS: Final = 1_750_000_000 * 10**9
MS: Final = 1_000_000
MARKS_PER_TICK: Final = 10**7
"""Of `INSTRUMENT`: mark prices are counted finer."""

INSTRUMENT: Final = Instrument(
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.1"),
    step_size=Decimal("0.001"),
    min_quantity=Decimal("0.001"),
    max_quantity=Decimal(100),
    min_notional=Decimal(5),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """What a random market is like."""

    trades: int = 500
    start: int = 10_000
    """Ticks."""
    stride: int = 12
    """Largest step of the price from trade to trade, in ticks."""
    pause_ms: int = 2_000
    """Longest pause between trades."""
    jump: float = 0.0
    """How likely a trade is to be a jump of fifty strides."""
    quantity: int = 400
    """Largest quantity of a trade, in its unit."""
    quotes: bool = False
    marks: bool = False
    fundings: int = 0
    """How many settlements."""


def random_tape(seed: int, walk: Walk | None = None, instrument: Instrument = INSTRUMENT) -> Tape:
    """A market of trades along a random walk; the same for the same seed."""
    walk = walk or Walk()
    rng = np.random.default_rng(seed)
    count = walk.trades
    strides = rng.integers(-walk.stride, walk.stride + 1, count)
    jumps = rng.random(count) < walk.jump
    strides = np.where(jumps, strides * 50, strides)
    price = _reflected(walk.start + np.cumsum(strides), walk.start)
    pauses = rng.integers(0, walk.pause_ms + 1, count) * (rng.random(count) < 0.7)
    time_ns = START_NS + np.cumsum(pauses) * MS
    rows = np.arange(count) * 8
    trades = Trades.of(
        time_ns=time_ns,
        price=price,
        quantity=rng.integers(1, walk.quantity + 1, count),
        buyer_is_maker=rng.random(count) < 0.5,
        row=rows,
    )
    tape = Tape(
        symbol=instrument.symbol,
        tick=instrument.tick_size,
        quantity_unit=instrument.step_size / 10,
        trades=trades,
        source=f"seed {seed}",
    )
    if walk.quotes:
        tape = replace(tape, quotes=_quotes(rng, trades, walk))
    if walk.marks:
        kept = np.sort(rng.choice(count, max(1, count // 5), replace=False))
        near = price[kept] * MARKS_PER_TICK + rng.integers(-(10**8), 10**8, len(kept))
        tape = replace(
            tape,
            marks=Marks.of(time_ns=time_ns[kept], price=np.maximum(near, 1), row=rows[kept] + 3),
        )
    if walk.fundings:
        kept = np.sort(rng.choice(count, walk.fundings, replace=False))
        tape = replace(
            tape,
            fundings=Fundings.of(
                time_ns=time_ns[kept],
                rate=rng.integers(-(10**7), 10**7, walk.fundings),
                interval_minutes=np.full(walk.fundings, 480),
                row=rows[kept] + 5,
            ),
        )
    return tape


def random_case(seed: int, *, trades: int = 400) -> Case:
    """A bot with random settings on a random market, under random assumptions."""
    rng = np.random.default_rng([seed, 1])
    walk = Walk(
        trades=trades,
        stride=int(rng.choice([2, 6, 12, 40])),
        pause_ms=int(rng.choice([50, 2_000, 20_000])),
        jump=float(rng.choice([0.0, 0.0, 0.02])),
        quantity=int(rng.choice([20, 400, 5_000])),
        quotes=_happens(rng, 0.3),
        marks=_happens(rng, 0.3),
        fundings=int(rng.choice([0, 0, 3])),
    )
    rules = random_rules(rng)
    bot = random_bot(rng, rules.instrument)
    small = _happens(rng, 0.4)
    account = AccountCase(
        deposit=Decimal(int(rng.integers(2, 60))) if small else Decimal(100_000),
        leverage={bot.symbol: int(rng.choice([2, 20, 100]))},
    )
    return Case(
        bots=(bot,),
        markets={bot.symbol: rules},
        tapes={bot.symbol: random_tape(seed, walk)},
        accounts={bot.account: account},
        latency=random_latency(rng),
    )


def random_cases_together(seed: int, *, symbols: int = 2, trades: int = 200) -> Case:
    """Several bots on several markets, on one account or on two."""
    rng = np.random.default_rng([seed, 2])
    shared = _happens(rng, 0.7)
    bots, markets, tapes, accounts = [], {}, {}, {}
    for number in range(symbols):
        instrument = replace(INSTRUMENT, symbol=f"C{number}USDT", base=f"C{number}")
        rules = random_rules(rng, instrument)
        name = "main" if shared else f"account-{number}"
        bot = replace(random_bot(rng, instrument), bot_id=f"bot-{number}", account=name)
        bots.append(bot)
        markets[instrument.symbol] = rules
        walk = Walk(
            trades=trades,
            stride=int(rng.choice([6, 40])),
            marks=_happens(rng, 0.3),
            quotes=_happens(rng, 0.3),
            fundings=2,
        )
        tapes[instrument.symbol] = random_tape(seed * 100 + number, walk, instrument)
        accounts[name] = AccountCase(deposit=Decimal(int(rng.choice([20, 100, 10_000]))))
    return Case(
        bots=tuple(bots),
        markets=markets,
        tapes=tapes,
        accounts=accounts,
        latency=random_latency(rng),
    )


def random_bot(rng: Generator, instrument: Instrument = INSTRUMENT) -> Bot:
    """A bot with random settings."""
    spread_out = _happens(rng, 0.2)
    atr = AtrSpacing(period=2, multiple=Decimal("0.5")) if spread_out else None
    by_amount = _happens(rng, 0.3)
    bounded = _happens(rng, 0.4)
    grid = GridConfig(
        interval=int(rng.choice([5, 10, 25, 60])) * instrument.tick_size,
        buy_levels=int(rng.integers(1, 7)),
        sell_levels=int(rng.integers(1, 7)),
        quantity=None if by_amount else Decimal(int(rng.integers(1, 30))) / 100,
        quote_amount=Decimal(int(rng.integers(6, 200))) if by_amount else None,
        max_open_orders=int(rng.choice([2, 4, 8, 100])),
        max_position=Decimal(int(rng.integers(1, 50))) / 50 if bounded else None,
        post_only=_happens(rng, 0.7),
        skew_levels=int(rng.integers(0, 4)) if bounded else 0,
        slack_levels=int(rng.integers(0, 3)),
        atr=atr,
        max_actions=int(rng.choice([1, 3, 20])),
    )
    return Bot(
        bot_id="btc",
        account="main",
        symbol=instrument.symbol,
        direction=list(Direction)[int(rng.integers(0, 3))],
        anchor=Decimal(int(rng.integers(9_000, 11_000))) / 10 if _happens(rng, 0.5) else None,
        grid=grid,
        instrument=instrument,
    )


def random_rules(rng: Generator, instrument: Instrument = INSTRUMENT) -> MarketRules:
    """Random assumptions about a market."""
    return MarketRules(
        instrument=instrument,
        fees=Fees(
            maker=Decimal(int(rng.integers(-2, 5))) / 10_000,
            taker=Decimal(int(rng.integers(2, 8))) / 10_000,
        ),
        assumed_depth=Decimal(int(rng.integers(1, 30))) / 20,
        max_open_orders=int(rng.choice([3, 200, 200, 200])),
        maintenance_rate=Decimal(int(rng.choice([4, 4, 30]))) / 1_000,
        touch=list(Touch)[int(rng.choice([0, 0, 1, 2]))],
        bounded=_happens(rng, 0.7),
    )


def random_latency(rng: Generator) -> Latency:
    """No latency, the same one everywhere, or three different ones."""
    scale = int(rng.choice([0, 1, 500, 3_000]))
    if _happens(rng, 0.3):
        return Latency(market_ns=scale * MS, order_ns=scale * MS, report_ns=scale * MS)
    market_ns, order_ns, report_ns = (int(rng.integers(0, scale + 1)) * MS for _ in range(3))
    return Latency(market_ns=market_ns, order_ns=order_ns, report_ns=report_ns)


def _quotes(rng: Generator, trades: Trades, walk: Walk) -> Quotes:
    """Quotes beside about half of the trades, sometimes before the first."""
    count = len(trades)
    first = 0 if _happens(rng, 0.5) else count // 4
    kept = first + np.flatnonzero(rng.random(count - first) < 0.5)
    spread = rng.integers(1, 4, len(kept))
    bid = np.maximum(trades.price[kept] - rng.integers(0, 3, len(kept)), 1)
    return Quotes.of(
        time_ns=trades.time_ns[kept],
        bid=bid,
        bid_quantity=rng.integers(1, walk.quantity + 1, len(kept)),
        ask=bid + spread,
        ask_quantity=rng.integers(1, walk.quantity + 1, len(kept)),
        row=trades.row[kept] + np.where(rng.random(len(kept)) < 0.5, -1, 1),
    )


def _reflected(price: Ints, start: int) -> Ints:
    """Keep a walk well above zero by reflecting it at a tenth of where it began."""
    floor = start // 10
    reflected: Ints = np.abs(price - floor) + floor
    return reflected


def _happens(rng: Generator, share: float) -> bool:
    return bool(rng.random() < share)
