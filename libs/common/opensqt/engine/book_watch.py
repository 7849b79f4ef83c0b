"""`BookWatch`: one grid's book as the state service tells it, change by change.

Owns the gaps: a change that is missing, a stream that broke or fell silent, a history that is no
longer kept all end in watching again, from where we are or from a fresh snapshot. It never writes.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.grid.book import GridBook, GridChange, GridIdentity, apply_change
from opensqt.core.risk.openings import Openings
from opensqt.ports import Checkpoint, DependencyError, PositionManager, WatchEvent

BACKOFF_FIRST_S: Final = 0.1
BACKOFF_MAX_S: Final = 2.0
SILENCE_MAX_S: Final = 15.0
"""A stream without even a checkpoint for so long is taken for dead."""

_SNAPSHOT_HELPS: Final = (RefusalReason.REVISION_COMPACTED, RefusalReason.BOT_UNKNOWN)
"""What is known is of no use any more."""

_log = structlog.get_logger(__name__)


class _GapError(Exception):
    """A change was missed; only a snapshot helps."""


class BookWatch:
    """Keeps the latest book of one bot.

    Args:
        positions: The owner of the slots.
        on_change: Called after every change of the book, in the same turn of the event loop.
        openings: Those of the grid's account; they learn from every change.
        silence_max_s: How long the stream may say nothing.
    """

    def __init__(
        self,
        positions: PositionManager,
        *,
        on_change: Callable[[], None],
        openings: Openings,
        silence_max_s: float = SILENCE_MAX_S,
    ) -> None:
        self._positions = positions
        self._on_change = on_change
        self._openings = openings
        self._silence_max_s = silence_max_s
        self.book: GridBook | None = None
        """None until the first snapshot."""
        self.live = False
        """The book is followed right now; otherwise it may be behind."""
        self.restarts = 0
        """How often watching began again."""

    async def run(self, identity: GridIdentity) -> None:
        """Register the grid and follow it until cancelled.

        Raises:
            Refusal: The bot is registered with other parameters, or we may not watch it.
        """
        backoff_s = BACKOFF_FIRST_S
        while True:
            try:
                kept = await self._positions.register_grid(identity)
                if self.book is not None and kept.identity != self.book.identity:
                    # Another ledger has taken the place of the one we knew; its revisions say
                    # nothing about ours, and may even be greater.
                    self.book = None
                heard = await self._follow(identity.bot_id)
                problem = "the stream ended"
            except Refusal as refusal:
                if refusal.reason not in _SNAPSHOT_HELPS:
                    raise
                self.book = None
                heard, problem = False, str(refusal)
            except _GapError as gap:
                self.book = None
                heard, problem = True, str(gap)
            except (DependencyError, TimeoutError) as error:
                heard, problem = self.live, repr(error)
            self.live = False
            self.restarts += 1
            self._on_change()
            backoff_s = BACKOFF_FIRST_S if heard else min(backoff_s * 2, BACKOFF_MAX_S)
            _log.warning("watching_again", bot=identity.bot_id, problem=problem, in_s=backoff_s)
            await asyncio.sleep(backoff_s)

    async def _follow(self, bot_id: str) -> bool:
        """Follow one stream to its end; whether it told anything."""
        start = 0 if self.book is None else self.book.revision
        events = aiter(self._positions.watch(bot_id, from_revision=start))
        heard = False
        try:
            while True:
                async with asyncio.timeout(self._silence_max_s):
                    event = await anext(events)
                heard = True
                if self._apply(event) or not self.live:
                    self.live = True
                    self._on_change()
        except StopAsyncIteration:
            return heard
        finally:
            close = getattr(events, "aclose", None)
            if close is not None:
                await close()

    def _apply(self, event: WatchEvent) -> bool:
        """Take one event; whether it changed the book."""
        if isinstance(event, GridBook):
            self.book = event
            return True
        known = self.book.revision if self.book is not None else -1
        if isinstance(event, Checkpoint):
            if event.revision > known:
                raise _GapError(f"the stream is at revision {event.revision}, we are at {known}")
            return False
        assert isinstance(event, GridChange)
        if event.revision <= known:
            return False  # told twice
        if self.book is None or event.revision != known + 1:
            raise _GapError(f"revision {event.revision} came after {known}")
        self._openings.learn(self.book.orders, event.orders, now_ns=event.commit_time_ns)
        self.book = apply_change(self.book, event)
        return True
