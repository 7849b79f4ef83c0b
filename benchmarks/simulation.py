"""How fast the simulation runs: events a second, and simulated time over real time.

The floor is an event loop on virtual time whose tasks do nothing but wake each other: what asyncio
itself takes for as many steps. The rest is the services, deciding, committing, encoding traces, and
the referee that looks at every event.
"""

import argparse
import asyncio
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from statistics import median
from typing import Any

from benchmarks import report
from opensqt.testing.virtual_time import run_virtually
from simulation.draw import draw
from simulation.judging import watch

SEEDS = 40
TURNS = 4
FLOOR_STEPS = 200_000
TASKS = 8


async def run(options: argparse.Namespace) -> dict[str, Any]:
    del options
    # The simulation wants a process and its main thread for itself.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, _measure)


def _measure() -> dict[str, Any]:
    watch(draw(0))  # the imports
    floor, events, virtual, seeds = [], [], [], []
    for turn in range(TURNS):
        floor.append(_floor())
        first = turn * SEEDS // TURNS
        counted, simulated_s, started = 0, 0.0, time.perf_counter()
        for seed in range(first, first + SEEDS // TURNS):
            trace, violation = watch(draw(seed))
            assert violation is None, f"seed {seed}: {violation}"
            counted += trace.events
            simulated_s += trace.entries[-1].time_ns / 1e9
        taken_s = time.perf_counter() - started
        events.append(counted / taken_s)
        virtual.append(simulated_s / taken_s)
        seeds.append(SEEDS / TURNS / taken_s)
    result = {
        "floor_steps_per_s": median(floor),
        "events_per_s": median(events),
        "events_ratio": report.ratio(median(events), median(floor)),
        "simulated_over_real": median(virtual),
        "seeds_per_s": median(seeds),
    }
    header = ("one process", "ratio", "events/s", "simulated/real", "seeds/s")
    rows = [
        ("asyncio alone (floor)", "1.00x", report.number(median(floor), 0), "-", "-"),
        (
            "the whole system, refereed",
            report.times(result["events_ratio"]),
            report.number(result["events_per_s"], 0),
            report.times(result["simulated_over_real"]),
            report.number(result["seeds_per_s"]),
        ),
    ]
    print(report.table("speed of the simulation", header, rows))
    return result


def _floor() -> float:
    """Steps a second of tasks that wake each other in turn."""

    async def wake_each_other() -> None:
        turns = [asyncio.Event() for _ in range(TASKS)]

        async def take_turns(number: int) -> None:
            mine, others = turns[number], turns[(number + 1) % TASKS]
            for _ in range(FLOOR_STEPS // TASKS):
                await mine.wait()
                mine.clear()
                others.set()

        turns[0].set()
        await asyncio.gather(*(take_turns(number) for number in range(TASKS)))

    started = time.perf_counter()
    run_virtually(wake_each_other())
    return FLOOR_STEPS / (time.perf_counter() - started)
