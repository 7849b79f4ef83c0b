"""Crash points: the moments at which losing the process would hurt most, by name.

A test arms one, and the process dies there as by ``kill -9``; unarmed, passing one is a comparison
with None. The simulation and `make chaos` both arm them, so that each is reached on purpose and not
only by luck.

A real process arms them only when its environment names a file in ``OPENSQT_CRASH_FILE``; no
configuration can. Where the variable is unset, which is everywhere but in `make chaos`, nothing
here can kill anything.
"""

import os
import signal
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Final

CRASH_FILE_VARIABLE: Final = "OPENSQT_CRASH_FILE"
"""Names a file; see `arm_from_environment`."""


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


def arm_from_environment(process: str) -> bool:
    """Arm the crash points of a real process if, and only if, its environment says so.

    The variable names a file that need not be there. Once it says ``<process> <point>`` or
    ``<process> <point> <passes>``, the process removes the file and kills itself with SIGKILL at
    that point, or at that pass through it. Whoever wants another crash writes the file anew.

    Args:
        process: What this process is called in the file.

    Returns:
        Whether the points are armed.
    """
    named = os.environ.get(CRASH_FILE_VARIABLE)
    if not named:
        return False
    arm(_CrashFile(Path(named), process).reached)
    return True


class _CrashFile:
    """Kills this process when the file has its name and the point that was reached."""

    def __init__(self, path: Path, process: str) -> None:
        self._path = path
        self._process = process
        self._passes: tuple[str, int] = ("", 0)

    def reached(self, point: CrashPoint) -> None:
        try:
            order = self._path.read_text(encoding="utf-8")
        except OSError:
            return
        words = order.split()
        if words[:2] != [self._process, point.value]:
            return
        known, passes = self._passes
        passes = passes + 1 if known == order else 1
        self._passes = (order, passes)
        if passes < int(words[2] if len(words) > 2 else 1):
            return
        try:
            self._path.unlink()  # of several processes of one name, one gets it
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)
