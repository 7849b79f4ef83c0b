"""Candles of many symbols in OpenSQT: ``python with_year.py FOLDER OUT``.

Each symbol has a grid and an account of its own. Reading, the way through the candles, trading,
ledger, equity and drawdown are included.
"""

import json
import sys
import time
from decimal import Decimal
from pathlib import Path

from common import Stopwatch, peak_mib

from opensqt.backtest.case import AccountCase, Case
from opensqt.backtest.data.reading import read_tape
from opensqt.backtest.figures.equity import drawdown_of
from opensqt.backtest.run import run
from opensqt.core.exchange.rules import MarketRules
from opensqt.core.grid.book import Direction
from opensqt.core.grid.config import GridConfig
from opensqt.core.instrument import Instrument
from opensqt.engine.bot import Bot


def make_bot(symbol: str) -> Bot:
    return Bot(
        bot_id="bench",
        account=symbol,
        symbol=symbol,
        direction=Direction.LONG,
        anchor=None,
        grid=GridConfig(
            interval=Decimal(1000), buy_levels=10, sell_levels=10, quantity=Decimal("0.005")
        ),
        instrument=Instrument(
            symbol=symbol,
            base="BTC",
            quote="USDT",
            tick_size=Decimal("0.1"),
            step_size=Decimal("0.001"),
            min_quantity=Decimal("0.001"),
            max_quantity=Decimal(1000),
            min_notional=Decimal(100),
        ),
    )


def main() -> None:
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    said = {"ticks": 0, "fills": 0, "read_s": 0.0, "trade_s": 0.0, "equity_s": 0.0}
    modes: dict[str, int] = {}
    for path in sorted(folder.glob("*.parquet")):
        watch = Stopwatch()
        symbol = path.stem
        bot = make_bot(symbol)
        tape = read_tape(path, bot.instrument)
        said["read_s"] += watch.lap()
        case = Case(
            bots=(bot,),
            markets={bot.symbol: MarketRules(instrument=bot.instrument)},
            tapes={bot.symbol: tape},
            accounts={bot.account: AccountCase(deposit=Decimal(100_000))},
        )
        result = run(case)
        said["trade_s"] += watch.lap()
        drawdown_of(case, result, symbol)
        said["equity_s"] += watch.lap()
        said["ticks"] += len(tape.trades)
        said["fills"] += len(result.fills)
        modes[str(result.mode)] = modes.get(str(result.mode), 0) + 1
        for detour in result.detours:
            modes[detour] = modes.get(detour, 0) + 1
    out.write_text(
        json.dumps({**said, "modes": modes, "cpu_s": time.process_time(), "peak_mib": peak_mib()}),
        encoding="utf-8",
    )


main()
