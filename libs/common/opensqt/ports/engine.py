"""The engine, as a port: runs one bot's strategy on what happens."""

from typing import Protocol

from opensqt.core.events import FundingUpdate, OrderUpdate, PositionUpdate, PriceChange


class Engine(Protocol):
    """Runs one bot's strategy: events in, actions out."""

    async def start(self) -> None:
        """Begin; returns once events are taken."""
        ...

    async def stop(self) -> None:
        """Decide nothing more; returns once what was decided is handed over."""
        ...

    async def on_price_update(self, event: PriceChange) -> None:
        """The market moved."""
        ...

    async def on_order_update(self, event: OrderUpdate) -> None:
        """An order changed on the exchange."""
        ...

    async def on_funding_update(self, event: FundingUpdate) -> None:
        """The funding rate or mark price changed."""
        ...

    async def on_position_update(self, event: PositionUpdate) -> None:
        """The account's position changed."""
        ...
