"""`opensqt run` as a process that is killed with -9, or stopped in order, while it trades."""

import gzip
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from opensqt.backtest.recorded.run import Run
from opensqt.backtest.recorded.runfile import read_run

ROOT = Path(__file__).parents[3]
RECORDING = ROOT / "recordings" / "btcusdt_usdm_20240808.jsonl.gz"
LINES = 6000
"""Of the recording; enough for some fills."""
WAIT_S = 60.0
KILLS = 5

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "part.jsonl"
    with gzip.open(RECORDING, "rt") as whole:
        path.write_text("".join(line for _, line in zip(range(LINES), whole, strict=False)))
    return path


def begin(recording: Path, checkpoints: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [
            *(sys.executable, "-c", "from opensqt.cli import main; main()", "run", "--json", "-"),
            *("--recording", str(recording), "--checkpoints", str(checkpoints), *options),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def wait_for_trading(checkpoints: Path, process: "subprocess.Popen[str]") -> None:
    """Until this process has saved something beyond the tables."""
    before = checkpoints.stat().st_mtime_ns if checkpoints.exists() else 0
    log = checkpoints.with_name(checkpoints.name + "-wal")
    deadline = time.monotonic() + WAIT_S
    while process.poll() is None and time.monotonic() < deadline:
        if log.exists() and log.stat().st_mtime_ns > before and orders(checkpoints):
            return
        time.sleep(0.005)


def orders(checkpoints: Path) -> int:
    with closing(sqlite3.connect(f"file:{checkpoints}?mode=ro", uri=True)) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM orders").fetchone()[0])
        except sqlite3.OperationalError:
            return 0  # there are no tables yet


@pytest.mark.invariant(1, 2)
def test_killed_while_it_trades_it_comes_to_the_same_end(recording: Path, tmp_path: Path) -> None:
    whole = finish(begin(recording, tmp_path / "whole.sqlite", "--speed", "0"))
    assert whole["agree"]
    assert whole["fills"] > 5
    checkpoints, rng = tmp_path / "killed.sqlite", random.Random(4)
    killed = 0
    for _ in range(KILLS):
        process = begin(recording, checkpoints, "--speed", "20")
        wait_for_trading(checkpoints, process)
        time.sleep(rng.random() * 0.4)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.communicate(timeout=WAIT_S)
    assert killed >= KILLS - 2
    assert finish(begin(recording, checkpoints, "--speed", "0")) == whole
    uninterrupted = run_of(recording, tmp_path / "whole.sqlite")
    assert len(uninterrupted.orders) == whole["orders"]
    assert run_of(recording, checkpoints) == uninterrupted


def run_of(recording: Path, checkpoints: Path) -> Run:
    """Every order and fill of a run that has ended, as its run file tells."""
    file = checkpoints.with_suffix(".json")
    process = begin(recording, checkpoints, "--json", str(file))
    process.communicate(timeout=WAIT_S)
    assert process.returncode == 0
    return read_run(file)


def test_stopped_in_order_it_compares_its_books_and_goes_on_later(
    recording: Path, tmp_path: Path
) -> None:
    checkpoints = tmp_path / "c.sqlite"
    process = begin(recording, checkpoints, "--speed", "20")
    wait_for_trading(checkpoints, process)
    process.send_signal(signal.SIGINT)
    first = finish(process)
    assert first["agree"]
    assert first["open_orders_slots"] > 0
    whole = finish(begin(recording, tmp_path / "whole.sqlite", "--speed", "0"))
    assert first["fills"] < whole["fills"]
    assert finish(begin(recording, checkpoints, "--speed", "0")) == whole


def test_a_second_process_on_the_same_bot_is_refused(recording: Path, tmp_path: Path) -> None:
    checkpoints = tmp_path / "c.sqlite"
    first = begin(recording, checkpoints, "--speed", "1")
    wait_for_trading(checkpoints, first)
    second = begin(recording, checkpoints)
    out, _ = second.communicate(timeout=WAIT_S)
    assert second.returncode == 1
    assert f"bot example is run by process {first.pid}" in json.loads(out)["error"]
    first.send_signal(signal.SIGTERM)
    assert finish(first)["agree"]
