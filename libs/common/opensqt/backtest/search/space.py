"""The lattice of settings that a search may try: exact numbers on steps, never floats.

A point is one index for each axis. Samplers see indices only; what they stand for is decided here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import product
from math import prod
from typing import TypeAlias

Value: TypeAlias = Decimal | int | bool | str
"""What a setting can be: a number, a flag or a name."""
Point: TypeAlias = tuple[int, ...]
"""One index for each axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Every number from `low` on, `step` apart."""

    key: str
    low: Decimal
    step: Decimal
    count: int
    log: bool = False
    """Small values are as interesting as large ones: tried evenly in their order of magnitude."""
    grid_points: int | None = None
    """How many of the values a grid search tries; None: every one."""

    def value(self, index: int) -> Value:
        """The number at an index; a whole one as `int`."""
        assert 0 <= index < self.count
        number = self.low + index * self.step
        return int(number) if number == number.to_integral_value() else number

    def grid(self) -> tuple[int, ...]:
        """The indices that a grid search tries: evenly spread, both ends among them."""
        points = self.grid_points
        if points is None or points >= self.count:
            return tuple(range(self.count))
        last = self.count - 1
        if not self.log:
            return tuple(round(last * place / (points - 1)) for place in range(points))
        # Evenly in the logarithm, on the lattice; small values may fall together.
        units = self.low / self.step
        ratio = float((units + last) / units)
        spread = (float(units) * (ratio ** (place / (points - 1)) - 1) for place in range(points))
        return tuple(sorted({min(last, round(place)) for place in spread}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """A few values, without an order among them."""

    key: str
    values: tuple[Value, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.values)

    def value(self, index: int) -> Value:
        """The value at an index."""
        return self.values[index]

    def grid(self) -> tuple[int, ...]:
        """The indices that a grid search tries: all."""
        return tuple(range(len(self.values)))


Axis: TypeAlias = Range | Choices


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """What may be tried."""

    axes: tuple[Axis, ...]
    same: Mapping[str, str] = field(default_factory=dict)
    """Keys that always have the value of another one."""

    @property
    def size(self) -> int:
        """How many points there are."""
        return prod(axis.count for axis in self.axes)

    @property
    def grid_size(self) -> int:
        """How many points a grid search tries."""
        return prod(len(axis.grid()) for axis in self.axes)

    def grid(self) -> Iterator[Point]:
        """The points of a grid search; the last axis changes first."""
        return product(*(axis.grid() for axis in self.axes))

    def settings(self, point: Point) -> dict[str, Value]:
        """What a point stands for, by key."""
        found = {axis.key: axis.value(index) for axis, index in zip(self.axes, point, strict=True)}
        return found | {key: found[other] for key, other in self.same.items()}
