"""`opensqt backtest`: what it refuses and says, what it writes."""

import gzip
import json
from decimal import Decimal as D
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from opensqt.backtest.recorded.runfile import read_run
from opensqt.cli.app import app
from opensqt.runtime.backtest_config import BacktestConfig
from opensqt.runtime.config import load_config
from opensqt.runtime.exact_yaml import parse_yaml
from tests.unit.cli.without import without

ROOT = Path(__file__).parents[3]
BOT = (ROOT / "config/backtest.btcusdt.yaml").read_text()
DATA = "recordings/btcusdt_perp_1m_202505.csv.gz"
LAYER = "recordings/layerusdt_perp_1m_20250505.csv.gz"
QUOTES = "recordings/btcusdt_usdm_20240808.jsonl.gz"
SHORT = ("--from", "2025-05-10", "--to", "2025-05-10T03:00")


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def backtest(*arguments: str, bot: str | None = None, tmp_path: Path | None = None) -> Result:
    config = "config/backtest.btcusdt.yaml"
    if bot is not None:
        assert tmp_path is not None
        config = str(tmp_path / "bot.yaml")
        Path(config).write_text(bot)
    return CliRunner().invoke(app, ["backtest", "-c", config, *arguments])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-d", "nowhere.csv"], "nowhere.csv"),
        (["-d", DATA, "--from", "2031-01-01"], "holds nothing of BTCUSDT"),
        (["-d", DATA, "--from", "yesterday"], "--from yesterday: allowed is a day or a time"),
        (["-d", DATA, "--from", "2025-05-12", "--to", "2025-05-11"], "after --from 2025-05-12"),
        (["-d", DATA, "--markets", "nowhere.yaml"], "nowhere.yaml"),
        (["-d", DATA, "--assume", "nowhere.yaml"], "nowhere.yaml"),
        (["-d", DATA, "--report", "no/such/place.html"], "no such directory: no/such"),
        (["-d", DATA, "--mode", "magic"], "'magic' is not one of"),
        (
            ["-d", QUOTES, "--mode", "integer"],
            "mode integer: best prices in the data; allowed: auto",
        ),
        (["-d", LAYER], "by its name it is of LAYERUSDT"),
    ],
)
def test_bad_usage_says_what_is_allowed(arguments: list[str], says: str) -> None:
    done = backtest(*arguments)
    assert (done.exit_code, says in done.output) == (2, True), done.output


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("symbol: BTCUSDT", "symbol: DOGEUSDT", "symbol = 'DOGEUSDT': symbols with rules: "),
        ("interval: 250", "interval: 250.05", "grid.interval"),
        ("quantity: 0.01", "quantity: 0.0105", "multiple of the step 0.001"),
        ("quantity: 0.01", "anchor: 0.05\n  quantity: 0.01", "multiple of the tick 0.1"),
        ("interval: 250", "interval: -1", "greater than 0"),
    ],
)
def test_a_bot_that_the_exchange_would_refuse_is_refused(
    old: str, new: str, says: str, tmp_path: Path
) -> None:
    done = backtest("-d", DATA, *SHORT, bot=BOT.replace(old, new, 1), tmp_path=tmp_path)
    assert (done.exit_code, says in done.output.replace("\n", " ")) == (2, True), done.output


def test_an_order_below_the_least_notional_is_refused(tmp_path: Path) -> None:
    bot = (ROOT / "config/backtest.layerusdt.yaml").read_text()
    bot = bot.replace("quantity: 100", "quantity: 1").replace("max_position: 2500\n", "")
    done = backtest("-d", LAYER, "--to", "2025-05-04T18:00", bot=bot, tmp_path=tmp_path)
    said = done.output.replace("\n", " ")
    assert (done.exit_code, "a notional below 5 USDT" in said) == (2, True), said


@pytest.mark.parametrize(
    ("assumed", "says"),
    [
        ("deposit: -1", "deposit = -1"),
        ("latency: {order: 20}", "such as 20ms"),
        ("latency: {order: 90s}", "up to 60s"),
        ("leverage: 126", "leverage = 126"),
        ("fills: {touch: maybe}", "'queue', 'never' or 'at_once'"),
        ("funding: {rate: 0.0001}", "rate is given with source: constant"),
        ("funding: {source: constant}", "rate is given with source: constant"),
        ("depositt: 5", "meant deposit?"),
    ],
)
def test_an_assumption_that_makes_no_sense_is_refused(
    assumed: str, says: str, tmp_path: Path
) -> None:
    (tmp_path / "assume.yaml").write_text(assumed)
    done = backtest("-d", DATA, *SHORT, "--assume", str(tmp_path / "assume.yaml"))
    assert (done.exit_code, says in done.output) == (2, True), done.output


