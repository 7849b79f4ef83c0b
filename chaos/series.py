"""A series of runs: every fault in turn, in an order that a seed decides, on stage after stage."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random
from typing import Final

from chaos.defects import Defect
from chaos.faults import Fault
from chaos.one_run import Outcome, one_run, trading
from chaos.report import line_of
from chaos.stage import Stage, open_stage

RUNS_ON_A_STAGE: Final = 25
"""Then everything begins anew: both sides' books grow, and are read whole after each run."""
FINDINGS_SHOWN: Final = 20

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What to do.

    Attributes:
        faults: Those to choose from.
        runs: How many runs.
        seed: Decides the order, every moment, and the market.
        defect: Falsifies the exchange's books.
    """

    faults: Sequence[Fault]
    runs: int
    seed: int
    defect: Defect | None = None


def deck(faults: Sequence[Fault], runs: int, rng: Random) -> Iterator[Fault]:
    """So many faults: each as often as every other, shuffled."""
    dealt: list[Fault] = []
    for _ in range(runs):
        if not dealt:
            dealt = list(faults)
            rng.shuffle(dealt)
        yield dealt.pop()


async def run_series(series: Series, tell: Tell, done: Callable[[Outcome], None]) -> None:
    """Do all runs; a stage on which something was wrong is not used again.

    Args:
        series: What to do.
        tell: Takes lines on how it goes.
        done: Takes the outcome of each run.

    Raises:
        StackError: A stage could not be started.
        SilentError: A stage does not trade, though nothing was broken yet.
    """
    rng = Random(series.seed)
    async with AsyncExitStack() as opened:
        stage: Stage | None = None
        on_it = 0
        for number, fault in enumerate(deck(series.faults, series.runs, rng), start=1):
            if stage is None:
                started_s = time.monotonic()
                stage = await opened.enter_async_context(open_stage(rng.getrandbits(32)))
                await trading(stage, orders=1)
                on_it = 0
                tell(f"a new stage trades after {time.monotonic() - started_s:.1f} s")
            outcome = await one_run(stage, fault, rng, defect=series.defect)
            on_it += 1
            tell(line_of(number, series.runs, outcome))
            for finding in outcome.findings[:FINDINGS_SHOWN]:
                tell(f"      {finding}")
            if outcome.findings:
                tell(f"      logs: {stage.run.logs}")
            done(outcome)
            if outcome.findings or on_it >= RUNS_ON_A_STAGE:
                await opened.aclose()
                stage = None
