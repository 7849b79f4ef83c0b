"""A run in one process and a backtest without latency: the same orders and fills."""

import gzip
from dataclasses import replace
from decimal import Decimal as D
from pathlib import Path

import pytest

from opensqt.backtest.case import AccountCase, Case, Mode
from opensqt.backtest.data.reading import read_tape
from opensqt.backtest.diff.compare import compare
from opensqt.backtest.markets import load_markets
from opensqt.backtest.recorded.sources import run_of
from opensqt.backtest.run import run
from opensqt.core.grid.book import Direction
from opensqt.core.grid.config import GridConfig
from opensqt.engine.bot import Bot
from opensqt.runtime.config import ConfigError
from opensqt.solo.apart import apart
from opensqt.testing.tapes import random_cases_together
from tests.unit.solo.world import play, run_case

ROOT = Path(__file__).parents[3]
LINES = 6000


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
    case = Case(
        bots=(bot,),
        markets={"BTCUSDT": rules},
        tapes={"BTCUSDT": read_tape(recording, rules.instrument)},
        accounts={"paper": AccountCase(deposit=D(10_000))},
    )
    ended = play(run_case(case, tmp_path / "c.sqlite"))
    assert ended.comparison.agree
    assert ended.run.fills > 20
    backtest = run_of(case, run(case, mode=Mode.EVERY))
    assert not compare(backtest, ended.run, tolerance_ns=0, same_clock=True).differences


def test_bots_with_an_account_each_are_run_apart() -> None:
    together = random_cases_together(3)
    bots = tuple(replace(bot, account=bot.bot_id) for bot in together.bots)
    accounts = {bot.account: AccountCase(deposit=D(100)) for bot in bots}
    for bot, alone in zip(
        bots, apart(replace(together, bots=bots, accounts=accounts)), strict=True
    ):
        assert alone.bots == (bot,)
        assert set(alone.markets) == set(alone.tapes) == {bot.symbol}
        assert set(alone.accounts) == {bot.account}


def test_bots_that_would_share_a_margin_are_refused() -> None:
    together = random_cases_together(3)
    shared = tuple(replace(bot, account="main") for bot in together.bots)
    with pytest.raises(ConfigError, match="an account for each bot, and bot-0 trades on this one"):
        apart(replace(together, bots=shared))
