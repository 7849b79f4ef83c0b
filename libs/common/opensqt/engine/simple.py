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
from dataclasses import dataclass, replace
from typing import Final

import structlog

from opensqt.core.bot_status import ROOM, BotStatus, Phase, standing_problem
from opensqt.core.events import (
    Candle,
    Forced,
    FundingUpdate,
    OrderUpdate,
    PositionUpdate,
    PriceChange,
)
from opensqt.core.grid.book import GridBook, Standing
from opensqt.core.grid.brain import Brain
from opensqt.core.grid.results import Reservation
from opensqt.core.identifiers import bot_tag, epoch_at
from opensqt.core.risk.exposure import price_exposure
from opensqt.core.risk.openings import Openings
from opensqt.engine.bot import Bot
from opensqt.engine.keeping import Keeping
from opensqt.engine.past import concerns, what_happened
from opensqt.engine.sending import Sending, apply
from opensqt.engine.settling import Settling
from opensqt.engine.timing import NS_PER_S, SimpleTiming
from opensqt.ports import CheckpointError, CheckpointStore, Clock, DependencyError, OrderSide

OVERLAP_NS: Final = 120 * NS_PER_S
"""How far we look back beyond what is known: clocks differ, and look-ups lag."""
HORIZON_NS: Final = 30 * 24 * 3600 * NS_PER_S
"""How far a grid is looked for that is new to us, and perhaps not to the exchange."""
RETRY_NS: Final = NS_PER_S
"""Between attempts to ask an exchange that does not answer."""
TICK_S: Final = 0.25

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """What there is once there is a grid."""

    brain: Brain
    sending: Sending
    settling: Settling


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
        self._grid: _Grid | None = None
        self._price: PriceChange | None = None
        self._since_ns = clock.now_ns()
        self._told_ns = 0
        """All that happened on the exchange before this is in the book."""
        self._current = False
        """Nothing may have happened that we were not told of."""
        self._ask_from_ns = 0
        """When to ask the exchange for what happened."""
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
        if self._current:
            await self._grid.settling.settle()
        if self._keeping.due:
            self._keeping.save(self._grid.brain.book)
        await self._act()

    async def catch_up(self) -> None:
        """Ask what may not have been told, after a gap in the account's stream.

        Nothing is decided until that is known; if the exchange does not answer, it is asked again.
        """
        self._current = False
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
            self._told_ns = found.saved_ns
            if found.book.standing is Standing.RECONCILING:
                self._ask_everything()
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
            *(() if self._current else ("reconciliation",)),
            *(("checkpoint",) if self._keeping.problem else ()),
            *(item for item in standing_problem(book) if item != "reconciliation"),
            *((ROOM,) if self._openings.paused(self._clock.now_ns()) else ()),
        )
        phase = Phase.TRADING
        if self._paused:
            phase = Phase.PAUSED
        elif price is None or not self._current:
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

    async def _act_on(self, grid: _Grid) -> None:
        if not self._current and not self._stopping:
            await self._learn(grid)
        while reservations := self._decide(grid.brain):
            if not self._keeping.save(grid.brain.book):
                return  # not sent: it settles like any order that never arrived
            await grid.sending.send(reservations)

    def _decide(self, brain: Brain) -> tuple[Reservation, ...]:
        """Decide until there is nothing to decide."""
        stopped = self._stopping or self._paused or bool(self._keeping.problem)
        if self._price is None or not self._current or stopped:
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

    async def _learn(self, grid: _Grid) -> None:
        """Learn what the exchange has of the grid; `_current` once that is all."""
        asked_ns = self._clock.now_ns()
        if asked_ns < self._ask_from_ns:
            return
        brain = grid.brain
        self._current = True  # a gap that comes while we ask is one more
        try:
            async with asyncio.timeout(self._timing.answer_s):
                since_ns = self._told_ns - OVERLAP_NS
                news = await what_happened(self._exchange, brain.book, since_ns=since_ns)
        except (DependencyError, TimeoutError) as problem:
            self._current, self._ask_from_ns = False, asked_ns + RETRY_NS
            _log.warning("past_not_known_yet", bot=self.bot.bot_id, problem=repr(problem))
            return
        for update in news:
            if update.forced is not Forced.NONE and not brain.book.position:
                continue  # of somebody else's position, or of one that was before us
            apply(brain, update, now_ns=self._clock.now_ns())
        self._told_ns = asked_ns
        if brain.book.standing is Standing.RECONCILING:
            brain.confirm(now_ns=self._clock.now_ns())
        await grid.settling.settle()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            await self.on_time()

    # --- beginning -------------------------------------------------------------------------------

    def _begin(self, event: PriceChange) -> _Grid:
        """A new grid, as far as we know; the exchange may know better."""
        now_ns = self._clock.now_ns()
        price = event.last or event.bid
        assert price is not None
        self._ask_everything()
        identity = replace(self.bot.identity(price), epoch=epoch_at(now_ns))
        self._grid = self._think(GridBook(identity=identity))
        self._keeping.save(self._grid.brain.book)  # the anchor is kept for ever
        return self._grid

    def _ask_everything(self) -> None:
        """Nobody has compared the grid with the exchange yet."""
        now_ns = self._clock.now_ns()
        self._told_ns = now_ns - HORIZON_NS
        # Whoever had the bot before, and lost its checkpoints, may have sent something just now.
        self._ask_from_ns = now_ns + self._timing.quiet_ns

    def _think(self, book: GridBook) -> _Grid:
        brain = Brain(
            book,
            config=self.bot.grid,
            instrument=self.bot.instrument,
            recall=self._keeping.recall,
            on_change=self._keeping.note,
            openings=self._openings,
        )
        for candle in self._candles:
            brain.hear_candle(candle)
        sending = Sending(
            brain, exchange=self._exchange, clock=self._clock, answer_s=self._timing.answer_s
        )
        settling = Settling(
            brain,
            exchange=self._exchange,
            clock=self._clock,
            timing=self._timing,
            in_flight=sending.in_flight,
        )
        return _Grid(brain=brain, sending=sending, settling=settling)
