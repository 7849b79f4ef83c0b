"""`opensqt optimize`, as a person runs it on the bundled month."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from opensqt.cli.app import app
from opensqt.cli.exit_codes import ExitCode
from opensqt.runtime.bot_config import BotConfig
from opensqt.runtime.config import load_config

ROOT = Path(__file__).resolve().parents[3]
SPACE = """
space:
  grid.interval: {low: 20, high: 200, step: 20, log: true, points: 3}
  grid.buy_levels: {choices: [0, 4, 8]}
  grid.sell_levels: {same_as: grid.buy_levels}
objectives:
  return_per_day: maximise
  max_drawdown: minimise
constraints:
  liquidations: {at_most: 0}
"""
WALK = "walk_forward: {train: 12h, test: 6h}\n"
ASSUME = "deposit: 1000\nlatency: {market: 0, order: 0, report: 0}\n"


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.yaml").write_text(SPACE)
    (tmp_path / "walk.yaml").write_text(SPACE + WALK)
    (tmp_path / "assume.yaml").write_text(ASSUME)


def arguments(*more: str, space: str = "space.yaml", workers: int = 1) -> list[str]:
    return [
        *("optimize", "--config", str(ROOT / "config/bot.example.yaml"), "--space", space),
        *("--data", str(ROOT / "recordings/btcusdt_perp_1m_202505.csv.gz")),
        *("--markets", str(ROOT / "config/markets.binance_usdm.yaml"), "--assume", "assume.yaml"),
        *("--to", "2025-05-05T16:00", "--workers", str(workers), *more),
    ]


def optimize(*more: str, space: str = "space.yaml", workers: int = 1) -> Result:
    return CliRunner().invoke(app, arguments(*more, space=space, workers=workers))


def outputs(*, prefix: str) -> list[str]:
    files = {"json": "json", "parquet": "parquet", "report": "html", "write": "yaml"}
    return [part for key, end in files.items() for part in (f"--{key}", f"{prefix}.{end}")]


def read(path: str) -> Any:
    return json.loads(Path(path).read_text())


def test_a_grid_search_tells_the_front_and_writes_everything() -> None:
    answer = optimize("--sampler", "grid", *outputs(prefix="out"))
    assert answer.exit_code == ExitCode.OK, answer.output
    assert "9 tried, 6 feasible, 3 impossible" in answer.output
    assert "1 or more on at least one side" in answer.output
    assert re.search(r"measure +chosen +as configured\nreturn_per_day +\S+ % +\S+ %", answer.output)
    found = read("out.json")
    (window,) = found["windows"]
    chosen = window["chosen"]
    assert chosen["number"] in {trial["number"] for trial in window["front"]}
    assert set(chosen["settings"]) == {"grid.interval", "grid.buy_levels", "grid.sell_levels"}
    table = pq.read_table("out.parquet").to_pylist()
    assert len(table) == 9
    assert [row["number"] for row in table if row["chosen"]] == [chosen["number"]]
    (row,) = (row for row in table if row["chosen"])
    assert row["return_per_day"] == chosen["measures"]["return_per_day"]
    assert float(row["return_per_day"]) == row["objective.return_per_day"]
    bot = load_config(BotConfig, "out.yaml")
    before = load_config(BotConfig, ROOT / "config/bot.example.yaml")
    assert str(bot.grid.interval) == chosen["settings"]["grid.interval"]
    assert str(bot.grid.sell_levels) == chosen["settings"]["grid.buy_levels"]
    changed = {"interval", "buy_levels", "sell_levels"}
    assert bot.grid.model_dump(exclude=changed) == before.grid.model_dump(exclude=changed)
    page = Path("out.html").read_text()
    for text in (
        "The Pareto front",
        "chosen and judged on the same history",
        "grid.interval",
        "0.02 % maker",
    ):
        assert text in page
    assert "src=" not in page.split("<script>")[0], "nothing comes from elsewhere"


def test_walk_forward_judges_on_what_was_not_chosen_on() -> None:
    answer = optimize("--trials", "6", *outputs(prefix="out"), space="walk.yaml")
    assert answer.exit_code == ExitCode.OK, answer.output
    assert "Chosen on one stretch, judged on the next" in answer.output
    first, second, latest = read("out.json")["windows"]
    assert first["train"]["end_ns"] == first["test"]["start_ns"]
    assert second["train"]["start_ns"] - first["train"]["start_ns"] == 6 * 3_600 * 10**9
    assert first["chosen_in_test"]["measures"]["return_per_day"] is not None
    assert first["unchanged_in_test"]["status"] == "judged"
    assert latest["test"] is None
    assert "unchanged bot, in test" in Path("out.html").read_text()


def test_the_same_command_continues_and_more_workers_find_the_same() -> None:
    for name, workers in (("one", 1), ("two", 2)):
        options = ("--trials", "12", "--batch", "4", "--seed", "5", "--study", f"{name}.study")
        answer = optimize(*options, *outputs(prefix=name), workers=workers)
        assert answer.exit_code == ExitCode.OK, answer.output
    assert read("one.json") == read("two.json")
    begun = time.monotonic()
    again = optimize(*options, *outputs(prefix="again"))
    assert again.exit_code == ExitCode.OK
    assert read("again.json") == read("one.json")
    assert time.monotonic() - begun < 60


def test_ctrl_c_keeps_the_trials_and_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from opensqt.cli import main; main()"]
    options = ["--trials", "5000", "--sampler", "random", "--study", "s.study"]
    (tmp_path / "wide.yaml").write_text("space: {grid.interval: {low: 20, high: 900}}\n")
    with subprocess.Popen(
        [*command, *arguments(*options, space="wide.yaml", workers=2)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}/libs/common:{ROOT}"},
    ) as process:
        assert process.stderr is not None
        wal = tmp_path / "s.study-wal"
        deadline = time.monotonic() + 60
        while not (wal.exists() and wal.stat().st_size > 50_000):
            assert time.monotonic() < deadline, "no trials"
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(timeout=30) == 130
    assert "interrupted; s.study has every trial that ended" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--space", "missing.yaml"), "missing.yaml"),
        (("--data", "missing.csv"), "missing.csv"),
        (("--from", "yesterday"), "--from yesterday"),
        (("--write", "missing/best.yaml"), "its directory does not exist"),
        (("--sampler", "grid", "--trials", "3"), "9 points of the grid"),
        (("--to", "2025-05-05T00:00", "--space", "walk.yaml"), "one train and one test window"),
    ],
)
def test_what_cannot_be_done_is_refused(more: tuple[str, ...], said: str) -> None:
    answer = optimize(*more)
    assert answer.exit_code == ExitCode.USAGE, answer.output
    assert said in answer.output


def test_measures_and_keys_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE.replace("max_drawdown", "drawdown"))
    answer = optimize()
    assert answer.exit_code == ExitCode.USAGE
    assert "objectives.drawdown: one of return, " in answer.output


def test_a_study_of_another_search_is_refused_with_what_differs(tmp_path: Path) -> None:
    options = ("--trials", "2", "--study", "s.study")
    assert optimize(*options).exit_code == ExitCode.OK
    (tmp_path / "assume.yaml").write_text(ASSUME.replace("1000", "999"))
    answer = optimize(*options)
    assert answer.exit_code == ExitCode.USAGE
    assert "assume.deposit: the study has 1000, this search has 999" in answer.output


def test_nothing_feasible_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE.replace("at_most: 0", "at_least: 1"))
    answer = optimize("--trials", "3", "--write", "best.yaml")
    assert answer.exit_code == ExitCode.FAILURE
    assert "no trial was feasible" in answer.output
    assert not Path("best.yaml").exists()
