"""`PriceMonitor`: one symbol's prices onto the bus, the newest first and only."""

from typing import Final

from opentelemetry.trace import SpanKind

from opensqt.core.events import PriceChange
from opensqt.ports import PRICES, Clock, EventBus
from opensqt.runtime.metrics import Metrics
from opensqt.runtime.tracing import span

_SPAN: Final = "price"


class PriceMonitor:
    """Publishes prices as they come; here begins the trace that ends at an order.

    The feed hands over only the newest price, so nothing queues up while one is being published.

    Args:
        symbol: The market.
        bus: Carries the prices.
        clock: Tells the time.
        metrics: Where prices are counted and timed.
    """

    def __init__(self, symbol: str, *, bus: EventBus, clock: Clock, metrics: Metrics) -> None:
        self._symbol = symbol
        self._bus = bus
        self._clock = clock
        self._published = metrics.counter(
            "market_prices", "Prices published, by symbol", ["symbol"]
        ).labels(symbol)
        self._held_s = metrics.histogram(
            "market_price_held_seconds", "From a frame's arrival to its publication", ["symbol"]
        ).labels(symbol)
        self.latest: PriceChange | None = None

    async def take(self, price: PriceChange) -> None:
        """Publish a price."""
        self.latest = price
        with span(_SPAN, kind=SpanKind.PRODUCER):
            await self._bus.publish(PRICES, self._symbol, price)
        self._published.inc()
        self._held_s.observe((self._clock.now_ns() - price.receive_time_ns) / 1e9)
