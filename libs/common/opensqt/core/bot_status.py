"""How a bot stands, for people."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Phase(StrEnum):
    """What a bot is doing."""

    STARTING = "STARTING"
    """Waits for what it needs before it trades."""
    TRADING = "TRADING"
    REDUCING = "REDUCING"
    """Only closes and cancels: the gate is closed, or what it relies on is stale."""
    PAUSED = "PAUSED"
    """Paused by a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotStatus:
    """How a bot stands."""

    bot_id: str
    phase: Phase
    waiting_for: tuple[str, ...]
    """Of "state", "price", "order stream" and "risk gate", those that are missing or stale."""
    state_revision: int
    last_price: Decimal | None
    batches: int
    """Decisions handed over since the start."""
    decided_ns: int
    """When the last one was; 0 before the first."""
