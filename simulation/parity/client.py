"""The exchange as one of the services reaches it, with everything that a market tells."""

from collections.abc import AsyncIterator
from dataclasses import replace

from opensqt.adapters.inbox import QueueInbox
from opensqt.core.events import PriceChange
from opensqt.ports import MarketEvent
from simulation.exchange_client import ExchangeClient
from simulation.loop import Process
from simulation.parity.outside import OutsideWorld


class RecordedClient(ExchangeClient):
    """Implements `ports.Exchange` for one process: prices one by one, and candles, too.

    Args:
        world: The exchange and the way there.
        process: Whose connections these are.
    """

    def __init__(self, world: OutsideWorld, process: Process) -> None:
        super().__init__(world, process)
        self._outside = world

    async def market_events(self, symbol: str) -> AsyncIterator[MarketEvent]:
        """Prices and candles as they come."""
        del symbol
        inbox: QueueInbox[MarketEvent] = QueueInbox()
        process = self._process

        def tell(event: MarketEvent) -> None:
            if isinstance(event, PriceChange):
                event = replace(event, receive_time_ns=process.now_ns())
            inbox.put(event)

        self._outside.listeners.append(tell)
        try:
            async for event in inbox:
                yield event
        finally:
            self._outside.listeners.remove(tell)
