"""What every source of market data is, and what it raises for data that is damaged."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from opensqt.core.exchange.ticks import Tick
from opensqt.core.instrument import Instrument


class MarketSource(Protocol):
    """A finite or endless market."""

    @property
    def description(self) -> str:
        """What is played, for people."""
        ...

    def ticks(self) -> Iterator[Tick]:
        """The market from its beginning.

        Raises:
            DamagedData: The data cannot be read on.
        """
        ...


class DamagedData(Exception):  # noqa: N818  # a noun of the domain
    """Market data that cannot be played, with the line and what is wrong there."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(f"{path}, line {line}: {reason}")
        self.path = path
        self.line = line
        self.reason = reason


def positive(value: Decimal, name: str) -> Decimal:
    """Return a price or quantity that is more than zero.

    Raises:
        ValueError: It is not.
    """
    if value <= 0:
        raise ValueError(f"{name} is {value}; it must be positive")
    return value


Instruments = dict[str, Instrument]
"""The listed markets by symbol."""
