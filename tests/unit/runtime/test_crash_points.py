"""Crash points kill a real process only when its environment and the file both say so."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from opensqt.runtime.crash_points import CrashPoint, arm, crash_point

PASSES_TWO_POINTS = """
from opensqt.runtime.crash_points import CrashPoint, arm_from_environment, crash_point
print(arm_from_environment("execution"), flush=True)
for _ in range(3):
    crash_point(CrashPoint.PLACING_BEFORE_INTENT)
    crash_point(CrashPoint.PLACING_AFTER_INTENT)
    print("passed", flush=True)
"""


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", PASSES_TWO_POINTS],
        env=inherited | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_the_variable_nothing_is_armed(tmp_path: Path) -> None:
    done = run()
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False", "passed", "passed", "passed"]


@pytest.mark.parametrize("order", [None, "", "state placing.after-intent", "execution unknown"])
def test_without_an_order_for_it_the_process_lives(tmp_path: Path, order: str | None) -> None:
    file = tmp_path / "crash"
    if order is not None:
        file.write_text(order)
    done = run(OPENSQT_CRASH_FILE=str(file))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "passed", "passed", "passed"]
    assert file.exists() is (order is not None)


@pytest.mark.parametrize(
    ("order", "passed"),
    [
        ("execution placing.before-intent\n", 0),
        ("execution placing.after-intent", 0),
        ("execution placing.after-intent 3", 2),
    ],
)
def test_the_process_is_killed_at_its_point_once(tmp_path: Path, order: str, passed: int) -> None:
    file = tmp_path / "crash"
    file.write_text(order)
    done = run(OPENSQT_CRASH_FILE=str(file))
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == ["True", *["passed"] * passed]
    assert not file.exists()


def test_what_is_armed_is_called_at_every_point_until_disarmed() -> None:
    reached: list[CrashPoint] = []
    arm(reached.append)
    try:
        crash_point(CrashPoint.TELLING_AFTER_STORE)
    finally:
        arm(None)
    crash_point(CrashPoint.TELLING_BEFORE_STORE)
    assert reached == [CrashPoint.TELLING_AFTER_STORE]
