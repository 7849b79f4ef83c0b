"""Orders on the paper exchange, their news over a real NATS, a ledger that takes it in."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal as D

import pytest

from opensqt.adapters.ccxt import BinanceUsdmExchange, open_binance_usdm
from opensqt.adapters.nats import NatsEventBus, open_nats_bus
from opensqt.core.actions import ActionBatch, Place
from opensqt.core.grid.book import Direction, GridIdentity
from opensqt.core.orders import Purpose, Side
from opensqt.ports import ORDER_UPDATES, PRICES, STREAM_STATUS, EventBus
from opensqt.runtime.clock import SystemClock
from opensqt.runtime.config_models import NatsConfig
from opensqt.runtime.metrics import Metrics
from opensqt.testing.memory_positions import MemoryPositions
from opensqt.testing.memory_store import MemoryStore
from opensqt.testing.servers import NatsEndpoint
from services.market_data.app import MarketDataApp
from services.market_data.config import MonitorConfig
from services.paper_exchange.faults import Faults
from tests.integration.ccxt.conftest import SYMBOL, Paper

pytestmark = pytest.mark.integration


class System:
    """market_data as in production; execution and state as far as they are needed."""

    def __init__(
        self, paper: Paper, feed: BinanceUsdmExchange, trader: BinanceUsdmExchange, bus: EventBus
    ) -> None:
        clock = SystemClock()
        self.paper = paper
        self.trader = trader
        self.bus = bus
        self.clock = clock
        self.positions = MemoryPositions(MemoryStore(), clock)
        self.metrics = Metrics()
        self.app = MarketDataApp(
            account="main",
            symbols=(SYMBOL,),
            feed=feed,
            positions=self.positions,
            bus=bus,
            clock=clock,
            metrics=self.metrics,
            config=MonitorConfig(recheck_interval_s=0.5, news_grace_s=0.2),
        )

    async def take_in(self) -> None:
        async with self.bus.subscribe(ORDER_UPDATES, durable="state") as updates:
            async for received in updates:
                await self.positions.apply(received.event)
                await received.ack()

    async def verified(self) -> None:
        async with asyncio.timeout(10):
            while not self.app.stream_status().verified:
                await asyncio.sleep(0.01)

    async def place(self, *prices: int) -> None:
        grid = await self.positions.grid("alpha")
        batch = ActionBatch(
            bot_id="alpha",
            epoch=grid.identity.epoch,
            state_revision=grid.revision,
            actions=tuple(
                Place(
                    slot_price=D(price),
                    side=Side.BUY,
                    purpose=Purpose.OPEN,
                    price=D(price),
                    quantity=D("0.010"),
                    reduce_only=False,
                    post_only=True,
                    exit_price=D(price + 100),
                )
                for price in prices
            ),
            price_time_ns=self.clock.now_ns(),
        )
        reservation = await self.positions.reserve(
            batch, deadline_ns=self.clock.now_ns() + 3 * 10**9
        )
        results = [await self.trader.place(order) for order in reservation.to_place]
        await self.positions.record("alpha", tuple(results))

    async def agrees(self) -> bool:
        grid = await self.positions.grid("alpha")
        account = self.paper.venue.account("paper")
        live = {order.client_oid: order.filled_quantity for order in grid.live_orders()}
        return (
            grid.position == account.position(SYMBOL).quantity
            and live == {o.client_order_id: o.executed for o in account.open_orders.values()}
            and grid.totals.fills == len(account.fills)
            and grid.totals.fees == account.fees
        )

    async def agree(self) -> None:
        async with asyncio.timeout(15):
            while not await self.agrees():
                await asyncio.sleep(0.05)


@pytest.fixture
async def system(
    paper: Paper,
    nats_server: NatsEndpoint,
    nats_prefix: str,
) -> AsyncIterator[System]:
    async with AsyncExitStack() as stack:
        bus: NatsEventBus = await stack.enter_async_context(
            open_nats_bus(
                NatsConfig(url=nats_server.url, prefix=nats_prefix), name="test", metrics=Metrics()
            )
        )
        feed, trader = [
            await stack.enter_async_context(
                open_binance_usdm(
                    paper.config(trade=trade),
                    account="main",
                    clock=SystemClock(),
                    metrics=Metrics(),
                )
            )
            for trade in (False, True)
        ]
        system = System(paper, feed, trader, bus)
        await system.positions.register_grid(
            GridIdentity(
                bot_id="alpha",
                account="main",
                symbol=SYMBOL,
                quote="USDT",
                direction=Direction.LONG,
                anchor=D(60000),
                interval=D(100),
                epoch=7,
            )
        )
        await system.app.prepare()
        stop = asyncio.Event()
        intake = asyncio.create_task(system.take_in())
        running = asyncio.create_task(system.app.run(stop))
        await system.verified()
        yield system
        stop.set()
        await running
        intake.cancel()
        await asyncio.gather(intake, return_exceptions=True)


async def test_a_fill_reaches_the_ledger(system: System) -> None:
    await system.place(59900, 59800)
    system.paper.trade("59890.0", "1")
    await system.agree()
    assert (await system.positions.grid("alpha")).position == D("0.010")


async def test_prices_and_beats_are_on_the_bus(system: System) -> None:
    async with (
        system.bus.subscribe(PRICES, SYMBOL) as prices,
        system.bus.subscribe(STREAM_STATUS, "main") as beats,
    ):
        system.paper.quote("61000.0", "61000.1")
        async with asyncio.timeout(5):
            assert (await anext(beats)).event.verified
            while (await anext(prices)).event.bid != D("61000.0"):
                pass
        assert system.app.price(SYMBOL).bid == D("61000.0")


async def test_an_expired_listen_key_costs_nothing(system: System) -> None:
    await system.place(59900, 59800)
    epoch = system.app.stream_status().epoch
    system.paper.venue.user_streams.send_expired(
        system.paper.venue.listen_keys.expire_all(), now_ms=1
    )
    system.paper.trade("59890.0", "0.004")
    system.paper.trade("59790.0", "1")
    await system.agree()
    await system.verified()
    assert system.app.stream_status().epoch > epoch


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_books_agree_after_a_rough_ride(system: System, seed: int) -> None:
    rng = random.Random(seed)
    venue = system.paper.venue
    venue.injector.faults = Faults.model_validate(
        {
            "latency_ms_max": 5,
            "user": {"delay": 0.2, "drop": 0.1, "duplicate": 0.2, "reorder": 0.1},
        }
    )
    price = 60000
    for _ in range(60):
        slots = (await system.positions.grid("alpha")).slots
        free = [p for p in range(58000, price - 100, 100) if D(p) not in slots]
        if rng.random() < 0.4 and free:
            await system.place(*rng.sample(free, min(3, len(free))))
        orders = (await system.positions.grid("alpha")).live_orders()
        if rng.random() < 0.2 and orders:
            await system.trader.cancel(rng.choice(orders))
        price = rng.randrange(58200, 60000)
        system.paper.quote(f"{price}.0", f"{price}.1")
        system.paper.trade(f"{price}.0", f"0.0{rng.randrange(1, 60):02d}")
        if rng.random() < 0.05:
            venue.hub.cut_all()
        await asyncio.sleep(0.02)
    venue.injector.faults = Faults()
    await system.agree()
    await system.verified()
    account = venue.account("paper")
    assert len(account.fills) > 10
    assert len(account.orders) == len({o.client_order_id for o in account.orders.values()})
