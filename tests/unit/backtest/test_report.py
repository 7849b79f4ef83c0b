"""The report: everything is in it, nothing comes from elsewhere, and it stays small."""

import json
import re
from dataclasses import replace
from decimal import Decimal as D
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from opensqt.backtest.case import AccountCase, Case, Mode
from opensqt.backtest.report.as_json import report_json
from opensqt.backtest.report.as_parquet import write_parquet
from opensqt.backtest.report.assumptions import NOT_MODELLED
from opensqt.backtest.report.contents import Contents
from opensqt.backtest.report.page import page
from opensqt.backtest.report.sampling import telling_points
from opensqt.backtest.report.texts import money, percent, quantity
from opensqt.backtest.run import run
from opensqt.backtest.tape import DataNote
from opensqt.core.exchange.rules import Fees
from opensqt.runtime.backtest_config import BacktestConfig
from opensqt.testing.tapes import Walk, random_case, random_cases_together, random_tape
from tests.unit.backtest.small_case import small_case

LARGEST_BYTES = 8_000_000


def contents_of(case: Case, **assumed: object) -> Contents:
    config = BacktestConfig.model_validate(assumed)
    return Contents.of(case, run(case, mode=Mode.EVERY), config)


@pytest.fixture(scope="module")
def contents() -> Contents:
    case = random_case(5, trades=300)
    (symbol,) = case.tapes
    note = DataNote(kind="gap", count=3, text="first at <line 7>")
    tapes = {symbol: replace(case.tapes[symbol], notes=(note,), source="a <b>.csv")}
    return contents_of(replace(case, tapes=tapes))


def test_the_page_has_everything_and_needs_nothing(contents: Contents) -> None:
    text = page(contents)
    body = text[text.index("<main>") : text.index("</main>")]
    for heading in (
        "Where the result comes from",
        "Metrics",
        "Equity and drawdown",
        "Exposure and margin",
        "with fills",
        "Inventory",
        "Day by day",
        "What the grid lives on",
        "The result over time, in parts",
        "Levels",
        "Assumptions",
        "Not modelled",
        "Data",
        "Settings",
    ):
        assert heading in body
    for assumption in contents.assumptions:
        assert assumption.subject in body
    for left_out in NOT_MODELLED:
        assert left_out.split("'")[0] in body
    assert "not enough data" in body  # a Sharpe ratio of some minutes
    assert "first at &lt;line 7&gt;" in body
    assert "a &lt;b&gt;.csv" in body
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)=", text)
    assert len(text.encode()) < LARGEST_BYTES


def test_the_plots_are_readable_json(contents: Contents) -> None:
    found = re.findall(r"<script type='application/json'>(.*?)</script>", page(contents), re.DOTALL)
    assert len(found) == 9
    for figure in map(json.loads, found):
        assert figure["data"]
        assert figure["layout"]["height"] > 0


def test_a_long_market_with_many_bots_stays_small() -> None:
    case = random_cases_together(1, symbols=6, trades=60)
    tapes = {
        symbol: random_tape(n, Walk(trades=60_000, stride=3), case.bots[n].instrument)
        for n, symbol in enumerate(case.tapes)
    }
    result = run(case, mode=Mode.EVERY)
    last = max(int(tape.trades.time_ns[-1]) for tape in tapes.values())
    longer = Contents.of(replace(case, tapes=tapes), replace(result, end_ns=last), BacktestConfig())
    text = page(longer)
    assert len(text.encode()) < LARGEST_BYTES
    for bot in case.bots:
        assert bot.bot_id in text


def test_few_points_keep_every_extreme() -> None:
    rng = np.random.default_rng(5)
    times = np.cumsum(rng.integers(0, 1000, 100_000))
    curve = np.cumsum(rng.normal(size=100_000))
    curve[77_777] = 1e6
    curve[33_333] = -1e6
    kept = telling_points(times, (curve,), spans=200)
    assert len(kept) <= 4 * 200
    assert {0, 33_333, 77_777, 99_999} <= set(kept.tolist())
    assert bool((np.diff(kept) > 0).all())
    edges = np.linspace(times[0], times[-1], 201).astype(np.int64)
    for begin, end in pairwise(edges.tolist()):
        inside = (times >= begin) & (times < end)
        chosen = curve[kept][(times[kept] >= begin) & (times[kept] < end)]
        assert chosen.max() == curve[inside].max()
        assert chosen.min() == curve[inside].min()
    assert telling_points(times[:5], (curve[:5],), spans=2).tolist() == [0, 1, 2, 3, 4]


def test_json_is_exact_and_null_where_undefined(contents: Contents) -> None:
    told = json.loads(json.dumps(report_json(contents)))
    (account,) = told["accounts"]
    (books,) = contents.accounting.accounts
    assert D(account["final"]) == books.final
    assert D(account["pnl"]["total"]) == books.split.total
    assert account["metrics"]["sharpe"] is None
    assert [D(level["profit"]) for level in account["bots"][0]["levels"]] == [
        level.profit for level in books.bots[0].levels
    ]
    assert told["data"] == [
        {"symbol": "BTCUSDT", "kind": "gap", "count": 3, "text": "first at <line 7>"}
    ]


