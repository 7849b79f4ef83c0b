"""`opensqt data check` and `convert` as a person types them."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from opensqt.cli.app import app
from tests.unit.backtest.reading_world import HEADING, RECORDINGS, candle, write
from tests.unit.cli.without import without


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["data", *map(str, words)])


GAP = HEADING + candle(0) + candle(1) + candle(5)


def test_check_says_what_files_hold() -> None:
    answer = run("check", RECORDINGS, "--strict", "--json")
    assert answer.exit_code == 0
    files = {Path(file["file"]).name: file for file in json.loads(answer.stdout)}
    month = files["btcusdt_perp_1m_202505.csv.gz"]["tables"][0]
    assert (month["kind"], month["rows"], month["interval_s"]) == ("candles", 43_199, 60)
    assert month["first"] == "2025-05-04 15:33:00"
    streams = files["btcusdt_usdm_20240808.jsonl.gz"]["tables"]
    assert {(one["kind"], one["symbol"]) for one in streams} == {
        ("quotes", "BTCUSDT"),
        ("trades", "BTCUSDT"),
    }


def test_check_ends_with_1_for_what_is_wrong_only_when_strict(tmp_path: Path) -> None:
    path = write(tmp_path, "x.csv", GAP + candle(5) + candle(6, "0,0,0,0,0"))
    answer = run("check", path)
    assert answer.exit_code == 0
    assert "WRONG 1 x gap: x.csv, line 4: candles are missing" in answer.stdout
    assert "WRONG 1 x duplicate" in answer.stdout
    assert "WRONG 1 x zero_price" in answer.stdout
    assert "3 things wrong" in answer.stdout
    assert run("check", path, "--strict").exit_code == 1


def test_check_goes_on_after_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "hello\n")
    write(tmp_path, "b.csv", HEADING + candle(0) + candle(1))
    answer = run("check", tmp_path)
    assert answer.exit_code == 1
    assert "DAMAGED a.csv: line 1: 'hello' begins no table" in answer.stdout
    assert "2 files, 1 damaged, 0 things wrong" in answer.stdout


def test_check_counts_fundings_without_an_interval(tmp_path: Path) -> None:
    path = write(tmp_path, "x_funding.csv", "ts_ms,funding_rate\n1700000000000,0.1\n")
    assert run("check", path, "--strict").exit_code == 1


OFF = HEADING + candle(0, "100,100.3,99,100.25,1") + candle(1, "100,100.35,99,100,1")
RULES = """
markets:
  BTCUSDT:
    {base: BTC, quote: USDT, tick_size: 0.1, step_size: 0.001, min_quantity: 0.001,
     max_quantity: 1000, min_notional: 100, maker_fee: 0, taker_fee: 0, max_leverage: 5,
     maintenance_rate: 0, liquidation_fee: 0, assumed_depth: 1}
"""


def test_check_holds_prices_against_the_tick(tmp_path: Path) -> None:
    rules = write(tmp_path, "rules.yaml", RULES)
    for name, off in {"BTCUSDT_1m.csv": 2, "x.csv": 0, "BTCUSDT_spot_1m.csv": 0}.items():
        path = write(tmp_path / name.partition(".")[0], name, OFF)
        answer = run("check", path, "--markets", rules, "--json")
        (found,) = json.loads(answer.stdout)
        kinds = {note["kind"]: note for note in found["problems"]}
        assert sum(note["count"] for note in kinds.values()) == off, name
        assert found["tables"][0]["tick"] == ("0.1" if off else None)
        assert run("check", path, "--markets", rules, "--strict").exit_code == bool(off)
        if off:
            assert kinds["off_tick"]["text"] == (
                "BTCUSDT_1m.csv, line 3: high is 100.35; allowed are multiples of 0.1; "
                "a backtest rounds it"
            )


def test_check_refuses_rules_that_are_none(tmp_path: Path) -> None:
    answer = run("check", RECORDINGS, "--markets", write(tmp_path, "rules.yaml", "markets: {}"))
    assert answer.exit_code == 2
    assert "markets" in answer.stderr
    answer = run("check", RECORDINGS, "--markets", tmp_path / "nowhere.yaml")
    assert answer.exit_code == 2


def test_convert_counts_fundings_without_an_interval(tmp_path: Path) -> None:
    path = write(tmp_path, "x_funding.csv", "ts_ms,funding_rate\n1700000000000,0.1\n")
    answer = run("convert", path)
    assert answer.exit_code == 0
    assert "1 x funding_interval: x_funding.csv, line 2" in answer.stderr
    answer = run("convert", path, "--strict", "--overwrite")
    assert answer.exit_code == 2
    assert "allowed is a column interval_hours" in answer.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("check", "nowhere.csv"), "nowhere.csv: no such file or folder"),
        (("convert", "nowhere.csv"), "nowhere.csv: no such file or folder"),
        (("convert", "x.csv", "--to", "xml"), "xml"),
        (("download", "BTCUSDT", "--from", "yesterday", "--to", "2025-01-01"), "allowed is a day"),
        (("download", "BTCUSDT", "--from", "2025-01-02", "--to", "2025-01-02"), "is not before"),
        (
            ("download", "X", "--from", "2025-01-01", "--to", "2025-01-02", "--exchange", "nope"),
            "ccxt knows no exchange 'nope'",
        ),
    ],
)
def test_bad_usage_ends_with_2(words: tuple[str, ...], said: str) -> None:
    answer = run(*words)
    assert answer.exit_code == 2
    assert said in answer.stderr
    assert "Traceback" not in answer.output


def test_convert_there_and_back(tmp_path: Path) -> None:
    path = write(tmp_path, "btcusdt_1m.csv", HEADING + candle(0) + candle(1, "100,101,99,100,1.5"))
    there = run("convert", path, "--out", tmp_path / "out")
    assert there.exit_code == 0, there.output
    assert "btcusdt_1m.parquet: 2 rows" in there.stdout
    back = run("convert", tmp_path / "out", "--to", "csv", "--out", tmp_path / "back", "--json")
    assert json.loads(back.stdout)["written"][0]["rows"] == 2
    lines = (tmp_path / "back" / "btcusdt_1m.csv").read_text().splitlines()
    assert lines[0] == HEADING.strip()
    assert lines[2].split(",")[1:] == ["100", "101", "99", "100.0", "1.5"]


def test_convert_refuses_to_replace_and_what_is_wrong_when_strict(tmp_path: Path) -> None:
    path = write(tmp_path, "x.csv", GAP)
    assert run("convert", path, "--strict").exit_code == 2
    assert not (tmp_path / "x.parquet").exists()
    first = run("convert", path)
    assert first.exit_code == 0
    assert "1 x gap: x.csv, line 4" in first.stderr
    again = run("convert", path)
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr
    assert run("convert", path, "--overwrite").exit_code == 0


def test_what_is_missing_is_named_with_what_to_do() -> None:
    with without("pyarrow"):
        answer = run("check", RECORDINGS)
    assert answer.exit_code == 2
    assert "pyarrow is not installed" in answer.stderr
    assert "make research" in answer.stderr
