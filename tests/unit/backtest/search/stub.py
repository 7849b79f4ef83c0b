"""Stands in for backtests: a hill with known heights, and settings that kill their worker."""

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from opensqt.backtest.search.goals import Constraint, Direction, Goals, Objective
from opensqt.backtest.search.kinds import SamplerKind
from opensqt.backtest.search.searching import Search
from opensqt.backtest.search.space import Choices, Range, SearchSpace, Value
from opensqt.backtest.search.trials import Outcome, Status
from opensqt.backtest.search.walk import Span, Window

D = Decimal
TOP = 40
"""The `x` that the hill is highest at."""

SPACE = SearchSpace(
    axes=(
        Range(key="x", low=D(0), step=D(1), count=101),
        Range(key="y", low=D("0.5"), step=D("0.25"), count=41),
        Choices(key="kind", values=("round", "flat")),
    ),
    same={"z": "y"},
)
HEIGHT = Objective(measure="height", direction=Direction.MAXIMISE)
COST = Objective(measure="cost", direction=Direction.MINIMISE)
ONE_GOAL = Goals(objectives=(HEIGHT,), constraints=(Constraint(measure="cost", at_most=D(90)),))
TWO_GOALS = Goals(objectives=(HEIGHT, COST))
DAY_NS = 86_400_000_000_000
SPAN = Span(start_ns=0, end_ns=10 * DAY_NS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hill:
    """A setup whose evaluator is itself."""

    killers: frozenset[int] = frozenset()
    """Values of `x` that kill the worker."""
    once: Path | None = None
    """A file: while it is missing, `x` above `TOP` kills and makes it. The worker dies once."""
    journal: Path | None = None
    """What was judged is written here, one line each."""
    parent: int = 0
    """Process that must not be killed."""
    slow_s: float = 0.0

    def open(self) -> "Hill":
        return self

    def judge(self, settings: Mapping[str, Value], span: Span) -> Outcome:
        time.sleep(self.slow_s)
        if self.journal:
            with self.journal.open("a", encoding="utf-8") as file:
                file.write(f"{settings}\n")
        if not settings:
            return Outcome(status=Status.JUDGED, measures={"height": D(0), "cost": D(1)})
        x, y = D(str(settings["x"])), D(str(settings["y"]))
        assert settings["z"] == settings["y"]
        self._perhaps_die(int(x))
        if x % 7 == 6:
            return Outcome(status=Status.IMPOSSIBLE, why=f"x is {x}; allowed: no such")
        if x % 11 == 10:
            raise RuntimeError("a defect")
        top = TOP + span.start_ns // DAY_NS  # the hill wanders
        height = 100 - (x - top) ** 2 - (y - 3) ** 2 - (5 if settings["kind"] == "flat" else 0)
        return Outcome(
            status=Status.JUDGED,
            measures={"height": None if x == 0 else height, "cost": x + y},
        )

    def _perhaps_die(self, x: int) -> None:
        dies = x in self.killers
        if self.once and x > TOP and not self.once.exists():
            self.once.touch()
            dies = True
        if dies:
            assert os.getpid() != self.parent, "killed in the test's own process"
            os.kill(os.getpid(), signal.SIGKILL)


def plan(
    kind: SamplerKind = SamplerKind.RANDOM,
    *,
    goals: Goals = ONE_GOAL,
    space: SearchSpace = SPACE,
    trials: int = 40,
    batch: int = 8,
    seed: int = 1,
    windows: tuple[Window, ...] = (Window(number=0, train=SPAN),),
) -> Search:
    return Search(
        space=space, goals=goals, kind=kind, trials=trials, batch=batch, seed=seed, windows=windows
    )
