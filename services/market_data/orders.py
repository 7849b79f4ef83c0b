"""`OrderMonitor`: what happens to the account's orders onto the bus, with nothing left out.

The stream is fast and may have gaps; look-ups are slow and whole. So every connection begins with a
comparison of the ledger and the exchange, and the comparison is repeated now and then whatever the
stream says. Only a stream that is connected, compared and fully stored counts as verified.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Final

import structlog
from opentelemetry.trace import SpanKind

from opensqt.core.events import OrderUpdate, PositionUpdate, StreamStatus
from opensqt.ports import (
    ORDER_UPDATES,
    POSITIONS,
    STREAM_STATUS,
    AccountEvent,
    AccountFeed,
    Clock,
    DependencyError,
    EventBus,
    PositionManager,
    StreamDown,
    StreamUp,
)
from opensqt.runtime.crash_points import CrashPoint, crash_point
from opensqt.runtime.metrics import Metrics
from opensqt.runtime.tracing import span
from services.market_data.comparison import Comparison, Findings
from services.market_data.config import MonitorConfig
from services.market_data.news import Told, fingerprint

BEAT_S: Final = 1.0
RETRY_S_MIN: Final = 0.05
RETRY_S_MAX: Final = 2.0
RENEWAL_S_MIN: Final = 30.0
"""A stream that missed something is renewed, but not more often than this."""
PATIENCE: Final = 10
"""Comparisons that wait for an exchange whose look-ups lag, before its stream is verified."""
REPEAT_NS: Final = 30 * 10**9
"""An update that was stored and that the ledger still does not know is told again after this."""

_log = structlog.get_logger(__name__)


class OrderMonitor:
    """Follows one account.

    Args:
        account: The account.
        symbols: Markets whose position is told in any case.
        feed: The exchange's side.
        positions: The ledger's side.
        bus: Carries the updates and the beats.
        clock: Tells the time.
        metrics: Where everything is counted.
        config: How often to compare.
    """

    def __init__(
        self,
        account: str,
        symbols: tuple[str, ...],
        *,
        feed: AccountFeed,
        positions: PositionManager,
        bus: EventBus,
        clock: Clock,
        metrics: Metrics,
        config: MonitorConfig,
    ) -> None:
        self._account = account
        self._symbols = symbols
        self._feed = feed
        self._bus = bus
        self._clock = clock
        self._config = config
        self._comparison = Comparison(account, feed=feed, positions=positions, clock=clock)
        self._told = Told(clock)
        self._epoch = 0
        self._connected = False
        self._compared = False
        self._unstored = 0
        self._reason = "not connected yet"
        self._comparisons = 0
        self._patience = PATIENCE
        self._renewed_s = float("-inf")
        self._compare_now = asyncio.Event()
        self._beat_now = asyncio.Event()
        self._renew = asyncio.Event()
        self._published = metrics.counter("order_updates", "Updates published", ["source"])
        self._outcomes = metrics.counter(
            "order_comparisons", "Comparisons of ledger and exchange", ["outcome"]
        )
        self._missed = metrics.counter(
            "order_events_missed", "News that the stream should have told, found by comparing"
        )
        self._missing = metrics.gauge(
            "orders_missing", "Orders open in the ledger that the exchange does not have"
        )
        metrics.gauge("order_stream_verified", "1 while order updates are whole").set_function(
            lambda: float(self.status().verified)
        )

    def status(self) -> StreamStatus:
        """Whether order updates can be relied upon right now."""
        verified = self._connected and self._compared and not self._unstored
        reason = "updates wait for the bus" if self._unstored else self._reason
        return StreamStatus(
            account=self._account,
            verified=verified,
            epoch=self._epoch,
            reason="" if verified else reason,
            beat_time_ns=self._clock.now_ns(),
        )

    async def run(self) -> None:
        """Follow for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._compare_for_ever())
            group.create_task(self._beat())

    # --- the stream ----------------------------------------------------------------------------

    async def _follow(self) -> None:
        while True:
            self._renew.clear()
            renewal = asyncio.create_task(self._renew.wait())
            following = asyncio.create_task(self._consume())
            try:
                await asyncio.wait((renewal, following), return_when=asyncio.FIRST_COMPLETED)
            finally:
                renewal.cancel()
                following.cancel()
                _, ended = await asyncio.gather(renewal, following, return_exceptions=True)
            if isinstance(ended, Exception):
                raise ended
            self._lost("the stream is renewed")
            await asyncio.sleep(RETRY_S_MIN)

    async def _consume(self) -> None:
        async with _closing(self._feed.account_events()) as events:
            async for event in events:
                await self._take(event)

    async def _take(self, event: AccountEvent) -> None:
        match event:
            case StreamUp():
                self._epoch = event.epoch
                self._connected, self._compared = True, False
                self._reason = "comparing the ledger with the exchange"
                self._compare_now.set()
                self._beat_now.set()
            case StreamDown():
                self._lost(event.reason)
            case OrderUpdate():
                await self._store(event)
            case PositionUpdate():
                await self._bus.publish(POSITIONS, self._account, event)

    def _lost(self, reason: str) -> None:
        self._connected = self._compared = False
        self._reason = reason
        self._beat_now.set()

    # --- the bus -------------------------------------------------------------------------------

    async def _store(self, update: OrderUpdate, *, repetition: str = "") -> None:
        """Publish until it is stored; the id makes repeating harmless."""
        crash_point(CrashPoint.TELLING_BEFORE_STORE)
        message_id = f"{self._account}:{fingerprint(update)}{repetition}"
        delay_s = RETRY_S_MIN
        with span("order update", kind=SpanKind.PRODUCER), contextlib.ExitStack() as waiting:
            while True:
                try:
                    await self._bus.publish(
                        ORDER_UPDATES, self._account, update, message_id=message_id
                    )
                    break
                except DependencyError as error:
                    if delay_s == RETRY_S_MIN:
                        waiting.enter_context(self._waiting_for_the_bus())
                    _log.warning("order_update_not_stored", id=message_id, error=str(error))
                    await asyncio.sleep(delay_s)
                    delay_s = min(delay_s * 2, RETRY_S_MAX)
        crash_point(CrashPoint.TELLING_AFTER_STORE)
        self._told.note(update)
        self._published.labels(update.source).inc()

    @contextlib.contextmanager
    def _waiting_for_the_bus(self) -> Iterator[None]:
        self._unstored += 1
        self._beat_now.set()
        try:
            yield
        finally:
            self._unstored -= 1
            self._beat_now.set()

    async def _beat(self) -> None:
        while True:
            self._beat_now.clear()
            await self._bus.publish(STREAM_STATUS, self._account, self.status())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._beat_now.wait()

    # --- comparing -----------------------------------------------------------------------------

    async def _compare_for_ever(self) -> None:
        delay_s = RETRY_S_MIN
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._config.recheck_interval_s):
                    await self._compare_now.wait()
            self._compare_now.clear()
            epoch = self._epoch
            try:
                await self._compare()
            except DependencyError as error:
                self._outcomes.labels("no answer").inc()
                _log.warning("comparison_failed", account=self._account, error=str(error))
                if not self._compared:
                    self._reason = f"the ledger and the exchange cannot be compared: {error}"[:200]
                    self._compare_now.set()
                    await asyncio.sleep(delay_s)
                    delay_s = min(delay_s * 2, RETRY_S_MAX)
                continue
            delay_s = RETRY_S_MIN
            self._outcomes.labels("done").inc()
            if self._connected and not self._compared and epoch == self._epoch:
                self._compared = True
                _log.info("order_stream_verified", account=self._account, epoch=epoch)
                self._beat_now.set()

    async def _compare(self) -> None:
        """Compare once, and have everything stored that the ledger does not know.

        Raises:
            DependencyError: The ledger or the exchange does not answer.
        """
        self._comparisons += 1
        trusted = self._compared
        findings = await self._comparison.run()
        self._missing.set(len(findings.missing))
        for order in findings.missing:
            _log.warning(
                "order_missing_on_exchange", client_oid=order.client_oid, status=order.status
            )
        missed = await self._tell(findings, trusted=trusted)
        for symbol in sorted({*self._symbols, *findings.symbols}):
            await self._tell_position(symbol)
        if findings.orderless and not trusted and self._patience:
            self._patience -= 1
            raise DependencyError("the exchange shows executions, and not yet their orders")
        self._patience = PATIENCE
        if trusted and missed:
            self._missed.inc(missed)
            _log.warning("order_events_missed", account=self._account, count=missed)
            self._renew_stream()

    async def _tell(self, findings: Findings, *, trusted: bool) -> int:
        """Store what the ledger does not know; how much of it the stream should have told."""
        missed = 0
        grace_ns = int(self._config.news_grace_s * 1e9)
        for update in findings.updates:
            now_ns = self._clock.now_ns()
            told_ns = self._told.when(update)
            if told_ns is not None and now_ns - told_ns < REPEAT_NS:
                continue  # stored; the ledger is about to learn of it
            fresh = now_ns - update.exchange_time_ns < grace_ns
            if trusted and fresh and told_ns is None:
                continue  # the stream is about to tell
            missed += told_ns is None
            await self._store(update, repetition=f":look-up {self._comparisons}")
            self._comparison.was_told(update)
        return missed

    async def _tell_position(self, symbol: str) -> None:
        position = await self._feed.position(symbol)
        now_ns = self._clock.now_ns()
        update = PositionUpdate(
            account=self._account,
            position=position,
            cause="LOOK_UP",
            wallet_balance=None,
            balance_change=None,
            exchange_time_ns=now_ns,
            receive_time_ns=now_ns,
        )
        await self._bus.publish(POSITIONS, self._account, update)

    def _renew_stream(self) -> None:
        """A stream that leaves things out may be dead without knowing: connect anew."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._renewed_s >= RENEWAL_S_MIN:
            self._renewed_s = now_s
            self._renew.set()


@contextlib.asynccontextmanager
async def _closing(
    events: AsyncIterator[AccountEvent],
) -> AsyncIterator[AsyncIterator[AccountEvent]]:
    try:
        yield events
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()
