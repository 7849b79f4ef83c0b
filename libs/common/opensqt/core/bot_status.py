"""How a bot stands, for people."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from opensqt.core.grid.book import GridBook, Standing


class Phase(StrEnum):
    """What a bot is doing."""

    STARTING = "STARTING"
    """Waits for what it needs before it trades."""
    TRADING = "TRADING"
    REDUCING = "REDUCING"
    """Only closes and cancels: its grid is halted, the gate is closed, what it relies on is stale,
    or the exchange has just refused what any opening needs."""
    PAUSED = "PAUSED"
    """Paused by a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotStatus:
    """How a bot stands."""

    bot_id: str
    phase: Phase
    waiting_for: tuple[str, ...]
    """Of "state", "price", "order stream" and "risk gate", those that are missing or stale;
    "reconciliation" before the grid was compared with the exchange; "halted: " and why; "room for
    openings" while those of its account pause for want of margin, or because too many are open."""
    state_revision: int
    last_price: Decimal | None
    batches: int
    """Decisions handed over since the start."""
    decided_ns: int
    """When the last one was; 0 before the first."""


ROOM: Final = "room for openings"
"""What `BotStatus.waiting_for` has while openings pause."""


def standing_problem(book: GridBook | None) -> tuple[str, ...]:
    """What the grid's own standing says against trading, as `BotStatus.waiting_for` has it."""
    if book is None or book.standing is Standing.TRADING:
        return ()
    halted = (f"halted: {book.standing_reason}",) if book.standing_reason else ()
    return ("reconciliation", *halted) if book.standing is Standing.RECONCILING else halted
