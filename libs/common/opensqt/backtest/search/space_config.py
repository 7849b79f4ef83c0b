"""What is searched and what is better, as a trader writes it down: the YAML file of ``--space``."""

import re
from decimal import Decimal
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, Field, model_validator

from opensqt.backtest.search.goals import Constraint, Direction
from opensqt.backtest.search.space import Value
from opensqt.backtest.search.walk import WalkForward
from opensqt.runtime.config_models import ConfigModel, ExactDecimal

_UNITS_NS: Final = {"m": 60 * 10**9, "h": 3_600 * 10**9, "d": 86_400 * 10**9}
POINTS_MAX: Final = 10_000
CHOICES_MAX: Final = 1_000


def _stretch_ns(value: Any) -> int:
    found = re.fullmatch(r"([1-9]\d{0,5})\s*([mhd])", str(value).strip())
    if found is None:
        raise ValueError("allowed is a whole number with m, h or d, such as 7d")
    return int(found[1]) * _UNITS_NS[found[2]]


StretchNs = Annotated[int, BeforeValidator(_stretch_ns, json_schema_input_type=str)]
"""A stretch of history such as ``7d``, in nanoseconds."""


class AxisConfig(ConfigModel):
    """The values that one key may take: a range, a few choices, or those of another key."""

    low: ExactDecimal | None = None
    """The smallest value."""
    high: ExactDecimal | None = None
    """The largest value; a whole number of steps above `low`."""
    step: ExactDecimal | None = Field(default=None, gt=0)
    """What neighbouring values differ by; left out: the exchange's tick or step, or 1."""
    log: bool = False
    """Small values are as interesting as large ones; `low` is a multiple of `step`, above 0."""
    points: int | None = Field(default=None, ge=2, le=POINTS_MAX)
    """How many of the values a grid search tries, evenly spread; left out: all."""
    choices: list[bool | int | str] | None = Field(
        default=None, min_length=1, max_length=CHOICES_MAX
    )
    """The values themselves."""
    same_as: str | None = None
    """Another key: the value is always that one's."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ranged = self.low is not None or self.high is not None
        if [ranged, self.choices is not None, self.same_as is not None].count(True) != 1:
            raise ValueError("allowed is exactly one of low and high, choices, or same_as")
        if not ranged:
            if self.step is not None or self.log or self.points is not None:
                raise ValueError("step, log and points go with low and high")
            return self
        if self.low is None or self.high is None:
            raise ValueError("low and high are given together")
        if self.low >= self.high:
            raise ValueError(f"low is {self.low}, high is {self.high}; high must be more")
        return self


class BoundConfig(ConfigModel):
    """Bounds that a measure must keep within."""

    at_least: ExactDecimal | None = None
    at_most: ExactDecimal | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("at_least, at_most or both")
        return self

    def to_constraint(self, measure: str) -> Constraint:
        """As the search takes it."""
        return Constraint(measure=measure, at_least=self.at_least, at_most=self.at_most)


class WalkForwardConfig(ConfigModel):
    """Settings are chosen on one stretch of history and judged on the one that follows."""

    train: StretchNs
    """What is chosen on, such as ``7d``."""
    test: StretchNs
    """What is judged on, right after it."""
    step: StretchNs | None = None
    """From one window's beginning to the next one's; left out: as long as `test`."""

    def to_walk(self) -> WalkForward:
        """As the search takes it."""
        return WalkForward(train_ns=self.train, test_ns=self.test, step_ns=self.step or self.test)


class SpaceConfig(ConfigModel):
    """A search."""

    space: dict[str, AxisConfig] = Field(min_length=1)
    """By key: of the bot's configuration, such as ``grid.interval``, or of what is assumed, such
    as ``assume.leverage``."""
    objectives: dict[str, Direction] = Field(default={"return": Direction.MAXIMISE}, min_length=1)
    """Measures to ``maximise`` or ``minimise``; with several the Pareto front is found."""
    constraints: dict[str, BoundConfig] = Field(default={})
    """Measures that must keep within bounds."""
    walk_forward: WalkForwardConfig | None = None
    """Left out: settings are chosen on the whole history, and judged on nothing else."""


def as_number(value: Value) -> Value:
    """A choice as what it was meant: YAML's fractions come as text."""
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,30}\.\d{1,30}", value):
        return Decimal(value)
    return value
