"""The clock, as a port: time is read in one place, so that a simulation can own it."""

from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970 UTC."""
        ...
