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


STEPS: Final = 4_096
"""Events of which the one-by-one finder has the numbers at hand."""


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
        self._columns = columns

    def first_outside(self, ranges: tuple[Range, ...], start: int, stop: int) -> int:
        """The first index from `start` on of which a column is outside its range; else `stop`."""
        for begin in range(start, stop, STEPS):
            end = min(begin + STEPS, stop)
            # Python's own numbers are looked at faster than NumPy's; a few at a time, since they
            # take five times the memory.
            found = end
            for column, least, most in self._merged(ranges):
                for index, value in enumerate(column[begin:found].tolist(), begin):
                    if not least <= value <= most:
                        found = index
                        break
            if found < end:
                return found
        return stop

    def _merged(self, ranges: tuple[Range, ...]) -> list[tuple[Ints, int, int]]:
        """The ranges with their columns; those of the same column as one."""
        merged: dict[int, tuple[Ints, int, int]] = {}
        for each in ranges:
            column, least, most = self._columns[each.column], each.least, each.most
            if (known := merged.get(id(column))) is not None:
                least, most = max(least, known[1]), min(most, known[2])
            merged[id(column)] = (column, least, most)
        return list(merged.values())


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
