"""A bot in a world of its own: prices, beats, and an execution that commits or loses batches."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal as D
from typing import Any

from opensqt.core.actions import ActionBatch, Cancel, Place
from opensqt.core.errors import Refusal
from opensqt.core.events import (
    Gate,
    GateBeat,
    OrderUpdate,
    PriceChange,
    StreamStatus,
    UpdateSource,
)
from opensqt.core.grid.book import Direction, GridBook
from opensqt.core.grid.config import GridConfig
from opensqt.core.grid.results import PlacementResult
from opensqt.core.instrument import Instrument
from opensqt.core.orders import EndReason, Order, OrderStatus, Purpose
from opensqt.engine.bot import Bot
from opensqt.engine.durable import DurableEngine
from opensqt.ports import ACTIONS
from opensqt.runtime.metrics import Metrics
from opensqt.testing.memory_bus import MemoryBus
from opensqt.testing.memory_store import MemoryStore
from opensqt.testing.virtual_time import VirtualClock
from opensqt.testing.watched_positions import WatchedPositions

INSTRUMENT = Instrument(
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick_size=D("0.1"),
    step_size=D("0.001"),
    min_quantity=D("0.001"),
    max_quantity=D(100),
    min_notional=D(5),
)
GRID = GridConfig(interval=D(10), buy_levels=3, sell_levels=3, quantity=D("0.01"))
BOT = Bot(
    bot_id="btc",
    account="paper",
    symbol="BTCUSDT",
    direction=Direction.LONG,
    anchor=None,
    grid=GRID,
    instrument=INSTRUMENT,
)


class World:
    """Everything around one engine, in one process, on virtual time."""

    def __init__(self, bot: Bot = BOT, *, store: MemoryStore | None = None) -> None:
        self.bot = bot
        self.clock = VirtualClock()
        self.bus = MemoryBus()
        self.store = store or MemoryStore()
        self.positions = WatchedPositions(self.store, self.clock)
        self.metrics = Metrics()
        self.engine = DurableEngine(
            bot,
            positions=self.positions,
            bus=self.bus,
            clock=self.clock,
            metrics=self.metrics,
        )
        self.lose_batches = 0
        self.refusals: list[Refusal] = []
        self.gate = Gate(revision=1, open=True, reason="", changed_by="risk", changed_time_ns=0)
        self.beating = {"gate", "stream", "price"}
        """What is heard of, twice a second."""
        self.verified = True
        self.price = D(1005)
        self._helpers: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        ready = asyncio.Event()
        self._helpers = [
            asyncio.create_task(self._execute(ready)),
            asyncio.create_task(self._beat()),
        ]
        await ready.wait()
        await self.engine.start()
        try:
            yield
        finally:
            await self.engine.stop()
            for helper in self._helpers:
                helper.cancel()
            await asyncio.gather(*self._helpers, return_exceptions=True)

    # --- what happens ----------------------------------------------------------------------------

    def hear_price(self, price: str | D | None = None, **more: Any) -> None:
        if price is not None:
            self.price = D(price)
        now_ns = self.clock.now_ns()
        known: dict[str, Any] = {
            "symbol": "BTCUSDT",
            "last": self.price,
            "bid": self.price,
            "ask": self.price + D("0.1"),
            "exchange_time_ns": now_ns,
            "receive_time_ns": now_ns,
            "sequence": 1,
        }
        self.engine.hear_price(PriceChange(**(known | more)), {})

    def hear_stream(self) -> None:
        self.engine.hear_stream(
            StreamStatus(
                account="paper",
                verified=self.verified,
                epoch=1,
                reason="",
                beat_time_ns=self.clock.now_ns(),
            )
        )

    def hear_gate(self) -> None:
        self.engine.hear_gate(GateBeat(gate=self.gate, beat_time_ns=self.clock.now_ns()))

    async def fill(self, order: Order) -> None:
        """The exchange fills an order whole."""
        await self.positions.apply(
            OrderUpdate(
                account="paper",
                symbol=order.symbol,
                client_oid=order.client_oid,
                exchange_order_id="1",
                side=order.side,
                status=OrderStatus.FILLED,
                end_reason=EndReason.NONE,
                price=order.price,
                quantity=order.quantity,
                filled_quantity=order.quantity,
                average_price=order.price,
                execution=None,
                source=UpdateSource.STREAM,
                exchange_time_ns=0,
                receive_time_ns=0,
            )
        )

    # --- what is seen ----------------------------------------------------------------------------

    @property
    def batches(self) -> list[ActionBatch]:
        return self.bus.of(ACTIONS)

    async def book(self) -> GridBook:
        return await self.store.load(self.bot.bot_id)

    async def resting(self) -> list[str]:
        """Open orders, such as ``OPEN BUY 1000``."""
        return sorted(
            f"{order.purpose} {order.side} {order.price}"
            for order in (await self.book()).live_orders()
            if order.status is OrderStatus.NEW
        )

    def opened(self) -> int:
        """Opening orders that were decided on so far."""
        return sum(
            isinstance(action, Place) and action.purpose is Purpose.OPEN
            for batch in self.batches
            for action in batch.actions
        )

    def cancels(self) -> int:
        """Cancels that were decided on so far."""
        return sum(isinstance(action, Cancel) for batch in self.batches for action in batch.actions)

    # --- the rest of the system ------------------------------------------------------------------

    async def _execute(self, ready: asyncio.Event) -> None:
        """Commit what is decided; the exchange accepts every order and every cancel."""
        async with self.bus.subscribe(ACTIONS, "paper") as batches:
            ready.set()
            async for received in batches:
                if self.lose_batches:
                    self.lose_batches -= 1
                    continue
                try:
                    reserved = await self.positions.reserve(received.event, deadline_ns=0)
                except Refusal as refusal:
                    self.refusals.append(refusal)
                    continue
                if reserved.repeated:
                    continue
                accepted = tuple(
                    PlacementResult(client_oid=order.client_oid, status=OrderStatus.NEW)
                    for order in reserved.to_place
                )
                await self.positions.record(received.event.bot_id, accepted)
                for order in reserved.to_cancel:
                    await self._cancel(order)

    async def _cancel(self, order: Order) -> None:
        await self.positions.apply(
            OrderUpdate(
                account="paper",
                symbol=order.symbol,
                client_oid=order.client_oid,
                exchange_order_id="1",
                side=order.side,
                status=OrderStatus.CANCELED,
                end_reason=EndReason.CANCEL_REQUESTED,
                price=order.price,
                quantity=order.quantity,
                filled_quantity=order.filled_quantity,
                average_price=None,
                execution=None,
                source=UpdateSource.STREAM,
                exchange_time_ns=0,
                receive_time_ns=0,
            )
        )

    async def _beat(self) -> None:
        while True:
            if "gate" in self.beating:
                self.hear_gate()
            if "stream" in self.beating:
                self.hear_stream()
            if "price" in self.beating:
                self.hear_price()
            await asyncio.sleep(0.5)
