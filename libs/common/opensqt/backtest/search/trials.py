"""A trial: one point, judged on one window of history."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from opensqt.backtest.search.goals import Goals, Measures
from opensqt.backtest.search.space import Point


class Status(StrEnum):
    """How the judging of a point ended."""

    JUDGED = "judged"
    IMPOSSIBLE = "impossible"
    """The settings contradict each other, or the exchange would not take such orders."""
    FAILED = "failed"
    """The backtest itself failed."""
    DIED = "died"
    """The worker did not survive it, twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a point."""

    status: Status
    measures: Measures = field(default_factory=dict)
    why: str = ""
    """Why it was not judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A point and what came of it."""

    number: int
    point: Point
    outcome: Outcome

    def judged(self, goals: Goals) -> bool:
        """Whether it was judged, and everything that is asked for can be told."""
        return self.outcome.status is Status.JUDGED and not goals.missing(self.outcome.measures)

    def feasible(self, goals: Goals) -> bool:
        """Whether it can be chosen: judged, with every constraint kept."""
        return self.judged(goals) and not goals.broken(self.outcome.measures)

    def shortfall(self, goals: Goals) -> str:
        """Why it cannot be chosen, in words; empty when it can."""
        if self.outcome.status is not Status.JUDGED:
            return f"{self.outcome.status}: {self.outcome.why}"
        if missing := goals.missing(self.outcome.measures):
            return f"not enough data for {', '.join(missing)}"
        return ", ".join(f"not {text}" for text in goals.broken(self.outcome.measures))


def tally(trials: Mapping[int, Trial] | tuple[Trial, ...], goals: Goals) -> dict[str, int]:
    """How many trials ended how, for people."""
    listed = trials.values() if isinstance(trials, Mapping) else trials
    counts: dict[str, int] = {"tried": 0, "feasible": 0, "outside the constraints": 0}
    for trial in listed:
        counts["tried"] += 1
        status = trial.outcome.status
        if status is not Status.JUDGED:
            kind = str(status)
        elif goals.missing(trial.outcome.measures):
            kind = "with too little data"
        else:
            kind = "feasible" if trial.feasible(goals) else "outside the constraints"
        counts[kind] = counts.get(kind, 0) + 1
    return counts
