"""Whole runs of `opensqt up`: every process, real servers, the bundled recording."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from opensqt.backtest.recorded.runfile import loads, read_run
from opensqt.embedded.run_directory import RunRoot, databases

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[3]
OPENSQT = (sys.executable, "-c", "from opensqt.cli import main; main()")
BOT = """
bot_id: lively
symbol: BTCUSDT
grid: {direction: LONG, interval: 10, buy_levels: 10, sell_levels: 10, quantity: %s}
"""
EXAMPLE = ROOT / "config" / "bot.example.yaml"
RECORDING = ROOT / "recordings" / "btcusdt_usdm_20240808.jsonl.gz"


@dataclass
class Up:
    """A running `opensqt up` in a directory of its own."""

    process: subprocess.Popen[str]
    directory: Path

    def wait_for(self, text: str, *, within_s: float = 120.0) -> None:
        """Wait until it has said something."""
        deadline = time.monotonic() + within_s
        while text not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)

    def said(self) -> str:
        return (self.directory / "stderr").read_text()

    def ask(self, *command: str) -> Any:
        answer = subprocess.run(
            [*OPENSQT, *command, "--json"],
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return json.loads(answer.stdout)

    def pids(self) -> dict[str, int]:
        return {row["name"]: row["pid"] for row in self.ask("status")["processes"]}

    def end(self) -> tuple[int, dict[str, Any]]:
        """Wait for its end; the exit code and the summary."""
        code = self.process.wait(200)
        printed = (self.directory / "stdout").read_text()
        return code, json.loads(printed) if printed else {}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "lively.yaml").write_text(BOT % "0.002")
    (tmp_path / "refused.yaml").write_text(BOT % "0.0021")
    return tmp_path


@pytest.fixture
def up(directory: Path) -> Iterator[Any]:
    started: list[Up] = []

    def start(*options: str, config: str | Path = "lively.yaml") -> Up:
        given = ("--config", str(config), "--recording", str(RECORDING), "--json", *options)
        with (directory / "stdout").open("w") as out, (directory / "stderr").open("w") as err:
            process = subprocess.Popen(
                [*OPENSQT, "up", *given], cwd=directory, stdout=out, stderr=err, text=True
            )
        started.append(Up(process=process, directory=directory))
        return started[-1]

    yield start
    for run in started:
        if run.process.poll() is None:
            run.process.kill()
        run.process.wait()


def processes_of(directory: Path) -> list[psutil.Process]:
    """Everything that was started for a run in this directory."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        mentions = [*(process.info["cmdline"] or ()), process.info["cwd"] or ""]
        if any(str(directory / ".run") in text for text in mentions):
            found.append(process)
    return found


def nothing_is_left(directory: Path, *, within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while left := processes_of(directory):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def test_a_run_fills_both_sides_and_the_books_agree(up: Any, directory: Path) -> None:
    run = up("--speed", "20", "--summary", "run.json", config=EXAMPLE)
    run.wait_for("trading BTCUSDT")
    assert set(run.pids()) >= {"nats", "postgres", "paper_exchange", "state", "execution"}
    assert processes_of(directory)
    exported = subprocess.run(
        [*OPENSQT, "export", "--bot", "example"],
        cwd=directory,
        capture_output=True,
        check=True,
        timeout=60,
    )

    code, summary = run.end()

    assert code == 0, run.said()
    assert summary["agree"]
    assert summary["duplicates"] == 0
    assert summary["buys"] > 0
    assert summary["sells"] > 0
    assert summary["position_slots"] == summary["position_exchange"]
    assert summary["fills"] == summary["fills_slots"]
    assert summary["pnl"]["fees"] == summary["pnl"]["fees_slots"]
    assert json.loads((directory / "run.json").read_text()) == summary
    nothing_is_left(directory)
    (over,) = RunRoot(directory / ".run").runs()
    assert not any(os.path.lexists(path) for path in databases(over.path))
    assert (over.logs / "state.log").exists()
    whole, part = read_run(over.path / "ledger.json"), loads(exported.stdout)
    assert whole.fills == summary["fills"]
    assert len(whole.orders) >= summary["orders"]  # which counts those that the exchange took
    assert {order.client_oid for order in part.orders} <= {o.client_oid for o in whole.orders}


def test_every_service_is_killed_under_faults_and_the_books_agree(up: Any, directory: Path) -> None:
    run = up("--speed", "8", "--faults", "mild")
    run.wait_for("trading BTCUSDT")
    for victim in ("execution", "state", "market_data", "strategy", "risk"):
        time.sleep(2.5)
        os.kill(run.pids()[victim], signal.SIGKILL)
        run.wait_for(f"{victim} died and was started again", within_s=60)

    code, summary = run.end()

    assert code == 0, run.said()
    assert summary["agree"], summary["differences"]
    assert summary["duplicates"] == 0
    assert summary["unsettled"] == 0
    assert summary["fills"] == summary["fills_slots"]
    nothing_is_left(directory)


def test_a_run_whose_exchange_dies_has_nothing_to_compare(up: Any, directory: Path) -> None:
    run = up("--speed", "5")
    run.wait_for("trading BTCUSDT")
    time.sleep(1)
    os.kill(run.pids()["paper_exchange"], signal.SIGKILL)
    assert run.process.wait(60) == 1
    assert "the paper exchange died" in json.loads((directory / "stdout").read_text())["error"]
    nothing_is_left(directory)


def test_a_signal_ends_a_run_in_order(up: Any, directory: Path) -> None:
    run = up("--speed", "5")
    run.wait_for("trading BTCUSDT")
    time.sleep(3)
    run.process.send_signal(signal.SIGINT)
    code, summary = run.end()
    assert code == 0, run.said()
    assert "told to stop" in run.said()
    assert summary["agree"]
    nothing_is_left(directory)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children")
def test_nothing_outlives_a_run_that_is_killed(up: Any, directory: Path) -> None:
    run = up("--speed", "1")
    run.wait_for("starting the paper exchange")
    time.sleep(2)
    assert processes_of(directory)
    run.process.kill()
    nothing_is_left(directory)
    # Its databases go with the next run here.
    root = RunRoot(directory / ".run")
    (killed,) = root.runs()
    assert any(os.path.lexists(path) for path in databases(killed.path))
    root.forget_old()
    assert not any(os.path.lexists(path) for path in databases(killed.path))


def test_a_quantity_below_the_exchanges_step_is_refused(up: Any, directory: Path) -> None:
    run = up(config="refused.yaml")
    code = run.process.wait(200)
    error = json.loads((directory / "stdout").read_text())["error"]
    assert code == 2, run.said()
    assert "grid.quantity" in error
    assert "0.0021" in error
    assert "step 0.001" in error
    nothing_is_left(directory)
