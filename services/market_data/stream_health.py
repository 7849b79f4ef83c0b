"""Whether the account's order stream can be relied upon, and why not."""

import asyncio
from typing import Final

from opensqt.core.events import StreamStatus
from opensqt.ports import Clock

RENEWAL_S_MIN: Final = 30.0
"""A stream that missed something is renewed, but not more often than this."""


class StreamHealth:
    """Where the stream stands: connected, compared since, and everything stored, or not.

    Args:
        account: Whose stream.
        clock: Tells the time.
    """

    def __init__(self, account: str, *, clock: Clock) -> None:
        self._account = account
        self._clock = clock
        self._renewed_s = float("-inf")
        self.epoch = 0
        self.connected = False
        self.compared = False
        """The ledger was compared with the exchange since the stream is connected."""
        self.connected_ns = 0
        """Since when it is connected: what happened before, it cannot tell."""
        self.unstored = 0
        """Updates that wait for the bus."""
        self.reason = "not connected yet"
        self.changed = asyncio.Event()
        """Set at every change; whoever announces it clears it."""
        self.renewal_due = asyncio.Event()
        """Set when the stream should be dialled anew."""

    def status(self) -> StreamStatus:
        """Whether order updates can be relied upon right now."""
        verified = self.connected and self.compared and not self.unstored
        reason = "updates wait for the bus" if self.unstored else self.reason
        return StreamStatus(
            account=self._account,
            verified=verified,
            epoch=self.epoch,
            reason="" if verified else reason,
            beat_time_ns=self._clock.now_ns(),
        )

    def is_up(self, epoch: int) -> None:
        """The stream is connected."""
        self.epoch = epoch
        self.connected, self.compared = True, False
        self.connected_ns = self._clock.now_ns()
        self.reason = "comparing the ledger with the exchange"
        self.changed.set()

    def is_lost(self, reason: str) -> None:
        """The stream is not connected."""
        self.connected = self.compared = False
        self.reason = reason
        self.changed.set()

    def is_compared(self, epoch: int) -> bool:
        """The ledger was compared, from when the stream had this epoch on; whether that was due."""
        if not self.connected or self.compared or epoch != self.epoch:
            return False
        self.compared = True
        self.changed.set()
        return True

    def waits(self, *, more: int) -> None:
        """So many more updates wait for the bus, or fewer."""
        self.unstored += more
        self.changed.set()

    def renew(self) -> None:
        """Have it dialled anew: a stream that leaves things out may be dead without knowing."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._renewed_s >= RENEWAL_S_MIN:
            self._renewed_s = now_s
            self.renewal_due.set()
