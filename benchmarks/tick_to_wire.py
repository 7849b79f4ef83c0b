"""From the price frame leaving the exchange's socket to the order request reaching it.

Three stacks on one venue, one clock, one run, taking turns:

- the floor: bare hops (benchmarks/bare/hops.py), the same number of processes;
- ccxt.pro alone in one process;
- OpenSQT's own services.
"""

import argparse
import asyncio
from typing import Any

from benchmarks import hops, report
from benchmarks.opensqt_stack import SPANS, start_opensqt
from benchmarks.stage import Stage, open_stage, wait_until

NAME = "tick_to_wire"
FLOOR, CCXT, OPENSQT = "bare hops (floor)", "ccxt.pro alone", "OpenSQT"
SLOW, FAST = (5, 1), (500, 100)
"""Price events per second, and every how many of them one calls for an order."""
BLOCK = 25
"""Orders of one turn at the high rate."""
SPANS_WRITTEN_S = 6.0
"""Spans are written in batches, every five seconds."""
WARM_UP = 10
"""Orders of a stack at a rate that are not counted."""


async def run(options: argparse.Namespace) -> dict[str, Any]:
    async with open_stage() as stage:
        names = {"floor": FLOOR, "ccxt": CCXT, "opensqt": OPENSQT}
        ports = {name: stage.port() for name in names}
        control = await start_venue(stage, ports)
        await start_floor(stage, ports["floor"])
        await start_ccxt(stage, ports["ccxt"])
        await start_opensqt(stage, ports["opensqt"], traced=options.trace)
        await listening(stage, control, list(names))
        return await measure(stage, control, names, options.orders)


async def start_venue(stage: Stage, ports: dict[str, int]) -> str:
    """Start the venue; where it takes commands."""
    control = stage.port()
    config = {"tls": stage.tls("paper_exchange"), "control": control, "stacks": ports}
    await stage.run("venue", "benchmarks.venue", config)
    return f"http://127.0.0.1:{control}"


async def start_floor(stage: Stage, venue_port: int) -> None:
    """Start the four bare processes."""
    database = await stage.postgres.add_database("bare")
    common = {
        "nats": stage.nats_options,
        "dsn": database,
        "venue": venue_port,
        "ledger": stage.port(),
    }
    for role, identity in (
        ("ledger", "state"),
        ("execute", "execution"),
        ("decide", "strategy"),
        ("feed", "market_data"),
    ):
        config = {**common, "role": role, "tls": stage.tls(identity)}
        await stage.run(f"bare_{role}", "benchmarks.bare.hops", config)


async def start_ccxt(stage: Stage, venue_port: int) -> None:
    """Start the one process of ccxt.pro."""
    config = {"role": "trade", "venue": venue_port, "tls": stage.tls("execution")}
    await stage.run("ccxt_alone", "benchmarks.bare.ccxt_alone", config)


async def listening(stage: Stage, control: str, stacks: list[str]) -> None:
    """Wait until every stack hears prices, then give each a first one."""

    async def all_listen() -> bool:
        async with stage.http.get(f"{control}/status") as answer:
            status = await answer.json()
        return all("btcusdt@bookTicker" in status[name]["streams"] for name in stacks)

    await wait_until(all_listen, what="every stack is subscribed to prices")
    for name in stacks:
        await post(stage, f"{control}/nudge", {"stack": name})


async def post(stage: Stage, url: str, body: dict[str, Any]) -> Any:
    async with stage.http.post(url, json=body) as answer:
        answer.raise_for_status()
        return await answer.json()


async def measure(stage: Stage, control: str, names: dict[str, str], orders: int) -> dict[str, Any]:
    """Let every stack climb at both rates, and compare."""
    result: dict[str, Any] = {}
    for rate, every in (SLOW, FAST):
        # At the low rate the stacks alternate tick by tick; at the high one in blocks, since two
        # of them at once would be twice the load.
        if every == 1:
            warm_up, turns, count = [list(names)], [list(names)], orders
        else:
            warm_up, count = [[name] for name in names], BLOCK
            turns = warm_up * max(1, orders // BLOCK)
        seen: dict[str, list[list[int]]] = {name: [] for name in names}
        missed = dict.fromkeys(names, 0)
        for number, stacks in enumerate([*warm_up, *turns]):
            warming = number < len(warm_up)
            wanted = climb(stacks, rate, every, WARM_UP if warming else count)
            answer = await post(stage, f"{control}/climb", wanted)
            for name, one in answer.items():
                if not warming:
                    seen[name] += one["stations_ns"]
                    missed[name] += one["missed"]
        taken = {
            name: [(stations[-1] - stations[0]) / 1e6 for stations in every_one]
            for name, every_one in seen.items()
        }
        result[f"{rate}/s"] = compare(f"{rate} price events/s", names, taken, missed)
        if (stage.directory / SPANS).exists():
            await asyncio.sleep(SPANS_WRITTEN_S)
            traced = hops.with_spans(stage.directory / SPANS, seen["opensqt"])
            result[f"{rate}/s"]["hops"] = hops.compare(seen["floor"], traced)
    return result


def climb(stacks: list[str], rate: int, every: int, orders: int) -> dict[str, Any]:
    return {"stacks": stacks, "rate": rate, "every": every, "orders": orders}


def compare(
    title: str, names: dict[str, str], taken: dict[str, list[float]], missed: dict[str, int]
) -> dict[str, Any]:
    """Print one table; the same as data."""
    result = {
        name: {
            "orders": len(taken[name]),
            "missed": missed[name],
            "p50_ms": report.percentile(taken[name], 0.5),
            "p99_ms": report.percentile(taken[name], 0.99),
            "max_ms": report.percentile(taken[name], 1),
        }
        for name in names
    }
    floor = result["floor"]
    rows = []
    for name, title_of in names.items():
        one = result[name]
        for share in ("p50", "p99"):
            one[f"{share}_ratio"] = report.ratio(one[f"{share}_ms"], floor[f"{share}_ms"])
        rows.append(
            (
                title_of,
                *(report.times(one[f"{share}_ratio"]) for share in ("p50", "p99")),
                *(report.number(one[f"{share}_ms"]) for share in ("p50", "p99", "max")),
                f"{one['orders']}",
                f"{one['missed']}",
            )
        )
    header = ("tick to wire", "p50", "p99", "p50 ms", "p99 ms", "max ms", "orders", "missed")
    print(report.table(title, header, rows))
    return result
