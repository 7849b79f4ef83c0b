"""`opensqt run`: what it refuses, before anything is done; what it does is shown as a process."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from opensqt.cli.app import app
from opensqt.cli.exit_codes import ExitCode

ROOT = Path(__file__).resolve().parents[3]
BOT = ROOT / "config" / "bot.example.yaml"


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["run", "--json", *arguments])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--engine", "durable"], "`opensqt up` starts them all"),
        (["--engine", "other"], "--engine other: allowed: simple"),
        (["--recording", "none.jsonl"], "--recording none.jsonl: no such file"),
        (["--summary", "none/x.json"], "--summary none/x.json: no such directory"),
        (["--checkpoints", "none/x.sqlite"], "--checkpoints none/x.sqlite: no such directory"),
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
        ("symbol: BTCUSDT", "symbol: NOPEUSDT", "config/markets.binance_usdm.yaml lists BTCUSDT"),
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
