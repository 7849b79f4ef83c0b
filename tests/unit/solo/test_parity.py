"""A run in one process and a backtest without latency: the same orders, fill by fill."""

import asyncio
import gzip
from decimal import Decimal as D
from pathlib import Path

from opensqt.adapters.replay.recording import Recording
from opensqt.backtest.case import AccountCase, Case, Mode
from opensqt.backtest.markets import load_markets
from opensqt.backtest.reading import read_tape
from opensqt.backtest.result import money_unit
from opensqt.backtest.run import run
from opensqt.core.grid.book import Direction
from opensqt.core.grid.config import GridConfig
from opensqt.engine.bot import Bot
from opensqt.solo.run import SoloRun

ROOT = Path(__file__).parents[3]
LINES = 6000
DEPOSIT = D(10_000)


def test_the_backtest_trades_as_the_engine_does(tmp_path: Path) -> None:
    recording = tmp_path / "part.jsonl"
    with gzip.open(ROOT / "recordings" / "btcusdt_usdm_20240808.jsonl.gz", "rt") as whole:
        recording.write_text("".join(line for _, line in zip(range(LINES), whole, strict=False)))
    rules = load_markets(ROOT / "config" / "markets.binance_usdm.yaml")["BTCUSDT"]
    bot = Bot(
        bot_id="btc",
        account="paper",
        symbol="BTCUSDT",
        direction=Direction.NEUTRAL,
        anchor=D(61_700),
        grid=GridConfig(interval=D(10), buy_levels=5, sell_levels=5, quantity=D("0.005")),
        instrument=rules.instrument,
    )
    solo = SoloRun(
        bot,
        source=Recording(recording, {"BTCUSDT": rules.instrument}),
        rules=rules,
        deposit=DEPOSIT,
        checkpoints=tmp_path / "c.sqlite",
        description="part",
    )

    async def play() -> None:
        await solo.begin()
        await solo.play(speed=None, stop=asyncio.Event())
        assert (await solo.end()).agree

    began_ns = solo.market.now_ns()
    asyncio.run(play())
    tape = read_tape(recording, rules.instrument)
    result = run(
        Case(
            bots=(solo.bot,),
            markets={"BTCUSDT": rules},
            tapes={"BTCUSDT": tape},
            accounts={"paper": AccountCase(deposit=DEPOSIT)},
        ),
        mode=Mode.EVERY,
    )
    # The recording tells two times of everything: when it happened, and when it was heard.
    engine = [
        (fill.time_ns - began_ns, fill.side.sign, fill.price, fill.quantity, fill.fee)
        for fill in solo.market.account.fills
    ]
    fills, tick, step = result.fills, rules.instrument.tick_size, rules.instrument.step_size
    money = money_unit(rules.instrument)
    backtest = [
        (
            int(fills.time_ns[n]) - result.start_ns,
            int(result.orders.side[fills.order[n]]),
            int(fills.price[n]) * tick,
            int(fills.quantity[n]) * step,
            int(fills.fee[n]) * money,
        )
        for n in range(len(fills))
    ]
    assert len(engine) > 20
    assert backtest == engine
