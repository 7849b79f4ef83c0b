"""The exchange's rate limits, as a budget that is spent before anything is committed.

Orders that open a position may use a part of each limit only; the rest is kept for cancels and
closing orders, which must go out when it matters. Nothing here waits for an order: what the budget
does not afford now is left to the strategy's next decision, on a newer price.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from aiolimiter import AsyncLimiter

from opensqt.core.grid.results import PlacementResult
from opensqt.core.orders import Purpose
from opensqt.core.risk.openings import Pause
from opensqt.ports import Clock
from opensqt.runtime.metrics import Metrics
from services.execution.config import RateLimitConfig
from services.execution.told_limits import ToldLimits, Used

BURST_SHARE: Final = 0.2
"""Part of a window's limit that may be spent at once; the rest comes back over the window, so that
no window of that length, wherever it begins, sees more than the limit."""

_log = structlog.get_logger(__name__)


def _bucket(limit: float, window_s: float) -> AsyncLimiter:
    """A leaky bucket that lets through at most `limit` in any `window_s`.

    A bucket of size b that refills at rate r lets b + r * window through.
    """
    burst = max(1.0, limit * BURST_SHARE)
    rate = max((limit - burst) / window_s, 1 / window_s)
    return AsyncLimiter(burst, burst / rate)


class RateBudget:
    """What one account may send now.

    Args:
        limits: The exchange's limits.
        clock: Tells the time.
        held_until_ns: Until when the exchange has told us to be silent altogether.
        metrics: Where refusals and pauses are counted.
        used: What the exchange said last is used of its limits, by their names.
    """

    def __init__(
        self,
        limits: RateLimitConfig,
        *,
        clock: Clock,
        held_until_ns: Callable[[], int],
        metrics: Metrics,
        used: Used = dict,
    ) -> None:
        self._told = ToldLimits(limits, used=used, clock=clock)
        self._clock = clock
        self._held_until_ns = held_until_ns
        share = float(1 - limits.reserve_share)
        windows = ((limits.orders_per_10s, 10.0), (limits.orders_per_minute, 60.0))
        self._orders = [_bucket(limit, window_s) for limit, window_s in windows]
        self._openings = [_bucket(limit * share, window_s) for limit, window_s in windows]
        self._weight = _bucket(limits.weight_per_minute, 60.0)
        self._opening_weight = _bucket(limits.weight_per_minute * share, 60.0)
        self._pause = Pause()
        self._short = metrics.counter(
            "rate_budget_short", "Actions that the rate budget did not afford.", ("kind",)
        )
        metrics.gauge(
            "rate_pause_seconds", "How long openings still pause because of the exchange."
        ).set_function(lambda: self.openings_pause_s)

    @property
    def openings_pause_s(self) -> float:
        """How long openings still pause."""
        return self._until_s(max(self._pause.until_ns, self._held_until_ns()))

    async def take_opening(self) -> bool:
        """Pay for an order that opens a position; False when it is not affordable now."""
        if self.openings_pause_s:
            self._short.labels("opening").inc()
            return False
        buckets = (*self._openings, *self._orders, self._opening_weight, self._weight)
        told = self._told.affords_order(reserve=False)
        return await self._take("opening", buckets, self._told.note_order, told=told)

    async def take_closing(self) -> bool:
        """Pay for an order that closes a position; False when it is not affordable now."""
        buckets = (*self._orders, self._weight)
        told = self._told.affords_order(reserve=True)
        return await self._take("closing", buckets, self._told.note_order, told=told)

    async def take_cancel(self) -> bool:
        """Pay for a cancel; False when it is not affordable now."""
        told = self._told.affords_request(reserve=True)
        return await self._take("cancel", (self._weight,), self._told.note_request, told=told)

    async def question(self) -> None:
        """Pay for a look-up, or for a cancel that can wait; waits until it is affordable."""
        await asyncio.sleep(self._until_s(self._held_until_ns()))
        await asyncio.sleep(self._told.request_wait_s())
        await self._opening_weight.acquire()
        await self._weight.acquire()
        self._told.note_request()

    def answered(self, purpose: Purpose, result: PlacementResult) -> None:
        """The exchange has answered an order: openings pause when that is what its refusal says.

        The strategy learns the same from the ledger, by the same rule, and decides nothing that
        would be left out here; what it has decided before it knew is.
        """
        before_ns = self._pause.until_ns
        self._pause = self._pause.after(
            purpose, result.status, result.end_reason, now_ns=self._clock.now_ns()
        )
        if self._pause.until_ns != before_ns:
            pause_s = self._pause.length_ns / 1e9
            _log.warning("openings_pause", reason=result.end_reason, pause_s=pause_s)

    async def _take(
        self, kind: str, buckets: tuple[AsyncLimiter, ...], note: Callable[[], None], *, told: bool
    ) -> bool:
        held = self._until_s(self._held_until_ns()) > 0
        if held or not told or not all(bucket.has_capacity() for bucket in buckets):
            self._short.labels(kind).inc()
            return False
        note()
        for bucket in buckets:
            await bucket.acquire()  # has capacity, so that it does not wait
        return True

    def _until_s(self, time_ns: int) -> float:
        return max(0, time_ns - self._clock.now_ns()) / 1e9
