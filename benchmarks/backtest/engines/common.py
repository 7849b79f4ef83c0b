"""What the scripts of this folder share; NumPy is all that each of their environments has.

A script is started as ``python SCRIPT TICKS.npz GRID.json OUT VARIANT MOST_TICKS``. It writes its
fills to ``OUT.npz`` and what it measured to ``OUT.json``. Prices are in ticks, quantities in steps,
times in ns.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
MOST_RUNS = 5
ENOUGH_S = 1.0


def read_case() -> tuple[SimpleNamespace, SimpleNamespace]:
    """The ticks as arrays, and the grid, as the command line names them."""
    ticks_path, grid_path = sys.argv[1:3]
    with np.load(ticks_path) as file:
        most = int(sys.argv[5]) or None
        ticks = SimpleNamespace(**{name: file[name][:most] for name in file.files})
    return ticks, SimpleNamespace(**json.loads(Path(grid_path).read_text(encoding="utf-8")))


def write_result(fills: Any, **measured: Any) -> None:
    """Keep the fills, as rows of (time, price, side, quantity), and what was measured."""
    out = sys.argv[3]
    np.savez(out + ".npz", fills=np.array(fills, dtype=np.int64).reshape(-1, 4))
    measured["peak_mib"] = peak_mib()
    Path(out + ".json").write_text(json.dumps(measured), encoding="utf-8")


def peak_mib() -> float:
    """The largest resident memory that this process ever had; NaN where the system does not say."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line) / 1024


def best_of(run: Callable[[], T]) -> tuple[T, dict[str, float]]:
    """What a run comes to, and its best time in this process.

    What takes milliseconds is repeated, as a search for parameters does: the first time it mostly
    waits for memory. `again_s` is what only the repetitions took, to be left out of a cold start.
    """
    taken: list[float] = []
    while True:
        watch = Stopwatch()
        result = run()
        taken.append(watch.lap())
        if len(taken) >= MOST_RUNS or sum(taken) > ENOUGH_S:
            return result, {
                "run_s": min(taken),
                "first_run_s": taken[0],
                "again_s": sum(taken[1:]),
            }


class Stopwatch:
    """Seconds since it was last read."""

    def __init__(self) -> None:
        self._at = time.perf_counter()

    def lap(self) -> float:
        now = time.perf_counter()
        taken, self._at = now - self._at, now
        return taken
