"""`SimpleEngine`: one bot in one process, its state in memory, its checkpoints in a store.

Procedural: something happened, decide, save, send, record; again until there is nothing to decide.
One decision at a time: the next one waits for the answers to the last.

Nothing is sent before the intent is saved. Everything else that changes is saved with the next
intent, every few seconds and at the end; what a crash takes of it was told by the exchange, and is
asked for at the start. So the checkpoint is the book of some moment no earlier than the latest
request: its cycles have seen every id that was ever sent, and no id is issued twice.

Architecture Invariant: what can change a slot is the `Brain`'s; this file only brings and takes.
"""

import asyncio
from dataclasses import replace
from typing import Final

import structlog

from opensqt.core.bot_status import ROOM, BotStatus, Phase, standing_problem
from opensqt.core.events import (
    Candle,
    FundingUpdate,
    OrderUpdate,
    PositionUpdate,
    PriceChange,
)
from opensqt.core.grid.book import GridBook
from opensqt.core.grid.brain import Brain
from opensqt.core.grid.results import Reservation
from opensqt.core.identifiers import bot_tag, epoch_at
from opensqt.core.risk.exposure import price_exposure
from opensqt.core.risk.openings import Openings
from opensqt.engine.bot import Bot
from opensqt.engine.catching_up import CatchingUp
from opensqt.engine.keeping import Keeping
from opensqt.engine.past import concerns
from opensqt.engine.sending import apply
from opensqt.engine.timing import SimpleTiming
from opensqt.engine.trading import Trading
from opensqt.ports import CheckpointError, CheckpointStore, Clock, OrderSide

TICK_S: Final = 0.25

_log = structlog.get_logger(__name__)


