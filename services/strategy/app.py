"""The strategy service's composition root: an engine for each bot, and what it listens to.

Each topic is listened to once for each symbol or account, however many bots trade it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator
from decimal import Decimal
from typing import Any, Final, TypeVar

import structlog

from opensqt.core.bot_status import BotStatus
from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.events import Candle, GateBeat, PriceChange, StreamStatus
from opensqt.core.instrument import Instrument
from opensqt.core.risk.exposure import FreshnessBounds
from opensqt.core.risk.openings import Openings
from opensqt.engine.bot import Bot
from opensqt.engine.durable import DurableEngine
from opensqt.ports import (
    CANDLES,
    GATE,
    PRICES,
    STREAM_STATUS,
    Clock,
    DependencyError,
    EventBus,
    MarketData,
    PositionManager,
    Received,
    Topic,
)
from opensqt.runtime.bot_config import BotConfig
from opensqt.runtime.config import ConfigError, ConfigProblem, refuse
from opensqt.runtime.metrics import Metrics
from opensqt.runtime.retries import until_it_answers
from services.strategy.check import check_past, check_rules, check_symbol, prefixed

RETRY_S: Final = 0.5
"""Pause before listening again to a bus that failed."""

CANDLES_PER_PERIOD: Final = 10
"""Wilder's average forgets slowly: after ten periods, where it began no longer matters."""

CANDLES_MAX: Final = 1000

_log = structlog.get_logger(__name__)

E = TypeVar("E")
T = TypeVar("T")


