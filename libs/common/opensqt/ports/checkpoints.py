"""Checkpoints, as a port: where an engine that keeps its state in memory puts it down.

A save is one transaction, and durable once it returns: after a crash, or a power cut, what is
loaded is the state of the latest save.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from opensqt.core.grid.book import GridBook, GridChange
from opensqt.core.orders import Order


class CheckpointError(Exception):
    """Checkpoints cannot be used, with what is wrong and what can be done; nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotCheckpoint:
    """A bot as it was saved last."""

    book: GridBook
    """With its live orders, and the executions that are counted in them."""
    saved_ns: int
    """When: what happened on the exchange before, up to its reports' delay, is in the book."""


class CheckpointStore(Protocol):
    """Keeps the checkpoints of any number of bots; each bot belongs to one process at a time.

    Calls return once it is done, and take as long as the disk does.
    """

    def open(self, bot_id: str) -> BotCheckpoint | None:
        """Take a bot, and load what was saved of it; None if nothing ever was.

        Raises:
            CheckpointError: Another process runs the bot, or what is kept cannot be read.
        """
        ...

    def save(self, book: GridBook, changes: Sequence[GridChange], *, now_ns: int) -> None:
        """Save a book of a bot that was taken.

        Args:
            book: As it is now.
            changes: Every change since the latest save, in order.
            now_ns: The time.

        Raises:
            CheckpointError: It could not be written, or somebody else has written since.
        """
        ...

    def order(self, bot_id: str, client_oid: str) -> Order | None:
        """An order as it was saved last, ended or not; None if it never was.

        Raises:
            CheckpointError: It cannot be read.
        """
        ...

    def release(self, bot_id: str) -> None:
        """Leave a bot to others."""
        ...
