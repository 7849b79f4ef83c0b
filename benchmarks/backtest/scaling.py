"""Ours on more data: millions of ticks, and a year of candles of twelve symbols."""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

from benchmarks import report
from benchmarks.backtest.processes import SCRIPTS, Engine, RunFailedError, run_engine, run_script
from benchmarks.backtest.ticks import Grid, walk
from benchmarks.backtest.year import SYMBOLS, write_year

MILLIONS: Final = (1, 5, 25)
HOURS: Final = 365 * 24
QUICK_HOURS: Final = 31 * 24
PLACE: Final = report.DIRECTORY / "backtest-runs"


async def scale(*, quick: bool) -> dict[str, Any]:
    """Print two tables; the same as data."""
    return {
        "ticks": await _ticks(MILLIONS[:1] if quick else MILLIONS),
        "candles": await _candles(QUICK_HOURS if quick else HOURS),
    }


async def _ticks(millions: tuple[int, ...]) -> dict[str, Any]:
    engine = Engine(
        name="OpenSQT", python=Path(sys.executable), script="with_opensqt.py", variant="auto"
    )
    result: dict[str, Any] = {}
    rows = []
    for count in millions:
        ticks, grid = PLACE / f"scaling-{count}.npz", PLACE / "scaling.json"
        await asyncio.to_thread(walk(count * 1_000_000).save, ticks)
        Grid(interval=134).save(grid)
        try:
            run = await run_engine(engine, ticks, grid, PLACE / "scaling")
        except RunFailedError as error:
            print(f"{count} million ticks: {str(error).splitlines()[-1]}")
            continue
        finally:
            ticks.unlink()
        result[f"{count}m"] = {**run.told, "cold_s": run.cold_s}
        rows.append(
            (
                f"{count} million",
                report.number(run.ticks / run.run_s, 0),
                report.number(run.run_s),
                report.number(run.cold_s),
                report.number(run.peak_mib, 0),
                report.number(run.peak_mib * 2**20 / run.ticks, 0),
                f"{len(run.fills):,}",
            )
        )
    header = ("ticks", "ticks/s", "run s", "cold s", "peak MiB", "bytes/tick", "fills")
    print(report.table("OpenSQT, wide grid", header, rows))
    return result


async def _candles(hours: int) -> dict[str, Any]:
    folder, out = PLACE / "year", PLACE / "year.json"
    await asyncio.to_thread(write_year, folder, hours=hours)
    words = (str(SCRIPTS / "with_year.py"), str(folder.absolute()), str(out.absolute()))
    started = time.perf_counter()
    try:
        await run_script("candles", sys.executable, *words)
    except RunFailedError as error:
        print(f"candles: {str(error).splitlines()[-1]}")
        return {"failed": str(error)}
    told: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    told["cold_s"] = time.perf_counter() - started
    row = (
        f"{hours // 24} days x {len(SYMBOLS)}",
        *(
            report.number(told[name])
            for name in ("cold_s", "cpu_s", "read_s", "trade_s", "equity_s")
        ),
        report.number(told["peak_mib"], 0),
        f"{told['ticks']:,}",
        f"{told['fills']:,}",
    )
    header = ("one-minute candles", "cold s", "of it CPU s", "reading s", "trading s", "equity s")
    print(report.table("OpenSQT", (*header, "peak MiB", "ticks", "fills"), [row]))
    print(f"by: {told['modes']}\n")
    return told
