"""What can be got, and why it was not."""

from enum import StrEnum


class Wanted(StrEnum):
    """What is got of a symbol."""

    CANDLES = "candles"
    TRADES = "trades"
    FUNDING = "funding"
    MARK = "mark"


class WantedError(Exception):
    """Something was asked for that there cannot be, and what is allowed."""


class DownloadError(Exception):
    """Data that was not got, and why."""

    def __init__(self, text: str, *, unreachable: bool = False) -> None:
        super().__init__(text)
        self.unreachable = unreachable
        """There was no answer, so that asking again later may help."""
