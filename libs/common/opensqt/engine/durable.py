"""`DurableEngine`: one bot's loop against the state service, which makes its decisions durable.

Prices, changes of the book, beats and candles come in; each only updates what is known and wakes
the loop. Awake, the loop plans once on the latest of everything, so a burst of events costs one
plan. What it decides is handed over as a batch whose id is bot and revision, and forgotten: the
commit shows on the watch. If the revision has not moved in time, it decides again on the same
revision, and therefore under the same id: whatever became of the first batch, nothing happens
twice.

Architecture Invariant: the engine keeps nothing that a restart would lose, and writes nothing. A
pause of openings that it has learnt of is forgotten, but not by execution, which sends none then.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import structlog
from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

from opensqt.core.actions import Action, ActionBatch
from opensqt.core.bot_status import ROOM, BotStatus, Phase, standing_problem
from opensqt.core.events import (
    Candle,
    FundingUpdate,
    GateBeat,
    OrderUpdate,
    PositionUpdate,
    PriceChange,
    StreamStatus,
)
from opensqt.core.grid.atr import Atr
from opensqt.core.grid.book import GridBook, Standing
from opensqt.core.grid.strategy import hold_what_rests, plan
from opensqt.core.grid.windows import MarketView
from opensqt.core.risk.exposure import Exposure, Reliance, judge
from opensqt.core.risk.openings import Openings
from opensqt.engine.book_watch import BookWatch
from opensqt.engine.bot import Bot
from opensqt.engine.meters import DecisionMeters
from opensqt.ports import ACTIONS, Clock, DependencyError, EventBus, PositionManager
from opensqt.runtime.crash_points import CrashPoint, crash_point
from opensqt.runtime.metrics import Metrics
from opensqt.runtime.tracing import extract, span

COMMIT_WAIT_S: Final = 1.0
"""How long a batch may take to show on the watch before it is decided again."""

TICK_S: Final = 0.25
"""The loop wakes at least so often: freshness and back-offs pass without any event."""

_log = structlog.get_logger(__name__)


class DurableEngine:
    """Runs one bot.

    Args:
        bot: What to run.
        positions: The owner of the slots.
        bus: Carries the decisions to execution.
        clock: Tells the time.
        metrics: Where decisions are counted.
        candles: Closed candles of the past, oldest first, for the average true range.
        openings: Those of its account, shared with the engines of its other bots; None: it is
            alone.
    """

    def __init__(
        self,
        bot: Bot,
        *,
        positions: PositionManager,
        bus: EventBus,
        clock: Clock,
        metrics: Metrics,
        candles: tuple[Candle, ...] = (),
        openings: Openings | None = None,
    ) -> None:
        self.bot = bot
        self._bus = bus
        self._clock = clock
        self._wake = asyncio.Event()
        self._first_price = asyncio.Event()
        self._openings = Openings() if openings is None else openings
        self._watch = BookWatch(positions, on_change=self._wake.set, openings=self._openings)
        self._known = Reliance(since_ns=clock.now_ns())
        self._price: PriceChange | None = None
        self._news: Mapping[str, str] | None = None
        """Trace context of a price that no decision has seen yet."""
        self._cause: Mapping[str, str] | None = None
        """The same of the price that the latest decision was the first to see."""
        self._atr = Atr(period=bot.grid.atr.period) if bot.grid.atr else None
        self._stopping = False
        self._paused = False
        self._task: asyncio.Task[None] | None = None
        self._alarm_ns = 0
        """When it is woken whatever happens; in the past: it is not."""
        self._handed_over = (-1, 0.0)
        """Revision of the latest batch, and when (by the event loop) its commit is overdue."""
        self._batches = 0
        self._decided_ns = 0
        self._meters = DecisionMeters(metrics, bot.bot_id)
        self._meters.show(
            trading=lambda: self.status().phase is Phase.TRADING,
            watch_restarts=lambda: self._watch.restarts,
        )
        for candle in candles:
            self.hear_candle(candle)

    # --- what comes in: update what is known, wake the loop --------------------------------------

    async def on_price_update(self, event: PriceChange) -> None:
        """The market moved."""
        self.hear_price(event, {})

    async def on_order_update(self, event: OrderUpdate) -> None:
        """Nothing to do: the state service applies it, and the watch brings what it changed."""

    async def on_funding_update(self, event: FundingUpdate) -> None:
        """Nothing to do: a grid is planned on prices."""

    async def on_position_update(self, event: PositionUpdate) -> None:
        """Nothing to do: what the grid holds is what its slots hold."""

    def hear_price(self, event: PriceChange, trace: Mapping[str, str]) -> None:
        """The market moved; `trace` is the context that came with the event."""
        if event.receive_time_ns < self._known.price_ns:
            return  # overtaken
        if event.last is None and (event.bid is None or event.ask is None):
            return
        self._price, self._news = event, trace
        self._known = replace(self._known, price_ns=event.receive_time_ns)
        self._first_price.set()
        self._wake.set()

    def hear_stream(self, status: StreamStatus) -> None:
        """The order stream's beat."""
        known = self._known
        self._known = replace(
            known,
            stream_verified=status.verified,
            stream_verified_ns=(
                max(known.stream_verified_ns, status.beat_time_ns)
                if status.verified
                else known.stream_verified_ns
            ),
        )
        self._wake.set()

    def hear_gate(self, beat: GateBeat) -> None:
        """The risk gate's beat."""
        self._known = replace(self._known, gate=self._known.gate.after(beat))
        self._wake.set()

    def hear_candle(self, candle: Candle) -> None:
        """A candle closed."""
        if self._atr is not None:
            self._atr = self._atr.after(candle)
            self._wake.set()

    # --- its life --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin; it trades once it has the book, a price and a verified order stream."""
        assert self._task is None, "an engine is started once"
        self._task = asyncio.create_task(self._run(), name=f"engine-{self.bot.bot_id}")

    async def stop(self) -> None:
        """Decide nothing more; returns once what was decided is handed over."""
        self._stopping = True
        self._wake.set()
        await self.finished()

    async def finished(self) -> None:
        """Wait for the end.

        Raises:
            ExceptionGroup: What ended it, if nobody stopped it: a refusal of its registration.
        """
        if self._task is not None:
            await self._task

    def pause(self) -> None:
        """Decide nothing until `resume`; the orders stay as they are. A restart forgets it."""
        self._paused = True

    def resume(self) -> None:
        """Decide again."""
        self._paused = False
        self._wake.set()

    def status(self) -> BotStatus:
        """How the bot stands."""
        now_ns = self._clock.now_ns()
        verdict = judge(self._known, now_ns, self.bot.bounds)
        book, price = self._watch.book, self._price
        missing = (
            *(() if self._watch.live else ("state",)),
            *standing_problem(book),
            *verdict.missing,
            *((ROOM,) if self._openings.paused(now_ns) else ()),
        )
        phase = Phase.TRADING
        if self._paused:
            phase = Phase.PAUSED
        elif not self._ready() or (book and book.standing is Standing.RECONCILING):
            phase = Phase.STARTING
        elif missing:
            phase = Phase.REDUCING
        return BotStatus(
            bot_id=self.bot.bot_id,
            phase=phase,
            waiting_for=missing,
            state_revision=book.revision if book is not None else 0,
            last_price=None if price is None else price.last or price.bid,
            batches=self._batches,
            decided_ns=self._decided_ns,
        )

    # --- the loop --------------------------------------------------------------------------------

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            helpers = (group.create_task(self._keep_book()), group.create_task(self._tick()))
            while not self._stopping:
                await self._wake.wait()
                self._wake.clear()
                batch = self._decide()
                if batch is not None:
                    await self._hand_over(batch)
            for helper in helpers:
                helper.cancel()

    async def _keep_book(self) -> None:
        await self._first_price.wait()
        assert self._price is not None
        price = self._price.last or self._price.bid
        assert price is not None
        await self._watch.run(self.bot.identity(price))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._wake.set()

    def _ready(self) -> bool:
        """It has had all that it needs to trade; from then on it judges how fresh that is."""
        return (
            self._watch.book is not None
            and self._price is not None
            and self._known.stream_verified_ns > 0
        )

    def _decide(self) -> ActionBatch | None:
        book, price = self._watch.book, self._price
        if self._stopping or self._paused or not self._ready() or not self._watch.live:
            return None
        assert book is not None
        assert price is not None
        revision, overdue_s = self._handed_over
        if book.revision <= revision and asyncio.get_running_loop().time() < overdue_s:
            return None
        self._cause, self._news = self._news, None
        now_ns = self._clock.now_ns()
        actions = self._plan(book, price, now_ns)
        self._meters.plan_seconds.observe((self._clock.now_ns() - now_ns) / 1e9)
        if not actions:
            self._wake_after_back_off(book, now_ns)
            return None
        return ActionBatch(
            bot_id=self.bot.bot_id,
            epoch=book.identity.epoch,
            state_revision=book.revision,
            actions=actions,
            price_time_ns=price.receive_time_ns,
        )

    def _wake_after_back_off(self, book: GridBook, now_ns: int) -> None:
        """Decide again when a back-off or a pause ends next: no event says so."""
        times = (book.wakes_ns(now_ns), self._openings.wakes_ns(now_ns))
        wakes_ns = min((time_ns for time_ns in times if time_ns is not None), default=None)
        if wakes_ns is None or now_ns < self._alarm_ns <= wakes_ns:
            return
        self._alarm_ns = wakes_ns
        asyncio.get_running_loop().call_later((wakes_ns - now_ns) / 1e9, self._wake.set)

    def _plan(self, book: GridBook, price: PriceChange, now_ns: int) -> tuple[Action, ...]:
        verdict = judge(self._known, now_ns, self.bot.bounds)
        market = MarketView(
            last=price.last,
            bid=price.bid,
            ask=price.ask,
            now_ns=now_ns,
            exposure_allowed=verdict.exposure is Exposure.ADD,
            instrument=self.bot.instrument,
            paused=self._openings.paused(now_ns),
            atr=None if self._atr is None else self._atr.value,
        )
        actions = plan(book, market, self.bot.grid)
        if verdict.exposure is Exposure.HOLD:
            actions = hold_what_rests(book, actions, self.bot.grid)
        return actions

    async def _hand_over(self, batch: ActionBatch) -> None:
        repeated = batch.state_revision == self._handed_over[0]
        overdue_s = asyncio.get_running_loop().time() + COMMIT_WAIT_S
        self._handed_over = (batch.state_revision, overdue_s)
        attributes: dict[str, AttributeValue] = {
            "bot": batch.bot_id,
            "revision": batch.state_revision,
            "actions": len(batch.actions),
        }
        with span(
            "decide", parent=extract(self._cause), kind=SpanKind.PRODUCER, attributes=attributes
        ):
            try:
                await self._bus.publish(ACTIONS, self.bot.account, batch)
                crash_point(CrashPoint.DECIDING_AFTER_PUBLISH)
            except DependencyError as error:  # it is decided again
                _log.warning("batch_not_sent", batch=batch.batch_id, problem=str(error))
        self._batches += 1
        self._decided_ns = self._clock.now_ns()
        self._meters.count(batch, repeated=repeated)
        if self._cause is not None:
            self._meters.tick_to_batch.observe((self._decided_ns - batch.price_time_ns) / 1e9)
