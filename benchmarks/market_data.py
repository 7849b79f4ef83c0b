"""Price events per second that one process takes from the exchange and carries to NATS.

The venue sends a fixed number of prices as fast as they are taken; what counts is the time until
the last one is out. Contenders take turns, over the same venue:

- aiohttp and orjson alone: prices decoded and dropped;
- the same, and each one published on NATS: the floor of carrying;
- ccxt.pro alone: `watch_bids_asks` in a loop;
- OpenSQT's market_data.
"""

import argparse
import asyncio
import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import report
from benchmarks.bare.take import LAST
from benchmarks.opensqt_stack import start_opensqt
from benchmarks.stage import Stage, open_stage, wait_until
from benchmarks.tap import Tap, open_tap
from benchmarks.tick_to_wire import listening, post, start_venue

ROUNDS = 3
CALIBRATION_FRAMES = 10_000
FRAMES_MAX = 300_000
PACES = (500, 2_000, 5_000, 10_000)
"""Prices per second, evenly; Binance's busiest markets send a few hundred."""
PACE_S = 2.0


@dataclass(slots=True, kw_only=True)
class Contender:
    """One process that takes prices."""

    title: str
    notes: str = ""
    """Where it writes when it saw a last price; empty: that is seen on NATS."""
    on_bus: bool = False
    rates: list[float] = field(default_factory=list)
    carried: list[float] = field(default_factory=list)


async def run(options: argparse.Namespace) -> dict[str, Any]:
    async with open_stage() as stage:
        contenders = {
            "raw": Contender(title="aiohttp + orjson, dropped"),
            "raw_nats": Contender(title="aiohttp + orjson to NATS (floor)", on_bus=True),
            "ccxt": Contender(title="ccxt.pro alone"),
            "opensqt": Contender(title="OpenSQT market_data", on_bus=True),
        }
        ports = {name: stage.port() for name in contenders}
        control = await start_venue(stage, ports)
        for name, module in (
            ("raw", "benchmarks.bare.take"),
            ("raw_nats", "benchmarks.bare.take"),
            ("ccxt", "benchmarks.bare.ccxt_alone"),
        ):
            contenders[name].notes = str(stage.directory / f"last-{name}")
            config = {"role": "watch", "venue": ports[name], "notes": contenders[name].notes}
            config |= {"tls": stage.tls("market_data")}
            config |= {"nats": stage.nats_options} if name == "raw_nats" else {}
            await stage.run(f"take_{name}", module, config)
        # Without the others: the market's half needs neither the account's nor the state.
        await start_opensqt(stage, ports["opensqt"], services=("state", "market_data"))
        await listening(stage, control, list(contenders))
        async with open_tap(stage, ">", "MSG ") as tap:
            await measure(stage, control, tap, contenders, options.seconds)
            paced = {
                rate: {
                    name: await carried_of(stage, control, tap, name, rate)
                    for name in ("raw_nats", "opensqt")
                }
                for rate in PACES
            }
        return compare(contenders) | {"paced": compare_paced(paced)}


async def measure(
    stage: Stage, control: str, tap: Tap, contenders: dict[str, Contender], seconds: float
) -> None:
    """Flood everyone in turn, for about so many seconds each."""
    last_bids = itertools.count(LAST + 1)
    frames = dict.fromkeys(contenders, CALIBRATION_FRAMES)
    for number in range(ROUNDS + 1):
        for name, one in contenders.items():
            last_bid, before = next(last_bids), tap.count
            if one.on_bus:
                tap.watched.add(str(last_bid))
            flood = {"stack": name, "frames": frames[name], "last_bid": str(last_bid)}
            started = (await post(stage, f"{control}/flood", flood))["started"]
            ended = await last_seen(tap, one, last_bid)
            rate = frames[name] / (ended - started)
            if number == 0:
                frames[name] = min(FRAMES_MAX, max(CALIBRATION_FRAMES, int(rate * seconds)))
                continue
            one.rates.append(rate)
            one.carried.append((tap.count - before) / (ended - started) if one.on_bus else 0.0)


async def carried_of(stage: Stage, control: str, tap: Tap, name: str, rate: int) -> tuple[int, int]:
    """Send prices evenly; how many were sent, and how many came out on NATS."""
    before = tap.count
    wanted = {"stack": name, "rate": rate, "seconds": PACE_S}
    sent = (await post(stage, f"{control}/pace", wanted))["sent"]
    await asyncio.sleep(0.3)
    return sent, tap.count - before


def compare_paced(paced: dict[int, dict[str, tuple[int, int]]]) -> dict[str, Any]:
    """Print what is carried of prices that come evenly; the same as data."""
    result: dict[str, Any] = {}
    rows = []
    for rate, counts in paced.items():
        one = {name: carried / sent for name, (sent, carried) in counts.items()}
        result[f"{rate}/s"] = one
        sent = counts["opensqt"][0] / PACE_S
        rows.append(
            (f"{sent:,.0f}/s", *(f"{100 * one[name]:.0f} %" for name in ("raw_nats", "opensqt")))
        )
    header = ("prices offered", "floor", "OpenSQT")
    print(report.table("share that is carried to NATS one by one", header, rows))
    return result


async def last_seen(tap: Tap, one: Contender, last_bid: int) -> float:
    """When the flood's last price was seen: on NATS, where it is carried there."""
    text = str(last_bid)
    noted = Path(f"{one.notes}.{text}")

    async def seen() -> bool:
        return text in tap.seen_at if one.on_bus else noted.exists()

    await wait_until(seen, timeout_s=60, what=f"the last price at {one.title}")
    await asyncio.sleep(0.1)
    if one.on_bus:
        return tap.seen_at[text]
    return float(json.loads(noted.read_text())["at"])


def compare(contenders: dict[str, Contender]) -> dict[str, Any]:
    """Print the table; the same as data."""
    floor = median(contenders["raw_nats"].rates)
    result: dict[str, Any] = {}
    rows = []
    for name, one in contenders.items():
        taken, carried = median(one.rates), median(one.carried)
        result[name] = {
            "prices_per_s": taken,
            "on_nats_per_s": carried,
            "ratio": report.ratio(taken, floor),
        }
        rows.append(
            (
                one.title,
                report.times(report.ratio(taken, floor)),
                report.number(taken, 0),
                report.number(carried, 0) if one.on_bus else "-",
                f"{report.number(min(one.rates), 0)} to {report.number(max(one.rates), 0)}",
            )
        )
    header = ("one process", "ratio", "prices/s", "on NATS/s", "rounds")
    print(report.table("price events taken at full speed", header, rows))
    return result
