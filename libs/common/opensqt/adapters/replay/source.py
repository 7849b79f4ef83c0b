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
    """Market data that cannot be played, with the line and what is wrong there.

    Args:
        path: The file or folder.
        line: Its line, of Parquet its row; 0: all of it.
        reason: What is wrong, and what is allowed.
    """

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(f"{path}{place(path, line)}: {reason}")
        self.path = path
        self.line = line
        self.reason = reason


def place(path: Path, line: int) -> str:
    """Where in a file, for a message, such as ``, line 7``; empty for all of it."""
    if not line:
        return ""
    return f", {'row' if path.suffix == '.parquet' else 'line'} {line}"


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
