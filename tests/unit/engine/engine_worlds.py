"""The worlds of both engines, for the contract that both keep."""

import asyncio
from pathlib import Path

from opensqt.adapters.sqlite.checkpoints import SqliteCheckpoints
from opensqt.core.errors import Refusal
from opensqt.core.events import Gate, GateBeat, OrderUpdate, StreamStatus
from opensqt.core.grid.book import GridBook
from opensqt.engine.bot import Bot
from opensqt.engine.durable import DurableEngine
from opensqt.engine.past import what_happened
from opensqt.engine.simple import SimpleEngine
from opensqt.ports import GATE, CheckpointStore
from opensqt.runtime.metrics import Metrics
from opensqt.testing.engine_world import ACCOUNT, BOT, EngineWorld
from opensqt.testing.memory_bus import MemoryBus
from opensqt.testing.memory_checkpoints import MemoryCheckpoints
from opensqt.testing.memory_store import MemoryStore
from opensqt.testing.watched_positions import WatchedPositions
from services.execution.app import ExecutionApp
from services.execution.settlement import VolatileSettlement


class SimpleWorld(EngineWorld):
    """A `SimpleEngine`, with its checkpoints in memory or in a file."""

    def __init__(self, bot: Bot = BOT, *, path: Path | None = None) -> None:
        super().__init__(bot)
        self._path = path
        self.memory = MemoryCheckpoints()
        self.checkpoints: CheckpointStore = self.memory
        self.simple: SimpleEngine | None = None

    async def make(self) -> None:
        if self._path is not None:
            self.checkpoints = SqliteCheckpoints(self._path)
        self.simple = SimpleEngine(
            self.bot, exchange=self.venue, checkpoints=self.checkpoints, clock=self.clock
        )
        await self.simple.start()
        self.engine = self.simple

    async def end(self) -> None:
        assert self.simple is not None
        await self.simple.stop()
        await self.kill()

    async def kill(self) -> None:
        await self.end_process()
        if isinstance(self.checkpoints, SqliteCheckpoints):
            self.checkpoints.close()
        self.checkpoints.release(self.bot.bot_id)

    async def take_up(self, update: OrderUpdate) -> None:
        assert self.engine is not None
        await self.engine.on_order_update(update)

    async def book(self) -> GridBook:
        assert self.simple is not None
        assert self.simple.book is not None
        return self.simple.book


class DurableWorld(EngineWorld):
    """A `DurableEngine` over the memory's state, with the execution service's own code."""

    def __init__(self, bot: Bot = BOT) -> None:
        super().__init__(bot)
        self.bus = MemoryBus()
        self.store = MemoryStore()
        self.positions = WatchedPositions(self.store, self.clock)
        self.durable: DurableEngine | None = None

    async def make(self) -> None:
        await self._compare()
        app = ExecutionApp(
            account=ACCOUNT,
            venue=self.venue,
            positions=self.positions,
            bus=self.bus,
            clock=self.clock,
            settlement=VolatileSettlement,
            metrics=Metrics(),
        )
        self.run_in_process(app.run(asyncio.Event()))
        await app.started()
        self.durable = DurableEngine(
            self.bot,
            positions=self.positions,
            bus=self.bus,
            clock=self.clock,
            metrics=Metrics(),
        )
        await self.durable.start()
        self.engine = self.durable
        self.run_in_process(self._live())

    async def end(self) -> None:
        assert self.durable is not None
        await self.durable.stop()
        await asyncio.sleep(1)  # what was handed over is carried out
        await self.kill()

    async def kill(self) -> None:
        await self.end_process()

    async def take_up(self, update: OrderUpdate) -> None:
        assert self.engine is not None
        await self.positions.apply(update)
        await self.engine.on_order_update(update)

    async def book(self) -> GridBook:
        return await self.store.load(self.bot.bot_id)

    async def _compare(self) -> None:
        """What the market data service does before an order stream counts as verified."""
        try:
            book = await self.book()
        except Refusal:
            return
        for update in await what_happened(self.venue, book, since_ns=0):
            await self.positions.apply(update)

    async def _live(self) -> None:
        """The gate and the order stream beat."""
        gate = Gate(revision=1, open=True, reason="", changed_by="risk", changed_time_ns=0)
        while self.durable is not None:
            now_ns = self.clock.now_ns()
            beat = GateBeat(gate=gate, beat_time_ns=now_ns)
            self.durable.hear_gate(beat)
            self.durable.hear_stream(
                StreamStatus(
                    account=ACCOUNT, verified=True, epoch=1, reason="", beat_time_ns=now_ns
                )
            )
            await self.bus.publish(GATE, ACCOUNT, beat)
            await asyncio.sleep(0.5)
