"""One run of one engine, in a process of its own: how long, how much memory, which fills."""

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SCRIPTS = Path(__file__).parent / "engines"
LIMIT_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Something that can run the grid."""

    name: str
    python: Path
    script: str
    variant: str = ""
    """The script's fourth argument."""
    most_ticks: int = 0
    """Its first ticks only, if it is too slow for all; 0: all."""
    most_turns: int = 3
    rule: str = "all"
    """Of `engines.floor.Rule`: what a trade does to the orders that it is beyond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of one run."""

    ticks: int
    run_s: float
    """From the ticks in memory, in the engine's own form, to the result; the best of them."""
    compile_s: float
    cold_s: float
    """From the start of the process to its end."""
    peak_mib: float
    fills: NDArray[np.int64]
    """Rows of time, price, side and quantity."""
    told: dict[str, object]
    """Everything that the script said."""


class RunFailedError(Exception):
    """An engine did not come to an end; with its last words."""


async def run_engine(engine: Engine, ticks: Path, grid: Path, out: Path) -> Run:
    """Run an engine once.

    Raises:
        RunFailedError: If it fails, or takes more than `LIMIT_S`.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    words = [str(ticks.absolute()), str(grid.absolute()), str(out.absolute())]
    words += [engine.variant, str(engine.most_ticks)]
    started = time.perf_counter()
    await run_script(engine.name, str(engine.python), str(SCRIPTS / engine.script), *words)
    cold_s = time.perf_counter() - started
    told = json.loads(Path(f"{out}.json").read_text(encoding="utf-8"))
    with np.load(f"{out}.npz") as file:
        fills = file["fills"]
    return Run(
        ticks=told["ticks"],
        run_s=told["run_s"],
        compile_s=told.get("compile_s", 0.0),
        cold_s=cold_s - told.get("again_s", 0.0),
        peak_mib=told["peak_mib"],
        fills=fills,
        told=told,
    )


async def run_script(name: str, *command: str) -> None:
    """Run a command to its end.

    Raises:
        RunFailedError: If it fails, or takes more than `LIMIT_S`.
    """
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise RunFailedError(f"{name} took more than {LIMIT_S} s") from None
    if process.returncode:
        raise RunFailedError(f"{name}: {said.decode(errors='replace').strip()[-2000:]}")
