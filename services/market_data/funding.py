"""`FundingMonitor`: one symbol's funding rate and mark price onto the bus."""

from opensqt.core.events import FundingUpdate
from opensqt.ports import FUNDING, EventBus
from opensqt.runtime.metrics import Metrics


class FundingMonitor:
    """Publishes what was announced; a newcomer on the bus gets the last value.

    Args:
        symbol: The market.
        bus: Carries the updates.
        metrics: Where updates are counted.
    """

    def __init__(self, symbol: str, *, bus: EventBus, metrics: Metrics) -> None:
        self._symbol = symbol
        self._bus = bus
        self._published = metrics.counter(
            "market_funding_updates", "Funding updates published, by symbol", ["symbol"]
        ).labels(symbol)
        self.latest: FundingUpdate | None = None

    async def take(self, update: FundingUpdate) -> None:
        """Publish an update."""
        self.latest = update
        await self._bus.publish(FUNDING, self._symbol, update)
        self._published.inc()