class StrategyApp:
    """Runs the bots.

    Args:
        bots: What to run.
        bounds: How old the things may be that a decision relies on.
        positions: The owner of the slots.
        market_data: Knows the instruments and the past.
        bus: Brings the events and carries the decisions.
        clock: Tells the time.
        metrics: Where decisions are counted.
    """

    def __init__(
        self,
        bots: tuple[BotConfig, ...],
        *,
        bounds: FreshnessBounds,
        positions: PositionManager,
        market_data: MarketData,
        bus: EventBus,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._configs = bots
        self._bounds = bounds
        self._positions = positions
        self._market_data = market_data
        self._bus = bus
        self._clock = clock
        self._metrics = metrics
        self._engines: dict[str, DurableEngine] = {}
        self._openings: defaultdict[str, Openings] = defaultdict(Openings)
        """By account."""

    async def prepare(self) -> None:
        """Check the bots against the exchange's rules and their own past; make their engines.

        Waits for the services that know.

        Raises:
            ConfigError: With every problem of every bot.
            DependencyError: They do not answer within a minute.
        """
        instruments = {
            i.symbol: i for i in await _answer("instruments", self._market_data.instruments)
        }
        grids = {
            book.identity.bot_id: book.identity
            for book in await _answer("grids", self._positions.grids)
        }
        problems: list[ConfigProblem] = []
        for index, config in enumerate(self._configs):
            try:
                instrument = check_symbol(config, instruments)
                check_rules(config, instrument, await self._price_now(config.symbol))
                check_past(config, grids.get(config.bot_id))
            except ConfigError as error:
                problems += prefixed(error, index)
        if problems:
            raise ConfigError(tuple(problems))
        for config in self._configs:
            await self._add(config, instruments[config.symbol])

    async def run(self, stop: asyncio.Event) -> None:
        """Run the bots until `stop` is set; deciding ends first.

        Raises:
            ExceptionGroup: A bot that cannot go on, such as one whose orders are too small at the
                price that has come.
        """
        assert self._engines, "prepare comes first"
        async with asyncio.TaskGroup() as group:
            for engine in self._engines.values():
                await engine.start()
            tasks = [group.create_task(work) for work in self._work()]
            await stop.wait()
            for engine in self._engines.values():
                await engine.stop()
            for task in tasks:
                task.cancel()

    def status(self, bot_id: str) -> BotStatus:
        """How a bot stands.

        Raises:
            Refusal: BOT_UNKNOWN.
        """
        return self._engine(bot_id).status()

    def pause(self, bot_id: str, *, by: str) -> BotStatus:
        """Stop a bot from deciding; its orders stay. A restart of the process forgets it.

        Raises:
            Refusal: BOT_UNKNOWN.
        """
        engine = self._engine(bot_id)
        engine.pause()
        _log.warning("bot_paused", bot=bot_id, by=by)
        return engine.status()

    def resume(self, bot_id: str, *, by: str) -> BotStatus:
        """Let a paused bot decide again.

        Raises:
            Refusal: BOT_UNKNOWN.
        """
        engine = self._engine(bot_id)
        engine.resume()
        _log.warning("bot_resumed", bot=bot_id, by=by)
        return engine.status()

    def _engine(self, bot_id: str) -> DurableEngine:
        engine = self._engines.get(bot_id)
        if engine is None:
            raise Refusal(
                RefusalReason.BOT_UNKNOWN,
                field="bot_id",
                value=bot_id,
                allowed=", ".join(sorted(self._engines)),
            )
        return engine

    async def _price_now(self, symbol: str) -> Decimal | None:
        """A price to check amounts with, if there is one already; prices may begin after us.

        Raises:
            ConfigError: Nobody watches the symbol.
        """
        try:
            return price_of(await self._market_data.price(symbol))
        except DependencyError:
            return None
        except Refusal as refusal:
            raise refuse("symbol", symbol, f"what market_data watches ({refusal})") from None

    async def _add(self, config: BotConfig, instrument: Instrument) -> None:
        candles: tuple[Candle, ...] = ()
        if config.grid.atr is not None:
            limit = min(CANDLES_MAX, config.grid.atr.period * CANDLES_PER_PERIOD)
            candles = await _answer(
                "candles", lambda: self._market_data.candles(config.symbol, limit)
            )
        bot = Bot.of(config, instrument, bounds=self._bounds)
        self._engines[config.bot_id] = DurableEngine(
            bot,
            positions=self._positions,
            bus=self._bus,
            clock=self._clock,
            metrics=self._metrics,
            candles=candles,
            openings=self._openings[config.account],
        )

    def _work(self) -> Iterator[Coroutine[Any, Any, None]]:
        """Everything that runs beside the engines: what they listen to, and their ends."""
        by_symbol: defaultdict[str, list[DurableEngine]] = defaultdict(list)
        by_account: defaultdict[str, list[DurableEngine]] = defaultdict(list)
        for engine in self._engines.values():
            by_symbol[engine.bot.symbol].append(engine)
            by_account[engine.bot.account].append(engine)
            yield engine.finished()
        for symbol, engines in by_symbol.items():
            yield self._listen(PRICES, symbol, engines, _hear_price)
            yield self._listen(CANDLES, symbol, engines, _hear_candle)
            yield self._check_first_price(symbol)
        for account, engines in by_account.items():
            yield self._listen(STREAM_STATUS, account, engines, _hear_stream)
            yield self._listen(GATE, account, engines, _hear_gate)

    async def _listen(
        self,
        topic: Topic[E],
        key: str,
        engines: list[DurableEngine],
        hear: Callable[[DurableEngine, Received[E]], None],
    ) -> None:
        while True:
            try:
                async with self._bus.subscribe(topic, key) as events:
                    async for received in events:
                        for engine in engines:
                            hear(engine, received)
            except DependencyError as error:
                _log.warning("bus_not_heard", topic=topic.name, key=key, problem=str(error))
            await asyncio.sleep(RETRY_S)

    async def _check_first_price(self, symbol: str) -> None:
        """Check the amounts once more, now with a price: an order too small is never placed."""
        async with self._bus.subscribe(PRICES, symbol) as events:
            async for received in events:
                price = price_of(received.event)
                if price is not None:
                    break
            else:
                return
        for config in self._configs:
            if config.symbol == symbol:
                check_rules(config, self._engines[config.bot_id].bot.instrument, price)


def price_of(event: PriceChange) -> Decimal | None:
    """A price to reckon with: the last one, else the bid, else the ask."""
    return event.last or event.bid or event.ask


async def _answer(name: str, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return await until_it_answers(name, ask, errors=(DependencyError,))


def _hear_price(engine: DurableEngine, received: Received[PriceChange]) -> None:
    engine.hear_price(received.event, received.trace)


def _hear_candle(engine: DurableEngine, received: Received[Candle]) -> None:
    engine.hear_candle(received.event)


def _hear_stream(engine: DurableEngine, received: Received[StreamStatus]) -> None:
    engine.hear_stream(received.event)


def _hear_gate(engine: DurableEngine, received: Received[GateBeat]) -> None:
    engine.hear_gate(received.event)
