"""Changes: one pure decision on one grid's book at a time, committed, counted and traced."""

from collections.abc import Callable
from typing import TypeVar

import structlog

from opensqt.core.errors import Refusal
from opensqt.core.grid.book import GridBook
from opensqt.core.grid.results import Outcome
from opensqt.core.grid.slots import SlotManager
from opensqt.ports import NOTHING_MORE, Clock, StateStore, Wanted
from opensqt.runtime.crash_points import CrashPoint, crash_point
from opensqt.runtime.metrics import Metrics
from opensqt.runtime.tracing import span

_log = structlog.get_logger(__name__)

T = TypeVar("T")


class Changes:
    """Commits decisions to the store.

    Args:
        store: Keeps the books.
        clock: Tells how long commits take.
        metrics: Where changes are counted.
    """

    def __init__(self, *, store: StateStore, clock: Clock, metrics: Metrics) -> None:
        self._store = store
        self._clock = clock
        self._commit_seconds = metrics.histogram(
            "state_change_seconds", "Time to decide on a change and commit it.", ("operation",)
        )
        self._refusals = metrics.counter(
            "state_refusals", "Changes that were refused.", ("operation", "reason")
        )
        self._halts = metrics.counter("state_halts", "Changes that halted a grid.", ("bot",))

    async def commit(
        self,
        operation: str,
        bot_id: str,
        decide: Callable[[GridBook], Outcome[T]],
        wanted: Wanted = NOTHING_MORE,
    ) -> Outcome[T]:
        """Decide on a grid's book and commit what was decided.

        Raises:
            Refusal: The decision is no.
            DependencyError: The store does not answer.
        """
        traded = False

        def decided(book: GridBook) -> Outcome[T]:
            nonlocal traded
            traded = not book.standing_reason
            outcome = decide(book)
            crash_point(CrashPoint.APPLYING_BEFORE_COMMIT)
            return outcome

        started_ns = self._clock.now_ns()
        with span("change grid", attributes={"bot": bot_id, "operation": operation}):
            try:
                outcome = await self._store.transact(bot_id, decided, wanted)
            except Refusal as refusal:
                self._refusals.labels(operation, refusal.reason).inc()
                raise
        crash_point(CrashPoint.APPLYING_AFTER_COMMIT)
        self._commit_seconds.labels(operation).observe((self._clock.now_ns() - started_ns) / 1e9)
        if traded and outcome.book.standing_reason:
            self._halts.labels(bot_id).inc()
            _log.error("grid_halted", bot=bot_id, reason=outcome.book.standing_reason)
        return outcome

    async def halt(self, bot_id: str, reason: str) -> int:
        """Halt a grid; the revision after it."""
        now_ns = self._clock.now_ns()
        outcome = await self.commit(
            "halt", bot_id, lambda book: SlotManager(book).halt(reason, now_ns=now_ns)
        )
        return outcome.value

    async def doubt(self, bot_id: str, reason: str) -> int:
        """Have a grid compared with the exchange, and halted then; the revision after it."""
        now_ns = self._clock.now_ns()
        outcome = await self.commit(
            "doubt", bot_id, lambda book: SlotManager(book).doubt(reason, now_ns=now_ns)
        )
        return outcome.value
