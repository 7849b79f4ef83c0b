"""`SoloRun`: a recorded market played to a bot in the same process; can be stopped at any time.

Everything that happens is a function of the recording: how fast it is played changes neither orders
nor fills. Nor does being killed and begun anew, unless an answer was lost with the process that was
no plain acceptance.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Final

from opensqt.adapters.sqlite.checkpoints import SqliteCheckpoints
from opensqt.backtest.case import Case
from opensqt.backtest.recorded.run import Run
from opensqt.core.events import PriceChange
from opensqt.core.exchange.events import Event
from opensqt.core.grid.book import GridBook
from opensqt.core.orders import OrderStatus
from opensqt.core.risk.exposure import FreshnessBounds
from opensqt.core.risk.openings import Openings
from opensqt.embedded.paper.books import Comparison, compare
from opensqt.engine.simple import SimpleEngine
from opensqt.engine.timing import AT_ONCE
from opensqt.ports import CheckpointError
from opensqt.solo.books import exchange_books, ledger_books
from opensqt.solo.exchange import SoloExchange, answered
from opensqt.solo.market import RecordedMarket, Request, described
from opensqt.solo.record import recorded
from opensqt.solo.request_log import KeptMarket, RequestLog, read_market

LOOK_NS: Final = 10 * 10**9
"""Between two looks at what is in doubt and what has not been saved for long, of market time."""

REPLAYED_AT_ONCE: Final = 10_000
"""Ticks, before signals get their turn."""

ALWAYS_FRESH: Final = FreshnessBounds(price_ns=2**62, price_silence_ns=2**62)
"""A recording that says nothing for a while has nothing to say: its prices do not grow old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a run came to."""

    bot_id: str
    comparison: Comparison
    """The bot's books and the exchange's."""
    run: Run
    """Every order and fill since its very beginning."""


class SoloRun:
    """One run, from its checkpoint on if there is one.

    Args:
        case: The bot, its market and its account; a checkpoint of others is refused.
        checkpoints: The file that the run is saved in, and others may be.

    Raises:
        CheckpointError: The file cannot be used.
        ValueError: Nothing ever happens in the market, or the exchange refuses the leverage.
    """

    def __init__(self, case: Case, *, checkpoints: Path) -> None:
        (bot,) = case.bots
        self.bot = replace(bot, bounds=ALWAYS_FRESH)
        self.case = case
        self.market = RecordedMarket(case)
        self._description = described(case)
        self._log = RequestLog(self.market, self._description)
        self._store = SqliteCheckpoints(checkpoints, beside=self._log.write)
        self._exchange = SoloExchange(self.market)
        self._openings = Openings()
        self._engine: SimpleEngine | None = None
        self._next_look_ns = 0
        self._told: tuple[Decimal | None, ...] = ()

    @property
    def engine(self) -> SimpleEngine:
        """The bot's engine, once the run has begun."""
        assert self._engine is not None, "the run has not begun"
        return self._engine

    async def begin(self, progress: Callable[[int, int], None] = lambda _done, _of: None) -> int:
        """Come back to where the checkpoint is; how many ticks that is, 0 for a new run.

        Args:
            progress: Is told how many ticks were replayed, of how many.

        Raises:
            CheckpointError: The checkpoint cannot be used, is of another market, or the bot runs.
            Refusal: It is of a bot with other parameters.
        """
        bot_id = self.bot.bot_id
        found = self._store.open(bot_id)  # nobody else plays this bot from here on
        kept = read_market(self._store, bot_id)
        if kept is None and found is not None:
            raise CheckpointError(
                f"bot {bot_id} has a checkpoint, and not on a recording: name another file"
            )
        if kept is not None:
            self._refuse_other(kept)
            for done in self.market.replay(kept.requests, ticks=kept.ticks, hear=self._recall):
                if not done % REPLAYED_AT_ONCE:
                    progress(done, kept.ticks)
                    await asyncio.sleep(0)
        if found is not None:
            self.market.pass_time(found.saved_ns)
            self._carry_out(found.book)
        self._engine = SimpleEngine(
            self.bot,
            exchange=self._exchange,
            checkpoints=self._store,
            clock=self.market,
            timing=AT_ONCE,
            candles=self.market.take_closed(),
            ticks=False,
            openings=self._openings,
        )
        await self._engine.start()
        await self._tell_price()
        return self.market.ticks

    async def step(self) -> None:
        """Let the next tick happen, and before it what time brings until then."""
        next_ns = self.market.next_ns()
        assert next_ns is not None, "the recording has ended"
        await self._pass_time(next_ns)
        self._exchange.hear(self.market.tick())
        await self._tell_orders()
        await self._tell_price()
        if self.market.now_ns() >= self._next_look_ns:
            self._next_look_ns = self.market.now_ns() + LOOK_NS
            await self.engine.on_time()
            await self._tell_orders()
        if self.market.ended:
            await self._pass_time(next_ns)

    async def end(self) -> Ended:
        """Save everything, hold the bot's books against the exchange's, and leave the file.

        Raises:
            CheckpointError: It could not be saved.
        """
        bot_id = self.bot.bot_id
        try:
            await self.engine.stop()
            orders, executions = self._store.orders(bot_id), self._store.executions(bot_id)
        finally:
            self._store.close()
        intents = frozenset(order.client_oid for order in orders)
        return Ended(
            bot_id=bot_id,
            comparison=compare(
                ledger_books(self.engine.book, intents),
                exchange_books(self.market.account, self.market.market),
            ),
            run=recorded(self.case, self.market, orders, executions),
        )

    def close(self) -> None:
        """Leave the checkpoints without saving anything more."""
        self._store.close()

    async def _pass_time(self, until_ns: int) -> None:
        """Let the bot hear what time alone brings until then: candles that close, alarms."""
        while True:
            minute_ns = None if self.bot.grid.atr is None else self.market.next_minute_ns()
            coming = [at for at in (minute_ns, self.engine.wakes_ns()) if at is not None]
            if not coming or min(coming) > until_ns:
                return
            self.market.pass_time(min(coming))
            if minute_ns is not None:
                for candle in self.market.take_closed():
                    self.engine.hear_candle(candle)
            await self.engine.on_time()
            await self._tell_orders()

    async def _tell_price(self) -> None:
        """Tell the price, if it is not the one that was told before."""
        price = self.market.price()
        if price is None or (known := _values(price)) == self._told:
            return
        self._told = known
        await self.engine.on_price_update(price)
        await self._tell_orders()

    async def _tell_orders(self) -> None:
        while self._exchange.news:
            await self.engine.on_order_update(self._exchange.news.popleft())

    def _carry_out(self, book: GridBook) -> None:
        """Let what was decided, and saved just before it was sent, arrive where it was to.

        Elsewhere that would be wrong: it may have arrived. This exchange died with the bot.
        """
        arrived = {(item.order.client_oid, item.cancels) for item in self.market.requests}
        for order in book.live_orders():
            if order.status is OrderStatus.PENDING and (order.client_oid, False) not in arrived:
                events = self.market.place(order)
                self._recall(self.market.requests[-1], events)
        for order in book.live_orders():
            if order.cancel_requested and (order.client_oid, True) not in arrived:
                self.market.cancel(order)

    def _recall(self, request: Request, events: tuple[Event, ...]) -> None:
        """Learn of the account's openings again: no checkpoint has that, the answers told it."""
        if request.cancels:
            return
        answer = answered(request.order, events[0])
        self._openings.pause = self._openings.pause.after(
            request.order.purpose, answer.status, answer.end_reason, now_ns=request.now_ns
        )

    def _refuse_other(self, kept: KeptMarket) -> None:
        if kept.description != self._description:
            raise CheckpointError(
                f"bot {self.bot.bot_id} has a checkpoint on {kept.description}; this is "
                f"{self._description}: name that one, or another file of checkpoints"
            )


def _values(price: PriceChange) -> tuple[Decimal | None, ...]:
    return price.last, price.bid, price.ask
