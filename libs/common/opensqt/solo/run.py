"""`SoloRun`: plays a recorded market to a bot in the same process, and can be stopped at any time.

Everything that happens is a function of the recording: how fast it is played, and how often it was
killed and begun anew, changes neither orders nor fills, save for what a crash made the bot miss a
moment of.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Final

from opensqt.adapters.replay.source import MarketSource
from opensqt.adapters.sqlite.checkpoints import SqliteCheckpoints
from opensqt.core.events import PriceChange
from opensqt.core.exchange.rules import MarketRules
from opensqt.core.risk.exposure import FreshnessBounds
from opensqt.embedded.paper.books import Comparison, compare
from opensqt.engine.bot import Bot
from opensqt.engine.simple import SimpleEngine
from opensqt.engine.timing import AT_ONCE
from opensqt.ports import CheckpointError
from opensqt.solo.books import exchange_books, ledger_books
from opensqt.solo.exchange import SoloExchange
from opensqt.solo.market import RecordedMarket
from opensqt.solo.request_log import KeptMarket, RequestLog, read_market

BURST_MAX: Final = 200
"""Ticks played before signals get their turn."""

LOOK_NS: Final = 10**9
"""Between two looks at what is in doubt and what has not been saved for long, of market time."""

ALWAYS_FRESH: Final = FreshnessBounds(price_ns=2**62, price_silence_ns=2**62)
"""A recording that says nothing for a while has nothing to say: its prices do not grow old."""


class SoloRun:
    """One run, from its checkpoint on if there is one.

    Args:
        bot: What to run.
        source: The market's recording.
        rules: The market's rules.
        deposit: What the account has at first, in quote.
        checkpoints: The file that the run is saved in.
        description: Names recording, rules and deposit; a checkpoint of others is refused.
    """

    def __init__(
        self,
        bot: Bot,
        *,
        source: MarketSource,
        rules: MarketRules,
        deposit: Decimal,
        checkpoints: Path,
        description: str,
    ) -> None:
        self.bot = replace(bot, bounds=ALWAYS_FRESH)
        self.market = RecordedMarket(source, rules, account=bot.account, deposit=deposit)
        self._description = description
        self._log = RequestLog(self.market, description)
        self._store = SqliteCheckpoints(checkpoints, beside=self._log.write)
        self._exchange = SoloExchange(self.market)
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
            DamagedData: The recording cannot be read so far.
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
            for done in self.market.replay(kept.requests, ticks=kept.ticks):
                if not done % 10_000:
                    progress(done, kept.ticks)
        self._engine = SimpleEngine(
            self.bot,
            exchange=self._exchange,
            checkpoints=self._store,
            clock=self.market,
            timing=AT_ONCE,
            candles=self.market.take_closed(),
            ticks=False,
        )
        await self._engine.start()
        await self._tell_price()
        return self.market.ticks

    async def play(
        self,
        *,
        speed: float | None,
        stop: asyncio.Event,
        look: Callable[[], None] = lambda: None,
    ) -> None:
        """Play until the recording ends, or somebody wants it to stop.

        Args:
            speed: Market time per time; None: as fast as it goes.
            stop: Set by whoever wants that.
            look: Is called now and then.

        Raises:
            DamagedData: The recording cannot be read on; what came before was played.
        """
        began_s, began_ns, burst = time.monotonic(), self.market.now_ns(), 0
        while not stop.is_set() and (next_ns := self.market.next_ns()) is not None:
            wait_s = 0.0
            if speed is not None:
                wait_s = began_s + (next_ns - began_ns) / 1e9 / speed - time.monotonic()
            burst += 1
            if wait_s > 0 or burst > BURST_MAX:
                burst = 0
                look()
                await _wait(stop, min(max(wait_s, 0.0), 1.0))
                continue
            await self.step(next_ns)

    async def step(self, next_ns: int) -> None:
        """Let the next tick happen, and before it what time brings until then."""
        engine = self.engine
        while (wakes_ns := engine.wakes_ns()) is not None and wakes_ns <= next_ns:
            self.market.pass_time(wakes_ns)
            await engine.on_time()
            await self._tell_orders()
        self._exchange.hear(self.market.tick())
        await self._tell_orders()
        for candle in self.market.take_closed():
            engine.hear_candle(candle)
        await self._tell_price()
        if self.market.now_ns() >= self._next_look_ns:
            self._next_look_ns = self.market.now_ns() + LOOK_NS
            await engine.on_time()
            await self._tell_orders()

    async def end(self) -> Comparison:
        """Save everything, and hold the bot's books against the exchange's.

        Raises:
            CheckpointError: It could not be saved.
        """
        try:
            await self.engine.stop()
            intents = self._store.order_ids(self.bot.bot_id)
        finally:
            self._store.close()
        return compare(
            ledger_books(self.engine.book, intents),
            exchange_books(self.market.account, self.market.market),
        )

    def close(self) -> None:
        """Leave the checkpoints without saving anything more."""
        self._store.close()

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

    def _refuse_other(self, kept: KeptMarket) -> None:
        if kept.description != self._description:
            raise CheckpointError(
                f"bot {self.bot.bot_id} has a checkpoint on {kept.description}; this is "
                f"{self._description}: name that one, or another file of checkpoints"
            )


def _values(price: PriceChange) -> tuple[Decimal | None, ...]:
    return price.last, price.bid, price.ask


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    if not seconds:
        await asyncio.sleep(0)
        return
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
