"""A table as it was read: scaled whole numbers, and the line that each row came from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from opensqt.backtest.columns import Flags, Ints
from opensqt.core.numbers import plain

DECIMALS_MAX: Final = 12
"""Digits after the point that are read; finer data is not of an exchange."""
INT_MAX: Final = 2**63 - 1


class DataKind(StrEnum):
    """What the rows of a table are."""

    TRADES = "trades"
    QUOTES = "quotes"
    MARKS = "marks"
    CANDLES = "candles"
    MARK_CANDLES = "mark_candles"
    FUNDING = "funding"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """Exact decimal numbers as whole ones."""

    values: Ints
    decimals: int
    """A number is its value divided by ten to the power of this."""

    def __len__(self) -> int:
        return len(self.values)

    def taken(self, index: Any) -> "Scaled":
        """The numbers that a slice, a mask or an array of indices picks."""
        return replace(self, values=self.values[index])

    def at(self, index: int) -> str:
        """One number, for a message."""
        return plain(Decimal(int(self.values[index])).scaleb(-self.decimals))

    def reduced(self, *, decimals_min: int = 0) -> "Scaled":
        """The same numbers with no more digits after the point than they need."""
        values, decimals = self.values, self.decimals
        for step in (8, 4, 2, 1):
            while decimals - step >= decimals_min and not np.any(values % 10**step):
                values, decimals = values // 10**step, decimals - step
        return Scaled(values=values, decimals=decimals)

    def in_unit(self, unit: Decimal) -> tuple[Ints, Flags]:
        """Counted in a unit, and which of them are no whole number of it.

        Those are rounded to the nearest, ties to the even one.

        Raises:
            ValueError: The numbers are too large to be counted in so small a unit.
        """
        exponent = unit.normalize().as_tuple().exponent
        assert isinstance(exponent, int)
        decimals = max(self.decimals, -exponent, 0)
        values = self.times(10 ** (decimals - self.decimals)).values
        divisor = int(unit.scaleb(decimals))
        counts, rest = np.divmod(values, divisor)
        off = rest != 0
        if off.any():
            twice = rest[off]
            up = (twice > divisor - twice) | ((twice == divisor - twice) & (counts[off] % 2 == 1))
            counts[off] += up
        return counts, off

    def times(self, factor: int) -> "Scaled":
        """With so many more units, the decimals as they are.

        Raises:
            ValueError: They would not fit into 64 bits.
        """
        largest = int(np.abs(self.values).max()) if len(self.values) else 0
        if largest * factor > INT_MAX:
            raise ValueError(
                f"{Decimal(largest).scaleb(-self.decimals)} is too large to be counted in "
                f"units of {Decimal(1).scaleb(-self.decimals) / factor}"
            )
        return self if factor == 1 else replace(self, values=self.values * factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of one kind, from one file."""

    kind: DataKind
    path: Path
    symbol: str = ""
    """Whose; empty when the file does not say."""
    time_ns: Ints
    line: Ints
    """Number of the line that a row came from; of a file without lines the number of the row."""
    numbers: Mapping[str, Scaled]
    flags: Mapping[str, Flags] = field(default_factory=dict)
    whole: Mapping[str, Ints] = field(default_factory=dict)
    """What is counted: ids, hours."""

    def __len__(self) -> int:
        return len(self.time_ns)

    def taken(self, index: Any) -> Self:
        """The rows that a slice, a mask or an array of indices picks."""
        return replace(
            self,
            time_ns=self.time_ns[index],
            line=self.line[index],
            numbers={name: numbers.taken(index) for name, numbers in self.numbers.items()},
            flags={name: flags[index] for name, flags in self.flags.items()},
            whole={name: whole[index] for name, whole in self.whole.items()},
        )