def test_the_tables_are_the_result(contents: Contents, tmp_path: Path) -> None:
    tables = {path.stem: pq.read_table(path) for path in write_parquet(tmp_path / "t", contents)}
    result, run_of_bot = contents.result, contents.result.bots[0]
    assert {name: len(table) for name, table in tables.items() if name != "equity"} == {
        "orders": len(result.orders),
        "fills": len(result.fills),
        "payments": len(result.payments),
    }
    prices = tables["fills"]["price"].to_pylist()
    assert prices == [int(p) * run_of_bot.instrument.tick_size for p in result.fills.price]
    fees = tables["fills"]["fee"].to_pylist()
    assert sum(fees, D(0)) == contents.accounting.split.fees
    never = (result.orders.placed_ns == -1).sum()
    assert tables["orders"]["placed"].null_count == never
    assert tables["equity"]["equity"][-1].as_py() == pytest.approx(float(contents.accounting.final))


def test_what_went_wrong_is_warned_of() -> None:
    case = random_case(9, trades=120)
    poor = AccountCase(deposit=D(4), leverage={"BTCUSDT": 100})
    text = page(contents_of(replace(case, accounts=dict.fromkeys(case.accounts, poor))))
    assert "was halted: LIQUIDATION" in text
    assert "was closed by force" in text
    assert "forced closes" in text
    assert re.search(r"Nearest to liquidation</span><strong[^>]*>liquidated<", text)
    assert "came near its liquidation" not in text


def test_fees_above_the_grid_profit_are_warned_of() -> None:
    # Two openings after a round trip that earned 1: 0.1 * 0.0026 * 3980 = 1.0348.
    dear = small_case()
    rules = {s: replace(r, fees=Fees(maker=D("0.0026"))) for s, r in dear.markets.items()}
    said = contents_of(replace(dear, markets=rules)).warnings
    told = "btc paid 1.03 USDT of fees for a grid profit of 1.00; "
    assert [text.startswith(told) for text in said] == [True]


def shown(case: Case) -> str:
    """What a person reads of a page, without the plots."""
    text = page(contents_of(case))
    main = text[text.index("<main>") : text.index("</main>")]
    return re.sub(r"<script.*?</script>|<[^>]+>", " ", main, flags=re.DOTALL)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(small_case(prices=(1000, 1003, 1001)), id="no fill"),
        pytest.param(small_case(prices=(1000, 989, 991)), id="one fill"),
        pytest.param(small_case(prices=(1000,)), id="one trade"),
        pytest.param(small_case(), id="a round trip"),
        pytest.param(random_cases_together(2, trades=60), id="several bots"),
    ],
)
def test_there_is_always_something_sensible_to_read(case: Case) -> None:
    text = shown(case)
    assert not re.search(r"\b([nN]a[nN]|[iI]nf|Infinity|None|null)\b", text), text
    assert "Result" in text


def test_without_a_fill_nothing_is_made_up() -> None:
    text = shown(small_case(prices=(1000, 1003, 1001)))
    assert "btc never had a fill" in text
    assert re.search(r"Nearest to liquidation\s+never held", text)
    assert re.search(r"A round trip earns\s+not enough data", text)


def test_fees_that_eat_every_round_trip_are_warned_of() -> None:
    dear = small_case()
    rules = {s: replace(r, fees=Fees(maker=D("0.006"))) for s, r in dear.markets.items()}
    # 2 * 0.006 * 1000 / 0.994 = 12.07…, more than the interval of 10
    said = " ".join(contents_of(replace(dear, markets=rules)).warnings)
    assert "interval of 10 USDT is not more than the maker fees of a round trip" in said
    assert "12.07 USDT" in said
    assert "not more than" not in " ".join(contents_of(dear).warnings)


def test_round_trips_that_candles_do_not_show_are_warned_of() -> None:
    said = contents_of(small_case(candle_s=24 * 3600)).warnings
    assert any("100 % of the closing fills are in the very candle of 86400 s" in s for s in said)
    said = contents_of(small_case(candle_s=4 * 3600)).warnings
    assert not any("candle" in s for s in said)


def test_a_grid_that_stands_still_is_warned_of() -> None:
    said = contents_of(small_case(prices=(1000, 989, 970, 900, 900, 900, 900))).warnings
    told = "btc stood still at the end: no fill in the last 24.0 hours, holding 0.5 BTC"
    assert [text.startswith(told) for text in said] == [True]
    assert not contents_of(small_case()).warnings


def test_what_is_in_the_json_of_a_grid() -> None:
    (bot,) = report_json(contents_of(small_case()))["accounts"][0]["bots"]
    assert bot["grid"]["break_even_interval"] == "0.40008002"
    assert (bot["grid"]["best_level"], bot["grid"]["worst_level"]) == (-1, 0)
    assert [level["result"] for level in bot["levels"]] == ["0.4404", "-1.52"]


@pytest.mark.parametrize(
    ("assumed", "says"),
    [
        ({"fills": {"touch": "never"}}, "only one through it does"),
        ({"fills": {"touch": "at_once"}}, "as if nobody were before it"),
        ({"fills": {"bounded": False}}, "fills whole orders"),
        ({"funding": {"source": "none"}}, "Funding: none"),
        (
            {"funding": {"source": "constant", "rate": "0.0001", "interval_hours": 4}},
            "0.01 % every 4 h",
        ),
    ],
)
def test_assumptions_are_said_in_words(assumed: dict[str, object], says: str) -> None:
    said = [f"{a.subject}: {a.text}" for a in contents_of(random_case(7), **assumed).assumptions]
    assert any(says in text for text in said), said


def test_numbers_for_people() -> None:
    assert [money(D(n)) for n in ("0", "-1234.567", "0.05123", "0.00001234")] == [
        "0.00",
        "-1,234.57",
        "0.0512",
        "0.00001234",
    ]
    assert quantity(D("1500.2500")) == "1,500.25"
    assert (percent(0.12345), percent(None)) == ("12.35 %", "not enough data")
