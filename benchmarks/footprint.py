"""Resident memory and start time of each service, and the time from `make run` to the first order.

The floors: a Python that does nothing, and one that imports what every service stands on.
"""

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import time
from statistics import median
from typing import Any

import aiohttp
import psutil

from benchmarks import report
from benchmarks.opensqt_stack import start_opensqt
from benchmarks.stage import PROJECT, Stage, open_stage
from benchmarks.tick_to_wire import climb, listening, post, start_venue
from opensqt.embedded.paper.settings import SERVICES

FLOORS = {
    "bare python": "pass",
    "imports: aiohttp, grpc, nats, psycopg": "import aiohttp, grpc.aio, nats, psycopg, orjson",
    "imports: ccxt.pro": "import ccxt.pro",
    "imports: dbos": "import dbos",
}
WAIT = "\nimport sys; print('ready', flush=True); sys.stdin.read()"
ROUNDS = 3
FIRST_ORDER_S = 60.0


async def run(options: argparse.Namespace) -> dict[str, Any]:
    del options
    floors = {name: await measure_floor(code) for name, code in FLOORS.items()}
    async with open_stage() as stage:
        services = await measure_services(stage)
    first = await first_order()
    return compare(floors, services, first)


async def measure_floor(code: str) -> dict[str, float]:
    """How long a Python takes to run this, and what it weighs then."""
    seconds, weights = [], []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code + WAIT),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        await process.stdout.readline()
        seconds.append(time.perf_counter() - started)
        weights.append(resident_mb(process.pid))
        process.stdin.close()
        await process.wait()
    return {"start_s": median(seconds), "ready_mb": median(weights)}


async def measure_services(stage: Stage) -> dict[str, dict[str, float]]:
    """Start OpenSQT's services one by one, weigh them, let them trade, weigh them again."""
    ports = {"opensqt": stage.port()}
    control = await start_venue(stage, ports)
    opensqt = await start_opensqt(stage, ports["opensqt"])
    pids = {name: await stage.pid(name) for name in ("nats", "postgres", *SERVICES)}
    found = {
        name: {"start_s": opensqt.start_s.get(name, float("nan")), "ready_mb": memory_mb(name, pid)}
        for name, pid in pids.items()
    }
    await listening(stage, control, list(ports))
    await post(stage, f"{control}/climb", climb(["opensqt"], 500, 50, 50))
    for name, pid in pids.items():
        found[name]["traded_mb"] = memory_mb(name, pid)
    return found


def resident_mb(pid: int) -> float:
    """Resident memory."""
    return float(psutil.Process(pid).memory_info().rss) / 1e6


def memory_mb(name: str, pid: int) -> float:
    """Resident memory; PostgreSQL's processes share most of theirs, so each page counts once."""
    if name != "postgres":
        return resident_mb(pid)
    process = psutil.Process(pid)
    members = [process, *process.children(recursive=True)]
    return sum(float(member.memory_full_info().pss) for member in members) / 1e6


async def first_order() -> dict[str, float]:
    """Run `make run` and watch the paper exchange's books for the first order."""
    log = PROJECT / ".run" / "bench" / "make-run.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    # Warm means: everything is installed.
    install = await asyncio.create_subprocess_exec(
        *("make", "doctor"), cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    await install.wait()
    started = time.perf_counter()
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *("make", "run", "DURATION=20s"),
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        async with asyncio.timeout(FIRST_ORDER_S), aiohttp.ClientSession() as session:
            port = await control_port(process.pid)
            while not await orders_on(session, port):
                await asyncio.sleep(0.02)
        return {"seconds": time.perf_counter() - started}
    finally:
        if process.returncode is None:
            # To `opensqt up` itself: make does not pass signals on.
            for child in psutil.Process(process.pid).children(recursive=True):
                if "up" in child.cmdline():
                    child.send_signal(signal.SIGINT)
                    break
        await process.wait()


async def control_port(pid: int) -> int:
    """Where the paper exchange of the run below process `pid` takes commands."""
    current = PROJECT / ".run" / "current" / "run.json"
    while True:
        family = {child.pid for child in psutil.Process(pid).children(recursive=True)}
        run = json.loads(current.read_text()) if current.exists() else {}
        if run.get("pid") in family:
            return int(run["ports"]["paper_exchange_control"])
        await asyncio.sleep(0.02)


async def orders_on(session: aiohttp.ClientSession, port: int) -> bool:
    """Whether the paper exchange has taken an order yet."""
    try:
        async with session.get(f"http://127.0.0.1:{port}/control/books") as answer:
            books = await answer.json()
    except (aiohttp.ClientError, ValueError):
        return False
    return any(account["orders"] for account in books["accounts"].values())


def compare(
    floors: dict[str, dict[str, float]],
    services: dict[str, dict[str, float]],
    first: dict[str, float],
) -> dict[str, Any]:
    """Print the table; the same as data."""
    base = floors["imports: aiohttp, grpc, nats, psycopg"]
    rows = []
    for name, one in [*floors.items(), *services.items()]:
        own = name in SERVICES
        rows.append(
            (
                name,
                report.number(one["start_s"]),
                report.times(report.ratio(one["start_s"], base["start_s"])) if own else "-",
                report.number(one["ready_mb"], 0),
                report.times(report.ratio(one["ready_mb"], base["ready_mb"])) if own else "-",
                report.number(one["traded_mb"], 0) if "traded_mb" in one else "-",
            )
        )
    header = ("process", "start s", "ratio", "MB", "ratio", "MB traded")
    print(report.table("start time and memory; ratios to the imports they share", header, rows))
    total = sum(one["traded_mb"] for name, one in services.items() if name in SERVICES)
    print(
        f"all services: {total:.0f} MB; `make run` to the first order: {first['seconds']:.1f} s\n"
    )
    return {"floors": floors, "services": services, "make_run_to_first_order": first}
