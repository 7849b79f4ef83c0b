"""What is better: objectives, constraints, the Pareto front, and the one point to take from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from opensqt.core.numbers import ZERO, divide, plain

Measures: TypeAlias = Mapping[str, Decimal | None]
"""What a backtest came to, by name; None: there is not enough data to say."""


class Direction(StrEnum):
    """Which way is better."""

    MAXIMISE = "maximise"
    MINIMISE = "minimise"

    @classmethod
    def _missing_(cls, value: object) -> "Direction | None":
        spellings = {"maximize": cls.MAXIMISE, "minimize": cls.MINIMISE}
        return spellings.get(str(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A measure to bring as far as possible in one direction."""

    measure: str
    direction: Direction

    @property
    def sign(self) -> int:
        """What turns values around so that less is better."""
        return -1 if self.direction is Direction.MAXIMISE else 1

    def better(self, left: Decimal, right: Decimal) -> bool:
        """Whether the left value is better than the right one."""
        return left > right if self.direction is Direction.MAXIMISE else left < right


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A measure that must keep within bounds."""

    measure: str
    at_least: Decimal | None = None
    at_most: Decimal | None = None

    def violation(self, value: Decimal) -> Decimal:
        """By how much a value is out of bounds; 0 or less when it is not."""
        over = value - self.at_most if self.at_most is not None else None
        under = self.at_least - value if self.at_least is not None else None
        return max(part for part in (over, under) if part is not None)

    def __str__(self) -> str:
        bounds = (
            ("at least", self.at_least),
            ("at most", self.at_most),
        )
        said = " and ".join(f"{text} {plain(value)}" for text, value in bounds if value is not None)
        return f"{self.measure} {said}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goals:
    """What a search is after."""

    objectives: tuple[Objective, ...]
    """The first one decides between equals."""
    constraints: tuple[Constraint, ...] = ()

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures that are asked for, each once."""
        wanted = [goal.measure for goal in self.objectives]
        wanted += [bound.measure for bound in self.constraints]
        return tuple(dict.fromkeys(wanted))

    def missing(self, measures: Measures) -> tuple[str, ...]:
        """The measures that are asked for and cannot be told."""
        return tuple(name for name in self.measures if measures.get(name) is None)

    def values(self, measures: Measures) -> tuple[Decimal, ...]:
        """The objectives' values; none of them may be missing."""
        return tuple(_told(measures, objective.measure) for objective in self.objectives)

    def violations(self, measures: Measures) -> tuple[Decimal, ...]:
        """By how much each constraint is broken; 0 or less: it is kept."""
        return tuple(part.violation(_told(measures, part.measure)) for part in self.constraints)

    def broken(self, measures: Measures) -> tuple[str, ...]:
        """The constraints that are broken, in words."""
        pairs = zip(self.constraints, self.violations(measures), strict=True)
        return tuple(str(part) for part, violation in pairs if violation > ZERO)

    def dominates(self, left: Sequence[Decimal], right: Sequence[Decimal]) -> bool:
        """Whether the left values are nowhere worse, and better somewhere."""
        pairs = list(zip(self.objectives, left, right, strict=True))
        return not any(goal.better(b, a) for goal, a, b in pairs) and any(
            goal.better(a, b) for goal, a, b in pairs
        )


def _told(measures: Measures, name: str) -> Decimal:
    value = measures[name]
    assert value is not None, name
    return value


def order(goals: Goals) -> Callable[[Sequence[Decimal]], tuple[Decimal, ...]]:
    """A sorting key over objectives' values: the best of the first objective comes first."""
    signs = [goal.sign for goal in goals.objectives]
    return lambda values: tuple(sign * value for sign, value in zip(signs, values, strict=True))


def pareto_front(goals: Goals, candidates: Sequence[Sequence[Decimal]]) -> tuple[int, ...]:
    """Indices of those that no other dominates, best first; of equal ones the earliest."""
    key = order(goals)
    sorted_ones = sorted(range(len(candidates)), key=lambda index: (key(candidates[index]), index))
    front: list[int] = []
    for index in sorted_ones:
        # In this order nothing later can dominate what is earlier.
        mine = candidates[index]
        if any(
            tuple(candidates[other]) == tuple(mine) or goals.dominates(candidates[other], mine)
            for other in front
        ):
            continue
        front.append(index)
    return tuple(front)


def balanced(goals: Goals, front: Sequence[Sequence[Decimal]]) -> int:
    """Index of the one to take: nearest to having the best of everything.

    Each objective is scaled to the front's own range, 0 at its best and 1 at its worst value; the
    least sum of squares wins, and of equals the earlier. With one objective that is the best.
    """
    assert front
    columns = list(zip(*front, strict=True))
    away = [ZERO] * len(front)
    for goal, column in zip(goals.objectives, columns, strict=True):
        best, worst = max(column), min(column)
        if goal.direction is Direction.MINIMISE:
            best, worst = worst, best
        if best == worst:
            continue
        for index, value in enumerate(column):
            away[index] += divide(best - value, best - worst) ** 2
    return min(range(len(front)), key=lambda index: (away[index], index))
