"""Time from kill -9 of each process until it is trading again, on a market that never rests.

The whole stack runs as `make chaos` runs it, and each run is one of its runs: the time ends when
every process is ready again and the exchange has taken a new order; then both sides' books are
compared. The floor is a Python that only imports what the services stand on: what nobody who
starts a process can save.
"""

import argparse
import tempfile
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from benchmarks import report
from benchmarks.footprint import FLOORS, measure_floor
from chaos.faults import SERVERS, all_faults
from chaos.one_run import one_run
from chaos.stage import open_stage
from opensqt.embedded.paper.settings import SERVICES

TURNS = 3
SEED = 1
FLOOR = "imports: aiohttp, grpc, nats, psycopg"


async def run(options: argparse.Namespace) -> dict[str, Any]:
    del options
    floor = (await measure_floor(FLOORS[FLOOR]))["start_s"]
    faults = {fault.name: fault for fault in all_faults()}
    taken: dict[str, list[float]] = {name: [] for name in (*SERVICES, *SERVERS)}
    wrong = []
    rng = Random(SEED)
    with tempfile.TemporaryDirectory(prefix="opensqt-bench-") as directory:
        async with open_stage(SEED, Path(directory)) as stage:
            for _ in range(TURNS):
                for name, times in taken.items():
                    outcome = await one_run(stage, faults[f"kill:{name}"], rng)
                    wrong += [finding.text for finding in outcome.findings]
                    if outcome.again_s is not None:
                        times.append(outcome.again_s)
    return compare(floor, taken, wrong)


def compare(floor: float, taken: dict[str, list[float]], wrong: list[str]) -> dict[str, Any]:
    """Print the table; the same as data."""
    result: dict[str, Any] = {"floor_s": floor, "wrong": wrong}
    rows = [(FLOOR + " (floor)", "1.00x", report.number(floor), "-", "-")]
    for name, times in taken.items():
        again_s = median(times) if times else float("nan")
        result[name] = {
            "runs": len(times),
            "median_s": again_s,
            "max_s": max(times, default=float("nan")),
            "ratio": report.ratio(again_s, floor),
        }
        rows.append(
            (
                name,
                report.times(result[name]["ratio"]),
                report.number(again_s),
                report.number(result[name]["max_s"]),
                str(len(times)),
            )
        )
    header = ("killed", "ratio", "median s", "max s", "runs")
    print(report.table("from kill -9 to trading again", header, rows))
    print(f"differences between ledger and exchange afterwards: {len(wrong)}\n")
    return result
