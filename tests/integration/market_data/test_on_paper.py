"""Orders on the paper exchange, their news over a real NATS, a ledger that takes it in."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from decimal import Decimal as D
from typing import Any, cast

import pytest

from opensqt.adapters.ccxt import BinanceUsdmExchange, open_binance_usdm
from opensqt.adapters.nats import NatsEventBus, open_nats_bus
from opensqt.core.actions import ActionBatch, Place
from opensqt.core.events import Forced, PositionCheck
from opensqt.core.exchange.orders import OrderRequest, OrderType
from opensqt.core.grid.book import Direction, GridIdentity, Standing
from opensqt.core.orders import Purpose, Side
from opensqt.ports import POSITION_CHECKS, PRICES, STREAM_STATUS, Clock, EventBus
from opensqt.runtime.clock import SystemClock
from opensqt.runtime.config_models import NatsConfig
from opensqt.runtime.metrics import Metrics
from opensqt.testing.memory_gate_store import MemoryGateStore
from opensqt.testing.memory_store import MemoryStore
from opensqt.testing.servers import NatsEndpoint
from services.market_data.app import MarketDataApp
from services.market_data.config import MonitorConfig
from services.paper_exchange.faults import Faults
from services.paper_exchange.interventions import ForceClose, intervene
from services.risk.app import RiskApp
from services.state.intake import OrderIntake
from services.state.ledger import Ledger
from tests.integration.ccxt.conftest import SYMBOL, Paper

pytestmark = pytest.mark.integration


class CurrentLedger:
    """The state service's ledger, which can be lost with its volume."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.lose()

    def lose(self) -> None:
        self._ledger = Ledger(store=MemoryStore(), clock=self._clock, metrics=Metrics())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


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
        self.metrics = Metrics()
        self.positions = CurrentLedger(clock)
        self.app = MarketDataApp(
            account="main",
            symbols=(SYMBOL,),
            feed=feed,
            positions=cast("Ledger", self.positions),
            bus=bus,
            clock=clock,
            metrics=self.metrics,
            config=MonitorConfig(recheck_interval_s=0.5, news_grace_s=0.2),
        )

    async def register(self) -> None:
        await self.positions.register_grid(
            GridIdentity(
                bot_id="alpha",
                account="main",
                symbol=SYMBOL,
                quote="USDT",
                direction=Direction.LONG,
                anchor=D(60000),
                interval=D(100),
                epoch=0,
            )
        )

    async def stands(self, standing: Standing) -> None:
        async with asyncio.timeout(15):
            while (await self.positions.grid("alpha")).standing is not standing:
                await asyncio.sleep(0.05)

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
        await system.register()
        await system.app.prepare()
        stop = asyncio.Event()
        taking_in = OrderIntake(
            ledger=cast("Ledger", system.positions), bus=bus, metrics=system.metrics
        )
        intake = asyncio.create_task(taking_in.run())
        running = asyncio.create_task(system.app.run(stop))
        await system.verified()
        await system.stands(Standing.TRADING)
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


@pytest.mark.invariant(46)
async def test_a_stream_that_falls_silent_without_a_word_is_noticed_and_renewed(
    system: System,
) -> None:
    await system.place(59900, 59800)
    await system.agree()
    epoch = system.app.stream_status().epoch
    assert system.paper.venue.listen_keys.expire_all()  # and nobody is told
    system.paper.trade("59890.0", "0.004")
    system.paper.trade("59790.0", "1")
    await system.agree()
    async with asyncio.timeout(10):
        while system.app.stream_status().epoch == epoch:
            await asyncio.sleep(0.05)
    await system.verified()


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


@pytest.mark.invariant(2)
async def test_a_trade_by_hand_closes_the_gate(system: System) -> None:
    risk = RiskApp(
        account="main",
        store=MemoryGateStore(),
        bus=system.bus,
        clock=system.clock,
        metrics=system.metrics,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(risk.run(stop))
    async with system.bus.subscribe(POSITION_CHECKS, f"main:{SYMBOL}") as checks:
        by_hand = OrderRequest(
            symbol=SYMBOL,
            client_order_id="by-hand",
            side=Side.BUY,
            type=OrderType.MARKET,
            quantity=D("0.5"),
        )
        system.paper.venue.place("paper", by_hand)
        diverging: PositionCheck | None = None
        async with asyncio.timeout(20):
            while diverging is None:
                check = (await anext(checks)).event
                diverging = check if check.diverging else None
        assert diverging.difference == D("0.5")
        await asyncio.sleep(0.2)
        assert not risk.gate().open
        assert "the exchange holds 0.5, the ledger 0" in risk.gate().reason
        await risk.reset(request_id="r", expected_revision=risk.gate().revision, by="test")
        for _ in range(4):
            assert (await anext(checks)).event.diverging
        assert risk.gate().open
    stop.set()
    await running


@pytest.mark.invariant(49)
async def test_a_liquidation_empties_the_slots_and_halts_the_bot(system: System) -> None:
    await system.place(59900, 59800)
    system.paper.trade("59890.0", "1")
    await system.agree()
    system.paper.mark("59000")
    wanted = {"account": "paper", "symbol": SYMBOL, "kind": Forced.LIQUIDATION}
    intervene(system.paper.venue, ForceClose.model_validate(wanted))
    await system.stands(Standing.HALTED)
    await system.agree()
    grid = await system.positions.grid("alpha")
    assert grid.position == 0
    assert "LIQUIDATION" in grid.standing_reason


@pytest.mark.invariant(30)
async def test_a_ledger_that_was_lost_comes_back_from_the_exchange(system: System) -> None:
    await system.place(59900, 59800, 59700)
    system.paper.trade("59890.0", "1")
    system.paper.trade("59790.0", "0.004")
    await system.agree()
    before = await system.positions.grid("alpha")
    system.positions.lose()
    await asyncio.sleep(1.1)  # what is registered within the same second has the same epoch
    await system.register()
    await system.stands(Standing.TRADING)
    await system.agree()
    after = await system.positions.grid("alpha")
    assert after.identity.epoch > before.identity.epoch
    assert after.totals == replace(before.totals, orders=0)  # it has intended none of them
    for price, slot in before.slots.items():
        bound = after.slots[price]
        assert (bound.position_qty, bound.entry_cost, bound.exit_price) == (
            slot.position_qty,
            slot.entry_cost,
            slot.exit_price,
        )
        assert (bound.order and bound.order.client_oid) == (slot.order and slot.order.client_oid)
