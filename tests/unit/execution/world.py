"""What an execution service lives in: fakes that outlive it, in virtual time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal as D

from opensqt.core.actions import Action, ActionBatch, Cancel, Place
from opensqt.core.events import Gate, GateBeat
from opensqt.core.grid.book import Direction, GridBook, GridIdentity, Slot
from opensqt.core.instrument import Instrument
from opensqt.core.orders import Order, Purpose, Side
from opensqt.ports import GATE, Clock
from opensqt.runtime.metrics import Metrics
from opensqt.testing.memory_bus import MemoryBus
from opensqt.testing.memory_positions import MemoryPositions
from opensqt.testing.memory_store import MemoryStore
from opensqt.testing.scripted_venue import Book, ScriptedVenue
from opensqt.testing.virtual_time import VirtualClock
from services.execution.app import ExecutionApp, SettlementFactory
from services.execution.config import RateLimitConfig, TimingConfig
from services.execution.settlement import VolatileSettlement

BTCUSDT = Instrument(
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick_size=D("0.1"),
    step_size=D("0.001"),
    min_quantity=D("0.001"),
    max_quantity=D(100),
    min_notional=D(5),
)


@dataclass
class World:
    """What outlives an execution service: the exchange's book, the state, the bus."""

    clock: Clock = field(default_factory=VirtualClock)
    store: MemoryStore = field(default_factory=MemoryStore)
    bus: MemoryBus = field(default_factory=MemoryBus)
    book: Book = field(default_factory=Book)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.positions = MemoryPositions(self.store, self.clock)
        self.settlement: SettlementFactory = VolatileSettlement
        self.venue = ScriptedVenue(BTCUSDT, clock=self.clock, book=self.book)

    async def register(self, bot_id: str = "alpha") -> None:
        await self.positions.register_grid(
            GridIdentity(
                bot_id=bot_id,
                account="main",
                symbol="BTCUSDT",
                quote="USDT",
                direction=Direction.LONG,
                anchor=D(60000),
                interval=D(100),
                epoch=7,
            )
        )

    def app(
        self, *, limits: RateLimitConfig | None = None, timing: TimingConfig | None = None
    ) -> ExecutionApp:
        self.metrics = Metrics()
        return ExecutionApp(
            account="main",
            venue=self.venue,
            positions=self.positions,
            bus=self.bus,
            clock=self.clock,
            settlement=self.settlement,
            metrics=self.metrics,
            limits=limits,
            timing=timing,
        )

    async def beat(self, *, revision: int = 1, is_open: bool = True) -> None:
        gate = Gate(
            revision=revision,
            open=is_open,
            reason="" if is_open else "tripped by hand",
            changed_by="risk",
            changed_time_ns=0,
        )
        await self.bus.publish(GATE, "main", GateBeat(gate=gate, beat_time_ns=self.clock.now_ns()))
        await asyncio.sleep(0.001)

    async def keep_beating(self) -> None:
        while True:
            await self.beat()
            await asyncio.sleep(1)

    async def grid(self, bot_id: str = "alpha") -> GridBook:
        return await self.store.load(bot_id)

    async def slot(self, price: int) -> Slot:
        return (await self.grid()).slots[D(price)]

    async def orders(self) -> tuple[Order, ...]:
        page = await self.positions.orders("alpha")
        return page.items

    async def batch(self, *actions: Action, bot_id: str = "alpha") -> ActionBatch:
        grid = await self.grid(bot_id)
        return ActionBatch(
            bot_id=bot_id,
            epoch=grid.identity.epoch,
            state_revision=grid.revision,
            actions=actions,
            price_time_ns=self.clock.now_ns(),
        )

    def count(self, name: str, **labels: str) -> float:
        value = self.metrics.registry.get_sample_value(f"opensqt_{name}", labels)
        return value or 0.0

    @contextlib.asynccontextmanager
    async def running(
        self, *, limits: RateLimitConfig | None = None, timing: TimingConfig | None = None
    ) -> AsyncIterator[ExecutionApp]:
        """A service that has started, under an open gate; drained at the end."""
        app = self.app(limits=limits, timing=timing)
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            beating = group.create_task(self.keep_beating())
            run = group.create_task(app.run(stop))
            await app.started()
            await asyncio.sleep(0.01)
            try:
                yield app
            finally:
                stop.set()
                await run
                beating.cancel()

    async def crash(self, app_running: asyncio.Task[None]) -> None:
        """End a service as a kill does: nothing is drained."""
        app_running.cancel()
        await asyncio.gather(app_running, return_exceptions=True)


def buy(price: int, quantity: str = "0.010") -> Place:
    return Place(
        slot_price=D(price),
        side=Side.BUY,
        purpose=Purpose.OPEN,
        price=D(price),
        quantity=D(quantity),
        reduce_only=False,
        post_only=True,
        exit_price=D(price + 100),
    )


def sell(price: int, quantity: str = "0.010") -> Place:
    return Place(
        slot_price=D(price),
        side=Side.SELL,
        purpose=Purpose.CLOSE,
        price=D(price + 100),
        quantity=D(quantity),
        reduce_only=True,
        post_only=True,
    )


def cancel(order: Order) -> Cancel:
    return Cancel(slot_price=order.slot_price, client_oid=order.client_oid)
