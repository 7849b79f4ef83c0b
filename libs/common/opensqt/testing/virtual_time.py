"""Virtual time: an event loop that jumps to the next timer instead of waiting for it.

Hours of backoff pass in milliseconds, and the same program runs the same way every time. What is to
run on it must wait for nothing but timers: no threads, no sockets, no wall clock.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

START_NS: Final = 1_767_225_600 * 10**9
"""2026-01-01 UTC."""


class NothingScheduledError(Exception):
    """Every task waits for something that no task and no timer will bring about."""


class _JumpingSelector(selectors.SelectSelector):
    """Never waits: it moves the time on by what it was asked to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise NothingScheduledError("every task waits, and there is no timer")
            self.now_s += max(0.0, timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The loop; its time begins at zero."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        # Timers are due when the time has reached them, not within the resolution of a real clock.
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._jumping.now_s


class VirtualClock:
    """The `Clock` port on the running loop's time."""

    def __init__(self, *, start_ns: int = START_NS) -> None:
        self._start_ns = start_ns

    def now_ns(self) -> int:
        """Nanoseconds since 1970, by the loop's virtual time."""
        return self._start_ns + round(asyncio.get_running_loop().time() * 1e9)


def run_virtually(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a loop of its own.

    Raises:
        NothingScheduledError: It waits for something that will never happen.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work)
