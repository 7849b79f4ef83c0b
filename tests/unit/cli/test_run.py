"""`opensqt run`: what it refuses, before anything is done; what it does is shown as a process."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from opensqt.backtest.recorded.runfile import read_run
from opensqt.cli.app import app
from opensqt.cli.exit_codes import ExitCode

ROOT = Path(__file__).resolve().parents[3]
BOT = ROOT / "config" / "bot.example.yaml"


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(ROOT)
    yield
    structlog.reset_defaults()  # the command sets up how its process logs


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["run", "--json", "-", *arguments])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--engine", "durable"], "`opensqt up` starts all; run that instead"),
        (["--engine", "other"], "--engine other: allowed: simple"),
        (["--recording", "none.jsonl"], "none.jsonl"),
        (["--summary", "none/x.json"], "none/x.json: no such directory"),
        (["--checkpoint", "none/x.sqlite"], "--checkpoint none/x.sqlite: no such directory"),
        (["--speed", "fast"], "--speed fast: allowed is a number up to 10000, or max"),
        (["--speed", "-1"], "--speed -1: allowed is a number up to 10000, or max"),
        (["--from", "then"], "--from then: allowed is a day or a time in UTC"),
        (["--from", "2025-01-02", "--to", "2025-01-01"], "allowed is a time after --from"),
        (["--assume", "none.yaml"], "none.yaml"),
        (["-c", str(BOT), "-c", str(BOT)], "another name for each bot"),
        (["--duration", "long"], "allowed is a number with s, m or h"),
        (["--deposit", "much"], "--deposit: 'much' is not a decimal number"),
        (["--deposit", "-1"], "allowed is more than zero"),
        (["--markets", "none.yaml"], "none.yaml"),
        (["--config", "none.yaml"], "none.yaml"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_bad_usage_says_what_is_allowed(arguments: list[str], says: str) -> None:
    answer = run(*arguments)
    assert answer.exit_code == ExitCode.USAGE
    assert says in json.loads(answer.stdout)["error"]


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("symbol: BTCUSDT", "symbol: NOPEUSDT", "symbols with rules: ADAUSDT, "),
        ("interval: 30", "interval: 0.05", "grid.interval"),
        ("quantity: 0.005", "quantity: 0.001", "grid.quantity"),
    ],
)
def test_a_bot_that_the_market_makes_impossible_is_refused(
    tmp_path: Path, key: str, value: str, says: str
) -> None:
    text = BOT.read_text()
    assert key in text
    path = tmp_path / "bot.yaml"
    path.write_text(text.replace(key, value))
    answer = run("--config", str(path))
    assert answer.exit_code == ExitCode.USAGE
    assert says in json.loads(answer.stdout)["error"]


def test_a_damaged_recording_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "damaged.jsonl"
    path.write_text("no recording\n")
    answer = run("--recording", str(path))
    assert answer.exit_code == ExitCode.USAGE
    assert "damaged.jsonl, line 1" in json.loads(answer.stdout)["error"]


def test_a_file_that_is_no_checkpoint_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("something dear\n")
    answer = run("--checkpoints", str(path))
    assert answer.exit_code == ExitCode.FAILURE
    assert "mine.txt" in json.loads(answer.stdout)["error"]
    assert path.read_text() == "something dear\n"


SPAN = ("--from", "2025-05-10T00:00", "--to", "2025-05-10T06:00")
CANDLES = ROOT / "recordings" / "btcusdt_perp_1m_202505.csv.gz"
CANDLES_BOT = ROOT / "config" / "backtest.btcusdt.yaml"
INSTANT = ROOT / "config" / "backtest.instant.yaml"


def ran(*arguments: str | Path) -> Result:
    answer = CliRunner().invoke(app, list(map(str, arguments)))
    assert answer.exit_code in (ExitCode.OK, ExitCode.FAILURE), answer.output
    return answer


def test_a_paper_run_of_candles_is_the_backtest_without_latency(tmp_path: Path) -> None:
    paper, instant, usual = (tmp_path / name for name in ("paper.json", "instant.json", "b.json"))
    market = ("-c", CANDLES_BOT, "-d", CANDLES, *SPAN)
    said = ran("run", *market, "--speed", "max", "--json", paper)
    assert f"written: {paper}" in said.output
    assert json.loads(paper.read_text())["agree"]
    assert len(read_run(paper).orders) > 10
    ran("backtest", *market, "--assume", INSTANT, "--json", instant)
    assert ran("diff", instant, paper, "--tolerance", "0s").stdout.startswith("no differences")
    ran("backtest", *market, "--json", usual)
    other = ran("diff", usual, paper, "--tolerance", "1ms")
    assert other.exit_code == ExitCode.FAILURE
    assert "assumed otherwise: order_ns: A 50000000, B 0" in other.stdout


def other_bot(path: Path, name: str, account: str) -> Path:
    text = CANDLES_BOT.read_text()
    path.write_text(
        "\n".join(
            line for line in text.splitlines() if not line.startswith(("bot_id:", "account:"))
        )
        + f"\nbot_id: {name}\naccount: {account}\n"
    )
    return path


def test_several_bots_have_one_file_and_one_run(tmp_path: Path) -> None:
    one, two = (other_bot(tmp_path / f"{n}.yaml", f"bot-{n}", f"of-{n}") for n in (1, 2))
    file, first, again = (tmp_path / name for name in ("c.sqlite", "first.json", "again.json"))
    command = ("run", "-c", one, "-c", two, "-d", CANDLES, *SPAN, "--checkpoint", file)
    ran(*command, "--speed", "max", "--json", first)
    run_of_both = read_run(first)
    assert {order.bot for order in run_of_both.orders} == {"bot-1", "bot-2"}
    assert set(json.loads(first.read_text())["bots"]) == {"bot-1", "bot-2"}
    ran("run", "-c", two, "-d", CANDLES, *SPAN, "--checkpoint", file, "--json", again)
    assert read_run(again).orders == tuple(o for o in run_of_both.orders if o.bot == "bot-2")