def test_two_bots_on_one_market_need_accounts_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(BOT.replace("btc-month", "other"))
    both = ("-c", str(tmp_path / "other.yaml"), "-d", DATA, *SHORT)
    done = backtest(*both)
    assert done.exit_code == 2
    assert "one bot for a symbol of an account" in done.output
    (tmp_path / "assume.yaml").write_text("accounts: separate")
    done = backtest(*both, "--assume", str(tmp_path / "assume.yaml"), "--json", "-")
    assert done.exit_code == 0
    first, second = json.loads(done.stdout)["accounts"]
    assert (first["name"], second["name"]) == ("btc-month", "other")
    assert first["pnl"] == second["pnl"]


def test_damaged_data_is_noted_and_with_strict_refused(tmp_path: Path) -> None:
    lines = gzip.decompress((ROOT / DATA).read_bytes()).decode().splitlines()[:200]
    cells = lines[50].split(",")
    lines[50] = ",".join([cells[0], "0", *cells[2:]])
    data = tmp_path / "btcusdt_1m.csv"
    data.write_text("\n".join(lines) + "\n")
    done = backtest("-d", str(data), "--json", "-")
    assert done.exit_code == 0, done.output
    notes = json.loads(done.stdout)["data"]
    assert any("line 51" in note["text"] for note in notes), notes
    done = backtest("-d", str(data), "--strict")
    assert (done.exit_code, "line 51" in done.output) == (2, True), done.output


def test_it_tells_where_the_profit_comes_from_and_writes_everything(tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("run.json", "report.html", "tables")]
    options = [*("--json", str(places[0])), *("--report", str(places[1]))]
    done = backtest("-d", DATA, *SHORT, *options, "--parquet", str(places[2]))
    assert done.exit_code == 0, done.output
    for text in ("grid profit", "inventory", "fees", "funding", "result", "0 warnings"):
        assert text in done.stdout
    told = json.loads(places[0].read_text())
    (account,) = told["accounts"]
    parts = {name: D(amount) for name, amount in account["pnl"].items()}
    assert parts["total"] == D(account["final"]) - D(account["initial"])
    assert parts["total"] == (
        parts["grid"] + parts["forced"] + parts["inventory"] - parts["fees"] + parts["funding"]
    )
    run = read_run(places[0])  # what `opensqt diff` takes
    assert run.fills == account["metrics"]["fills"] > 0
    assert places[1].stat().st_size < 8_000_000
    names = {path.name for path in places[2].iterdir()}
    assert names == {f"{t}.parquet" for t in ("orders", "fills", "payments", "equity")}


def test_what_is_assumed_changes_what_comes_of_it(tmp_path: Path) -> None:
    found, lively = {}, BOT.replace("interval: 250", "interval: 60")
    lively = lively.replace("quantity: 0.01", "quantity: 2").replace(
        "position: 0.2", "position: 40"
    )
    for name, assumed in {
        "as it is": "",
        "free": "fees: {maker: 0, taker: 0}",
        "whole orders": "fills: {bounded: false}",
        "no funding": "funding: {source: none}",
        "paid for longs": "funding: {source: constant, rate: -0.01, interval_hours: 1}",
    }.items():
        (tmp_path / "assume.yaml").write_text(f"deposit: 10000000\n{assumed}")
        options = ("-d", DATA, *SHORT, "-a", str(tmp_path / "assume.yaml"), "--json", "-")
        done = backtest(*options, bot=lively, tmp_path=tmp_path)
        assert done.exit_code == 0, done.output
        found[name] = json.loads(done.stdout)["accounts"][0]
    pnl = {name: account["pnl"] for name, account in found.items()}
    assert D(pnl["as it is"]["fees"]) > 0 == D(pnl["free"]["fees"])
    fills = {name: account["metrics"]["fills"] for name, account in found.items()}
    assert fills["whole orders"] < fills["as it is"]  # which fill in parts
    assert D(pnl["no funding"]["funding"]) == 0
    assert D(pnl["paid for longs"]["funding"]) > 0


def test_the_example_shows_the_defaults() -> None:
    example = load_config(BacktestConfig, ROOT / "config/backtest.example.yaml", environ={})
    assert example == BacktestConfig()
    written = parse_yaml((ROOT / "config/backtest.example.yaml").read_text())
    assert set(written) == set(BacktestConfig.model_fields) - {"fees"}
    assert (
        load_config(BacktestConfig, ROOT / "config/backtest.cautious.yaml", environ={}) != example
    )


def test_without_the_libraries_of_research_it_says_how_to_get_them() -> None:
    with without("numpy"):
        done = backtest("-d", DATA)
    assert (done.exit_code, "make research" in done.output) == (2, True), done.output
