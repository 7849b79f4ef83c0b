"""What a market data service lives in: an exchange, a ledger and a bus, in virtual time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal as D
from typing import Any

from opensqt.core.actions import ActionBatch, Place
from opensqt.core.events import OrderUpdate, StreamStatus
from opensqt.core.grid.book import Direction, GridBook, GridIdentity
from opensqt.core.instrument import Instrument
from opensqt.core.orders import Order, OrderStatus, Purpose, Side
from opensqt.ports import ORDER_UPDATES, STREAM_STATUS, DependencyError, Topic
from opensqt.runtime.metrics import Metrics
from opensqt.testing.memory_bus import MemoryBus
from opensqt.testing.memory_positions import MemoryPositions
from opensqt.testing.memory_store import MemoryStore
from opensqt.testing.simulated_venue import SimulatedVenue
from opensqt.testing.virtual_time import VirtualClock
from services.market_data.app import MarketDataApp
from services.market_data.config import MonitorConfig

BTC = "BTCUSDT"


def instrument(symbol: str) -> Instrument:
    return Instrument(
        symbol=symbol,
        base=symbol.removesuffix("USDT"),
        quote="USDT",
        tick_size=D("0.1"),
        step_size=D("0.001"),
        min_quantity=D("0.001"),
        max_quantity=D(100),
        min_notional=D(5),
    )


class FlakyBus(MemoryBus):
    """A bus whose durable topics can be told to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.stores = True
        self.attempts: list[str] = []

    async def publish(
        self, topic: Topic[Any], key: str, event: Any, *, message_id: str = ""
    ) -> None:
        if topic is ORDER_UPDATES:
            self.attempts.append(message_id)
            if not self.stores:
                raise DependencyError("told not to store")
        await super().publish(topic, key, event, message_id=message_id)


class World:
    """What outlives a market data service."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.venue = SimulatedVenue(
            instrument(BTC), instrument("ETHUSDT"), instrument("BTCUSDC"), clock=self.clock
        )
        self.venue.quote(BTC, D("60000.0"), D("60000.1"))
        self.store = MemoryStore()
        self.positions = MemoryPositions(self.store, self.clock, confirms=False)
        self.bus = FlakyBus()
        self.metrics = Metrics()
        self.applied: list[OrderUpdate] = []
        self.put_aside: list[OrderUpdate] = []
        self.takes_in = asyncio.Event()
        """Cleared, what is told waits on the bus for the ledger."""
        self.takes_in.set()

    async def register(
        self, bot_id: str = "alpha", *, account: str = "main", epoch: int = 7
    ) -> None:
        await self.positions.register_grid(
            GridIdentity(
                bot_id=bot_id,
                account=account,
                symbol=BTC,
                quote="USDT",
                direction=Direction.LONG,
                anchor=D(60000),
                interval=D(100),
                epoch=epoch,
            )
        )

    def app(self, *symbols: str, **config: Any) -> MarketDataApp:
        self.metrics = Metrics()
        return MarketDataApp(
            account="main",
            symbols=symbols or (BTC,),
            feed=self.venue,
            positions=self.positions,
            bus=self.bus,
            clock=self.clock,
            metrics=self.metrics,
            config=MonitorConfig(**config),
        )

    @contextlib.asynccontextmanager
    async def running(self, *symbols: str, **config: Any) -> AsyncIterator[MarketDataApp]:
        """The service and the state service's intake."""
        app = self.app(*symbols, **config)
        await app.prepare()
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            intake = group.create_task(self.take_in())
            run = group.create_task(app.run(stop))
            await asyncio.sleep(0.1)
            try:
                yield app
            finally:
                stop.set()
                await run
                intake.cancel()

    async def take_in(self) -> None:
        async with self.bus.subscribe(ORDER_UPDATES, durable="state") as updates:
            async for received in updates:
                await self.takes_in.wait()
                applied = await self.positions.apply(received.event)
                (self.put_aside if applied.quarantined else self.applied).append(received.event)
                await received.ack()

    async def grid(self, bot_id: str = "alpha") -> GridBook:
        return await self.store.load(bot_id)

    async def reserve(
        self, *prices: int, quantity: str = "0.010", bot_id: str = "alpha"
    ) -> list[Order]:
        """Commit intents to buy."""
        grid = await self.grid(bot_id)
        batch = ActionBatch(
            bot_id=bot_id,
            epoch=grid.identity.epoch,
            state_revision=grid.revision,
            actions=tuple(
                Place(
                    slot_price=D(price),
                    side=Side.BUY,
                    purpose=Purpose.OPEN,
                    price=D(price),
                    quantity=D(quantity),
                    reduce_only=False,
                    post_only=True,
                    exit_price=D(price + 100),
                )
                for price in prices
            ),
            price_time_ns=self.clock.now_ns(),
        )
        deadline_ns = self.clock.now_ns() + 3 * 10**9
        return list((await self.positions.reserve(batch, deadline_ns=deadline_ns)).to_place)

    async def place(
        self, *prices: int, quantity: str = "0.010", bot_id: str = "alpha"
    ) -> list[Order]:
        """Commit, send and record, as execution does."""
        orders = await self.reserve(*prices, quantity=quantity, bot_id=bot_id)
        results = tuple([await self.venue.place(order) for order in orders])
        assert all(result.status is OrderStatus.NEW for result in results)
        await self.positions.record(bot_id, results)
        return orders

    async def order(self, client_oid: str) -> Order:
        page = await self.positions.orders("alpha", page_size=1000)
        return next(order for order in page.items if order.client_oid == client_oid)

    def statuses(self) -> list[StreamStatus]:
        return self.bus.of(STREAM_STATUS)

    def count(self, name: str, **labels: str) -> float:
        value = self.metrics.registry.get_sample_value(f"opensqt_{name}", labels)
        return value or 0.0

    async def agree_on_position(self) -> None:
        """Ledger and exchange hold the same."""
        held = self.venue.exchange.accounts["main"].position(BTC).quantity
        assert (await self.grid()).position == held

    async def agree(self) -> None:
        """Ledger and exchange say the same: position, open orders, every execution and fee."""
        grid = await self.grid()
        account = self.venue.exchange.accounts["main"]
        assert grid.position == account.position(BTC).quantity
        live = {order.client_oid: order.filled_quantity for order in grid.live_orders()}
        assert live == {o.client_order_id: o.executed for o in account.open_orders.values()}
        page = await self.positions.executions("alpha", page_size=1000)
        counted = {execution.execution_id: execution for execution in page.items}
        fills = {str(fill.trade_id): fill for fill in account.fills}
        assert counted.keys() == fills.keys()
        assert all(counted[number].fee == fill.fee for number, fill in fills.items())
        assert grid.totals.fees == account.fees