class SimpleEngine:
    """Runs one bot.

    Args:
        bot: What to run.
        exchange: Where; whoever has its account's stream tells us of it by `on_order_update`, and
            by `catch_up` of its gaps.
        checkpoints: Where the state is put down.
        clock: Tells the time.
        timing: How long things may take.
        candles: Closed one-minute candles of the past, oldest first, for the average true range.
        ticks: Look after what time brings by itself; otherwise `on_time` is called by the owner.
        openings: Those of its account, shared with the engines of its other bots; None: it is
            alone.
    """

    def __init__(
        self,
        bot: Bot,
        *,
        exchange: OrderSide,
        checkpoints: CheckpointStore,
        clock: Clock,
        timing: SimpleTiming | None = None,
        candles: tuple[Candle, ...] = (),
        ticks: bool = True,
        openings: Openings | None = None,
    ) -> None:
        self.bot = bot
        self._exchange = exchange
        self._clock = clock
        self._timing = timing or SimpleTiming()
        self._keeping = Keeping(
            bot, checkpoints=checkpoints, clock=clock, age_ns=self._timing.checkpoint_ns
        )
        self._ticks = ticks
        self._openings = Openings() if openings is None else openings
        self._candles = list(candles)
        self._tag = bot_tag(bot.bot_id)
        self._grid: Trading | None = None
        self._price: PriceChange | None = None
        self._since_ns = clock.now_ns()
        self._catching_up = CatchingUp(
            bot.bot_id, exchange=exchange, clock=clock, timing=self._timing
        )
        self._acting = self._again = self._paused = self._stopping = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None
        self._batches = 0
        self._decided_ns = 0

    @property
    def book(self) -> GridBook | None:
        """The grid as it stands; None before the first price."""
        return None if self._grid is None else self._grid.brain.book

    # --- what comes in: what follows from it is done on return, or left to who is at it ----------

    async def on_price_update(self, event: PriceChange) -> None:
        """The market moved."""
        if event.symbol != self.bot.symbol or self._stopping:
            return
        if self._price is not None and event.receive_time_ns < self._price.receive_time_ns:
            return  # overtaken
        if event.last is None and (event.bid is None or event.ask is None):
            return
        self._price = event
        grid = self._grid or self._begin(event)
        grid.brain.hear_price(
            last=event.last, bid=event.bid, ask=event.ask, time_ns=event.receive_time_ns
        )
        await self._act()

    async def on_order_update(self, event: OrderUpdate) -> None:
        """An order changed on the exchange."""
        if event.symbol != self.bot.symbol or event.account != self.bot.account:
            return
        if self._grid is not None and concerns(self._tag, event):
            apply(self._grid.brain, event, now_ns=self._clock.now_ns())
            await self._act()

    async def on_funding_update(self, event: FundingUpdate) -> None:
        """Nothing to do: a grid is planned on prices."""

    async def on_position_update(self, event: PositionUpdate) -> None:
        """Nothing to do: what the grid holds is what its slots hold."""

    def hear_candle(self, candle: Candle) -> None:
        """A one-minute candle closed."""
        if self._grid is None:
            self._candles.append(candle)
        else:
            self._grid.brain.hear_candle(candle)

    async def on_time(self) -> None:
        """Time has passed: ask about what is in doubt, end back-offs, save what has grown old."""
        if self._grid is None or self._stopping:
            return
        if self._catching_up.current:
            await self._grid.settling.settle()
        if self._keeping.due:
            self._keeping.save(self._grid.brain.book)
        await self._act()

    async def catch_up(self) -> None:
        """Ask what may not have been told, after a gap in the account's stream.

        Nothing is decided until that is known; if the exchange does not answer, it is asked again.
        """
        self._catching_up.missed()
        await self._act()

    # --- its life --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin: load the checkpoint, ask the exchange what has happened since, trade.

        Raises:
            CheckpointError: The checkpoint cannot be used, or another process runs the bot.
            Refusal: BOT_DIFFERS when the checkpoint is of a bot with other parameters.
        """
        assert self._task is None, "an engine is started once"
        found = self._keeping.open()
        if found is not None:
            self._catching_up.begin(found.book.standing, saved_ns=found.saved_ns)
            self._grid = self._think(found.book)
            await self._act()
        if self._ticks:
            self._task = asyncio.create_task(self._tick(), name=f"engine-{self.bot.bot_id}")

    async def stop(self) -> None:
        """Decide nothing more; returns once what was decided is sent, and everything is saved.

        Raises:
            CheckpointError: It could not be saved; what happened is asked for at the next start.
        """
        self._stopping = True
        await self._idle.wait()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            if self._grid is not None and not self._keeping.save(self._grid.brain.book):
                raise CheckpointError(self._keeping.problem)
        finally:
            self._keeping.close()

    def pause(self) -> None:
        """Decide nothing until `resume`; the orders stay as they are. A restart forgets it."""
        self._paused = True

    async def resume(self) -> None:
        """Decide again."""
        self._paused = False
        await self._act()

    def status(self) -> BotStatus:
        """How the bot stands."""
        book, price = self.book, self._price
        missing = (
            *(() if price is not None else ("price",)),
            *(() if self._catching_up.current else ("reconciliation",)),
            *(("checkpoint",) if self._keeping.problem else ()),
            *(item for item in standing_problem(book) if item != "reconciliation"),
            *((ROOM,) if self._openings.paused(self._clock.now_ns()) else ()),
        )
        phase = Phase.TRADING
        if self._paused:
            phase = Phase.PAUSED
        elif price is None or not self._catching_up.current:
            phase = Phase.STARTING
        elif missing:
            phase = Phase.REDUCING
        return BotStatus(
            bot_id=self.bot.bot_id,
            phase=phase,
            waiting_for=missing,
            state_revision=0 if book is None else book.revision,
            last_price=None if price is None else price.last or price.bid,
            batches=self._batches,
            decided_ns=self._decided_ns,
        )

    def wakes_ns(self) -> int | None:
        """When something may be decided again without any event; None: no such time is known."""
        return None if self._grid is None else self._grid.brain.wakes_ns(self._clock.now_ns())

    # --- the loop --------------------------------------------------------------------------------

    async def _act(self) -> None:
        """Decide, save, send, record, until there is nothing to decide."""
        self._again = True
        if self._acting:
            return
        self._acting = True
        self._idle.clear()
        try:
            while self._again:
                self._again = False
                if self._grid is not None:
                    await self._act_on(self._grid)
        finally:
            self._acting = False
            self._idle.set()

    async def _act_on(self, grid: Trading) -> None:
        catching_up = self._catching_up
        if not (catching_up.current or self._stopping) and await catching_up.learn(grid.brain):
            await grid.settling.settle()
        while reservations := self._decide(grid.brain):
            if not self._keeping.save(grid.brain.book):
                return  # not sent: it settles like any order that never arrived
            await grid.sending.send(reservations)

    def _decide(self, brain: Brain) -> tuple[Reservation, ...]:
        """Decide until there is nothing to decide."""
        stopped = self._stopping or self._paused or bool(self._keeping.problem)
        if self._price is None or not self._catching_up.current or stopped:
            return ()
        now_ns = self._clock.now_ns()
        exposure = price_exposure(
            self._price.receive_time_ns,
            since_ns=self._since_ns,
            now_ns=now_ns,
            bounds=self.bot.bounds,
        )
        deadline_ns = now_ns + self._timing.placing_ns
        decided: list[Reservation] = []
        while (
            reservation := brain.decide(now_ns=now_ns, deadline_ns=deadline_ns, exposure=exposure)
        ) is not None:
            decided.append(reservation)
            self._batches += 1
            self._decided_ns = now_ns
        return tuple(decided)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            await self.on_time()

    # --- beginning -------------------------------------------------------------------------------

    def _begin(self, event: PriceChange) -> Trading:
        """A new grid, as far as we know; the exchange may know better."""
        now_ns = self._clock.now_ns()
        price = event.last or event.bid
        assert price is not None
        self._catching_up.begin_anew()
        identity = replace(self.bot.identity(price), epoch=epoch_at(now_ns))
        self._grid = self._think(GridBook(identity=identity))
        self._keeping.save(self._grid.brain.book)  # the anchor is kept for ever
        return self._grid

    def _think(self, book: GridBook) -> Trading:
        return Trading.of(
            book,
            self.bot,
            exchange=self._exchange,
            keeping=self._keeping,
            clock=self._clock,
            timing=self._timing,
            openings=self._openings,
            candles=self._candles,
        )
