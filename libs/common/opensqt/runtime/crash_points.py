"""Crash points: the moments at which losing the process would hurt most, by name.

A test arms one, and the process dies there as by ``kill -9``; unarmed, passing one is a comparison
with None. The simulation and `make chaos` both arm them, so that each is reached on purpose and not
only by luck.
"""

from collections.abc import Callable
from enum import StrEnum


class CrashPoint(StrEnum):
    """Where a process can be made to die."""

    PLACING_BEFORE_INTENT = "placing.before-intent"
    """Execution: the batch is admitted, nothing is committed."""
    PLACING_AFTER_INTENT = "placing.after-intent"
    """Execution: the intents are committed, nothing is sent."""
    PLACING_BEFORE_RESULT = "placing.before-result"
    """Execution: the exchange has answered, the answer is not recorded."""
    PLACING_AFTER_RESULT = "placing.after-result"
    """Execution: the answer is recorded, the batch is not handed over for settling."""
    CANCELING_BEFORE_SEND = "canceling.before-send"
    """Execution: the cancel is committed, not sent."""
    CANCELING_BEFORE_RESULT = "canceling.before-result"
    """Execution: the exchange has answered the cancel, the answer is not recorded."""
    SETTLING_BEFORE_RESULT = "settling.before-result"
    """Execution: a look-up has found an order in doubt, or its absence; it is not recorded."""
    APPLYING_BEFORE_COMMIT = "applying.before-commit"
    """State: a change is decided, not committed."""
    APPLYING_AFTER_COMMIT = "applying.after-commit"
    """State: a change is committed, its caller does not know."""
    APPLYING_BEFORE_ACK = "applying.before-ack"
    """State: an update from the bus is applied, not acknowledged."""
    PUBLISHING_BEFORE_SEND = "publishing.before-send"
    """State: a change is committed to the outbox, not published."""
    PUBLISHING_BEFORE_MARK = "publishing.before-mark"
    """State: a change is published, not marked as such."""
    TELLING_BEFORE_STORE = "telling.before-store"
    """Market data: an order update came from the exchange, the bus does not have it."""
    TELLING_AFTER_STORE = "telling.after-store"
    """Market data: the bus has stored an order update, the monitor has not noted it."""
    DECIDING_AFTER_PUBLISH = "deciding.after-publish"
    """Strategy: a batch is published, nothing else has happened."""


_armed: Callable[[CrashPoint], None] | None = None


def arm(reached: Callable[[CrashPoint], None] | None) -> None:
    """Have `reached` called at every crash point from now on; None: never again."""
    global _armed  # noqa: PLW0603 - one process, one switch; passing it on would touch every signature
    _armed = reached


def crash_point(point: CrashPoint) -> None:
    """The process may be made to die here."""
    if _armed is not None:
        _armed(point)
