"""Finding the next event that leaves a range: one by one, or by vectors."""

from dataclasses import dataclass
from typing import Final, Protocol

from opensqt.backtest.columns import Ints
from opensqt.backtest.exact.timeline import FAR

BLOCK_MIN: Final = 256
BLOCK_MAX: Final = 65_536
"""Vectors are looked through in blocks that grow, so that a busy stretch costs little."""


@dataclass(frozen=True, slots=True)
class Range:
    """What a column's values are within, both ends included."""

    column: int
    least: int = -FAR - 1
    most: int = FAR + 1


class Finder(Protocol):
    """Looks through a market's columns."""

    def first_outside(self, ranges: tuple[Range, ...], start: int, stop: int) -> int:
        """The first index from `start` on of which a column is outside its range; else `stop`."""
        ...


class Stepping:
    """Looks at every event, one after the other.

    Args:
        columns: What ranges are of, by number.
    """

    def __init__(self, columns: tuple[Ints, ...]) -> None:
        lists: dict[int, list[int]] = {}
        self._columns = [lists.setdefault(id(column), column.tolist()) for column in columns]

    def first_outside(self, ranges: tuple[Range, ...], start: int, stop: int) -> int:
        """The first index from `start` on of which a column is outside its range; else `stop`."""
        if len(ranges) == 2:  # the usual case, without a loop in the loop
            one, other = ranges
            least, most = one.least, one.most
            lowest, highest = other.least, other.most
            values, others = self._columns[one.column], self._columns[other.column]
            for index in range(start, stop):
                if not (least <= values[index] <= most and lowest <= others[index] <= highest):
                    return index
            return stop
        columns = [(self._columns[each.column], each.least, each.most) for each in ranges]
        for index in range(start, stop):
            for column, least, most in columns:
                if not least <= column[index] <= most:
                    return index
        return stop


class Skipping:
    """Looks at many events at once.

    Args:
        columns: What ranges are of, by number.
    """

    def __init__(self, columns: tuple[Ints, ...]) -> None:
        self._columns = columns

    def first_outside(self, ranges: tuple[Range, ...], start: int, stop: int) -> int:
        """The first index from `start` on of which a column is outside its range; else `stop`."""
        block = BLOCK_MIN
        while start < stop:
            end = min(start + block, stop)
            found = end
            for each in ranges:
                values = self._columns[each.column][start:found]
                if each.least > -FAR and values.min() < each.least:
                    found = start + int((values < each.least).argmax())
                    values = values[: found - start]
                if each.most < FAR and len(values) and values.max() > each.most:
                    found = start + int((values > each.most).argmax())
                if found == start:
                    return start
            if found < end:
                return found
            start, block = end, min(block * 4, BLOCK_MAX)
        return stop
