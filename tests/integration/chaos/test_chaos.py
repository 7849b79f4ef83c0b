"""`python -m chaos`: a few faults on the real parts, and a referee that cries when it must."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def chaos(tmp_path: Path) -> Iterator[Any]:
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> subprocess.Popen[str]:
        paths = os.pathsep.join((str(ROOT / "libs" / "common"), str(ROOT)))
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "chaos", "--seed", "1", *options],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def left(directory: Path) -> list[psutil.Process]:
    """Whatever was started for the runs below this directory."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "cwd"])
        if any(
            str(directory) in text
            for text in (*(process.info["cmdline"] or ()), process.info["cwd"] or "")
        )
    ]


def nothing_is_left(directory: Path) -> None:
    deadline = time.monotonic() + 30
    while found := left(directory):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def test_nothing_is_doubled_lost_or_stuck(chaos: Any, tmp_path: Path) -> None:
    faults = ("kill:market_data", "crash:placing.after-intent", "crash:applying.before-ack")
    process = chaos("--runs", "3", "--report", "chaos.md", "--only", *faults)
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert "3 of 3 runs good" in said
    report = (tmp_path / "chaos.md").read_text()
    for fault in faults:
        assert f"| `{fault}` |" in report
    assert str(tmp_path) not in report
    nothing_is_left(tmp_path)


def test_a_doubled_order_is_noticed_and_ctrl_c_ends_it(chaos: Any, tmp_path: Path) -> None:
    options = ("--runs", "50", "--only", "kill:strategy", "--defect", "doubled-order")
    process = chaos(*options)
    said = ""
    while "logs:" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    process.send_signal(signal.SIGINT)
    more, _ = process.communicate(timeout=100)
    said += more
    assert process.returncode == 1, said
    assert "WRONG" in said
    assert "doubled order: " in said
    assert "interrupted; everything is stopped" in said
    assert "0 of 50 runs good" in said
    nothing_is_left(tmp_path)
