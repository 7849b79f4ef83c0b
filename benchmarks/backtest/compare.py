"""Speed, memory and fills of every engine, taking turns, each run in a process of its own."""

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import report
from benchmarks.backtest.aims import judge
from benchmarks.backtest.environments import NoEnvironmentError, interpreter_of
from benchmarks.backtest.fills import Comparison, Expected
from benchmarks.backtest.processes import Engine, Run, RunFailedError, run_engine
from benchmarks.backtest.ticks import Grid, Ticks, recorded, walk

TURNS: Final = 3
TICKS: Final = 1_000_000
QUICK_TICKS: Final = 200_000
SLOW_TICKS: Final = 100_000
"""What the engine that shows every event to everybody gets to see."""
PLACE: Final = report.DIRECTORY / "backtest-runs"

FLOOR, LOOP = "bare NumPy (floor)", "bare Python loop"
INTEGER, SKIP, STEP = "OpenSQT, whole numbers", "OpenSQT, skipping", "OpenSQT, event by event"
CURVE = "OpenSQT, whole numbers, curve kept"
EVERY = "OpenSQT, every event to all"
NAUTILUS, HFTBACKTEST = "NautilusTrader 1.221", "hftbacktest 2.4"
HFTBACKTEST_PLAIN = "hftbacktest, orders at every tick"


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Ticks and a grid for them."""

    name: str
    ticks: Ticks
    grid: Grid

    def save(self) -> tuple[Path, Path]:
        """Where the processes find them."""
        ticks, grid = PLACE / f"{self.name}.npz", PLACE / f"{self.name}.json"
        self.ticks.save(ticks)
        self.grid.save(grid)
        return ticks, grid


@dataclass(slots=True, kw_only=True)
class Line:
    """What came of an engine on a market: the best of its runs."""

    ticks_per_s: float = math.nan
    compile_s: float = math.nan
    cold_s: float = math.nan
    peak_mib: float = math.nan
    ticks: int = 0
    comparison: Comparison | None = None
    failed: str = ""

    def take(self, run: Run, comparison: Comparison) -> None:
        """Keep what is better of a run: what disturbs it only makes it slower."""
        self.ticks, self.comparison = run.ticks, comparison
        self.ticks_per_s = max(run.ticks / run.run_s, _zero(self.ticks_per_s))
        self.compile_s = min(run.compile_s, _infinite(self.compile_s))
        self.cold_s = min(run.cold_s, _infinite(self.cold_s))
        self.peak_mib = min(run.peak_mib, _infinite(self.peak_mib))


async def compare(*, quick: bool) -> dict[str, Any]:
    """Print a table for each market; the same as data."""
    engines, missing = await _engines()
    result: dict[str, Any] = {"left_out": missing}
    for market in _markets(QUICK_TICKS if quick else TICKS):
        lines = await _take_turns(market, engines, turns=1 if quick else TURNS)
        print(_table(market, lines))
        for name, line in lines.items():
            if line.failed:
                print(f"{name} failed: {line.failed.splitlines()[-1]}\n")
        result[market.name] = _as_data(lines)
    result["aims"] = judge(result, {"fast": INTEGER, "step": STEP}, whole=not quick)
    return result


def _markets(count: int) -> Iterable[Market]:
    walked = walk(count)
    yield Market(name="wide", ticks=walked, grid=Grid(interval=134))
    yield Market(name="tight", ticks=walked, grid=Grid(interval=28))
    trades = recorded()
    anchor = int(trades.price[0]) // 40 * 40 + 1
    yield Market(name="recorded", ticks=trades, grid=Grid(interval=40, anchor=anchor))


async def _engines() -> tuple[list[Engine], dict[str, str]]:
    """All engines, in the order of their turns; and those that could not be installed."""
    here = Path(sys.executable)
    ours, floor = "with_opensqt.py", "with_floor.py"
    engines = [
        Engine(name=FLOOR, python=here, script=floor, variant="vectors"),
        Engine(name=LOOP, python=here, script=floor, variant="loop"),
        Engine(name=INTEGER, python=here, script=ours, variant="integer"),
        Engine(name=CURVE, python=here, script=ours, variant="integer curve"),
        Engine(name=SKIP, python=here, script=ours, variant="skip"),
        Engine(name=STEP, python=here, script=ours, variant="step"),
        Engine(
            name=EVERY,
            python=here,
            script=ours,
            variant="every",
            most_ticks=SLOW_TICKS,
            most_turns=1,
        ),
    ]
    missing = {}
    rivals = {
        HFTBACKTEST: ("hftbacktest", ""),
        HFTBACKTEST_PLAIN: ("hftbacktest", "plain"),
        NAUTILUS: ("nautilus", ""),
    }
    for name, (rival, variant) in rivals.items():
        try:
            python = await interpreter_of(rival)
        except NoEnvironmentError as error:
            missing[name] = str(error)
            print(f"{name} is left out: {error}\n")
            continue
        script = f"with_{rival}.py"
        engines.append(Engine(name=name, python=python, script=script, variant=variant, rule=rival))
    return engines, missing


async def _take_turns(market: Market, engines: list[Engine], *, turns: int) -> dict[str, Line]:
    ticks, grid = market.save()
    expected = Expected(market.ticks, market.grid)
    lines = {engine.name: Line() for engine in engines}
    for turn in range(turns):
        for engine in engines:
            line = lines[engine.name]
            if turn >= engine.most_turns or line.failed:
                continue
            out = PLACE / f"{market.name}-{engine.script}-{engine.variant}"
            try:
                run = await run_engine(engine, ticks, grid, out)
            except RunFailedError as error:
                line.failed = str(error)
                continue
            line.take(run, expected.compare(run.fills, rule=engine.rule, ticks=run.ticks))
    return lines


def _table(market: Market, lines: dict[str, Line]) -> str:
    speed = ("", "of floor", "ticks/s", HFTBACKTEST, NAUTILUS, "peak MiB", "cold s")
    header = (*speed, "fills", "missing", "extra", "explained")
    rows = []
    for name, line in lines.items():
        told = line.comparison
        rows.append(
            (
                name,
                report.times(_over(lines, name, FLOOR)),
                report.number(line.ticks_per_s, 0),
                report.times(_over(lines, name, HFTBACKTEST)),
                report.times(_over(lines, name, NAUTILUS)),
                report.number(line.peak_mib, 0),
                report.number(line.cold_s),
                *(
                    (str(told.fills), str(told.missing), str(told.extra), _yes(told.explained))
                    if told
                    else ("-",) * 4
                ),
            )
        )
    title = (
        f"{market.name}: {len(market.ticks):,} ticks, a level every {market.grid.interval / 2:g}"
    )
    return report.table(f"{title} price steps", header, rows)


def _as_data(lines: dict[str, Line]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name, line in lines.items():
        told = line.comparison
        data[name] = {
            "ticks": line.ticks,
            "ticks_per_s": line.ticks_per_s,
            "of_floor": _over(lines, name, FLOOR),
            "over_hftbacktest": _over(lines, name, HFTBACKTEST),
            "over_plain": _over(lines, name, HFTBACKTEST_PLAIN),
            "over_nautilus": _over(lines, name, NAUTILUS),
            "memory_of_nautilus": _share(lines, name, NAUTILUS),
            "peak_mib": line.peak_mib,
            "compile_s": line.compile_s,
            "cold_s": line.cold_s,
            "failed": line.failed,
        }
        if told:
            data[name] |= {
                "fills": told.fills,
                "missing": told.missing,
                "extra": told.extra,
                "explained": told.explained,
            }
    return data


def _over(lines: dict[str, Line], name: str, other: str) -> float:
    if other not in lines:
        return math.nan
    return report.ratio(lines[name].ticks_per_s, lines[other].ticks_per_s)


def _share(lines: dict[str, Line], name: str, other: str) -> float:
    if other not in lines:
        return math.nan
    return report.ratio(lines[name].peak_mib, lines[other].peak_mib)


def _yes(value: bool) -> str:  # noqa: FBT001  # a cell
    return "yes" if value else "NO"


def _zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _infinite(value: float) -> float:
    return math.inf if math.isnan(value) else value
