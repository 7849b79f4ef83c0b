"""`OrderMonitor`: what happens to the account's orders onto the bus, with nothing left out.

The stream is fast and may have gaps; look-ups are slow and whole. So every connection begins with a
comparison of the ledger and the exchange, and the comparison is repeated now and then whatever the
stream says. Only a stream that is connected, compared and fully stored counts as verified.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from opensqt.core.events import OrderUpdate, PositionUpdate, StreamStatus
from opensqt.ports import (
    POSITIONS,
    STREAM_STATUS,
    AccountEvent,
    AccountFeed,
    Clock,
    EventBus,
    PositionManager,
    StreamDown,
    StreamUp,
)
from opensqt.runtime.metrics import Metrics
from services.market_data.config import MonitorConfig
from services.market_data.reconciler import Reconciler
from services.market_data.stream_health import StreamHealth
from services.market_data.telling import RETRY_S_MIN, Teller

BEAT_S: Final = 1.0


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
        self._feed = feed
        self._bus = bus
        self._health = StreamHealth(account, clock=clock)
        self._teller = Teller(account, bus=bus, clock=clock, metrics=metrics, health=self._health)
        self._reconciler = Reconciler(
            account,
            symbols,
            feed=feed,
            positions=positions,
            bus=bus,
            teller=self._teller,
            health=self._health,
            clock=clock,
            metrics=metrics,
            config=config,
        )
        metrics.gauge("order_stream_verified", "1 while order updates are whole").set_function(
            lambda: float(self.status().verified)
        )

    def status(self) -> StreamStatus:
        """Whether order updates can be relied upon right now."""
        return self._health.status()

    async def run(self) -> None:
        """Follow for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._reconciler.run())
            group.create_task(self._beat())

    async def _follow(self) -> None:
        while True:
            self._health.renewal_due.clear()
            renewal = asyncio.create_task(self._health.renewal_due.wait())
            following = asyncio.create_task(self._consume())
            try:
                await asyncio.wait((renewal, following), return_when=asyncio.FIRST_COMPLETED)
            finally:
                renewal.cancel()
                following.cancel()
                _, ended = await asyncio.gather(renewal, following, return_exceptions=True)
            if isinstance(ended, Exception):
                raise ended
            self._health.is_lost("the stream is renewed")
            await asyncio.sleep(RETRY_S_MIN)

    async def _consume(self) -> None:
        async with _closing(self._feed.account_events()) as events:
            async for event in events:
                await self._take(event)

    async def _take(self, event: AccountEvent) -> None:
        match event:
            case StreamUp():
                self._health.is_up(event.epoch)
                self._reconciler.due.set()
            case StreamDown():
                self._health.is_lost(event.reason)
            case OrderUpdate():
                await self._teller.tell(event)
            case PositionUpdate():
                await self._bus.publish(POSITIONS, self._account, event)

    async def _beat(self) -> None:
        while True:
            self._health.changed.clear()
            await self._bus.publish(STREAM_STATUS, self._account, self.status())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._health.changed.wait()


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
