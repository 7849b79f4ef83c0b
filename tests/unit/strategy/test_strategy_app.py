"""The strategy service around its engines: what it refuses, what it brings to whom, how it ends."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from decimal import Decimal as D
from functools import wraps
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from opensqt.core.bot_status import Phase
from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.events import Candle, Gate, GateBeat, PriceChange, StreamStatus
from opensqt.core.grid.book import Direction, GridIdentity
from opensqt.core.grid.results import PlacementResult
from opensqt.core.instrument import Instrument
from opensqt.core.orders import EndReason, OrderStatus
from opensqt.core.risk.exposure import FreshnessBounds
from opensqt.ports import ACTIONS, CANDLES, GATE, PRICES, STREAM_STATUS
from opensqt.runtime import tracing
from opensqt.runtime.bot_config import BotConfig
from opensqt.runtime.config import ConfigError
from opensqt.runtime.metrics import Metrics
from opensqt.testing.fixed_market_data import FixedMarketData
from opensqt.testing.memory_bus import MemoryBus
from opensqt.testing.memory_store import MemoryStore
from opensqt.testing.virtual_time import VirtualClock, run_virtually
from opensqt.testing.watched_positions import WatchedPositions
from services.strategy.app import StrategyApp


def virtually(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on virtual time."""

    @wraps(test)
    def run(*args: Any, **options: Any) -> None:
        run_virtually(test(*args, **options))

    return run


def instrument(symbol: str) -> Instrument:
    return Instrument(
        symbol=symbol,
        base=symbol.removesuffix("USDT"),
        quote="USDT",
        tick_size=D("0.1"),
        step_size=D("0.001"),
        min_quantity=D("0.001"),
        max_quantity=D(100),
        min_notional=D(5),
    )


def bot(bot_id: str = "btc", symbol: str = "BTCUSDT", **grid: Any) -> BotConfig:
    settings = {
        "direction": "LONG",
        "interval": "10",
        "buy_levels": 2,
        "sell_levels": 2,
        "quantity": "0.01",
    }
    return BotConfig.model_validate(
        {"bot_id": bot_id, "symbol": symbol, "grid": {**settings, **grid}}
    )


class World:
    def __init__(self, *bots: BotConfig) -> None:
        self.clock = VirtualClock()
        self.bus = MemoryBus()
        self.positions = WatchedPositions(MemoryStore(), self.clock)
        self.market_data = FixedMarketData(instrument("BTCUSDT"), instrument("ETHUSDT"))
        self.app = StrategyApp(
            bots,
            bounds=FreshnessBounds(),
            positions=self.positions,
            market_data=self.market_data,
            bus=self.bus,
            clock=self.clock,
            metrics=Metrics(),
        )

    def price(self, symbol: str = "BTCUSDT", price: str = "1005") -> PriceChange:
        now_ns = self.clock.now_ns()
        return PriceChange(
            symbol=symbol,
            last=D(price),
            bid=None,
            ask=None,
            exchange_time_ns=now_ns,
            receive_time_ns=now_ns,
            sequence=1,
        )

    async def beat(self) -> None:
        now_ns = self.clock.now_ns()
        gate = Gate(revision=1, open=True, reason="", changed_by="risk", changed_time_ns=0)
        await self.bus.publish(GATE, "paper", GateBeat(gate=gate, beat_time_ns=now_ns))
        status = StreamStatus(
            account="paper", verified=True, epoch=1, reason="", beat_time_ns=now_ns
        )
        await self.bus.publish(STREAM_STATUS, "paper", status)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        await self.app.prepare()
        stop = asyncio.Event()
        task = asyncio.create_task(self.app.run(stop))
        await asyncio.sleep(0.01)
        try:
            yield task
        finally:
            stop.set()
            await task


async def problems(world: World) -> dict[str, tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        await world.app.prepare()
    return {p.key: (p.value, p.allowed) for p in caught.value.problems}


@virtually
async def test_a_symbol_that_the_exchange_does_not_list_is_refused() -> None:
    found = await problems(World(bot(), bot("x", symbol="XUSDT")))
    value, allowed = found["bots[1].symbol"]
    assert value == "'XUSDT'"
    assert "BTCUSDT, ETHUSDT" in allowed


@pytest.mark.parametrize("priced", [True, False])
@pytest.mark.parametrize(
    ("grid", "key"),
    [
        ({"quantity": "0.0015"}, "grid.quantity"),
        ({"quantity": "1000"}, "grid.quantity"),
        ({"interval": "0.25"}, "grid.interval"),
        ({"anchor": "1000.05"}, "grid.anchor"),
    ],
)
@virtually
async def test_what_breaks_the_exchanges_rules_is_refused(
    grid: dict[str, Any],
    key: str,
    priced: bool,  # noqa: FBT001
) -> None:
    world = World(bot(**grid))
    if priced:
        world.market_data.prices["BTCUSDT"] = world.price()
    assert list(await problems(world)) == [f"bots[0].{key}"]


@virtually
async def test_an_amount_that_is_too_small_is_refused_at_the_start() -> None:
    world = World(bot(quantity="0.001"))
    world.market_data.prices["BTCUSDT"] = world.price()
    assert list(await problems(world)) == ["bots[0].grid.quantity"]


@virtually
async def test_or_at_the_first_price_when_prices_begin_later() -> None:
    world = World(bot(quantity="0.001"))
    await world.app.prepare()
    running = asyncio.create_task(world.app.run(asyncio.Event()))
    await asyncio.sleep(0.01)
    await world.bus.publish(PRICES, "BTCUSDT", world.price())
    with pytest.raises(ExceptionGroup) as caught:
        await running
    assert caught.group_contains(ConfigError, depth=1)


@virtually
async def test_every_problem_of_every_bot_is_told_at_once() -> None:
    found = await problems(World(bot(quantity="0.0015"), bot("eth", "ETHUSDT", interval="0.25")))
    assert set(found) == {"bots[0].grid.quantity", "bots[1].grid.interval"}


@pytest.mark.parametrize(
    ("grid", "key", "allowed"),
    [
        ({"interval": "20"}, "grid.interval", "10"),
        ({"direction": "SHORT"}, "grid.direction", "LONG"),
        ({"anchor": "1003"}, "grid.anchor", "1000"),
    ],
)
@virtually
async def test_a_grid_is_never_moved(grid: dict[str, Any], key: str, allowed: str) -> None:
    world = World(bot(**grid))
    await world.positions.register_grid(
        GridIdentity(
            bot_id="btc",
            account="paper",
            symbol="BTCUSDT",
            quote="USDT",
            direction=Direction.LONG,
            anchor=D(1000),
            interval=D(10),
            epoch=0,
        )
    )
    found = await problems(world)
    assert allowed in found[f"bots[0].{key}"][1]


@virtually
async def test_it_waits_for_the_services_that_know() -> None:
    world = World(bot())
    world.market_data.answers = False
    preparing = asyncio.create_task(world.app.prepare())
    await asyncio.sleep(10)
    assert not preparing.done()
    world.market_data.answers = True
    await preparing
    assert world.app.status("btc").phase is Phase.STARTING


@virtually
async def test_each_bot_trades_its_own_symbol() -> None:
    world = World(bot(), bot("eth", "ETHUSDT", interval="1"))
    async with world.running():
        await world.beat()
        await world.bus.publish(PRICES, "BTCUSDT", world.price())
        await asyncio.sleep(0.3)
        assert {batch.bot_id for batch in world.bus.of(ACTIONS)} == {"btc"}
        assert world.app.status("eth").waiting_for == ("state", "price")
        await world.bus.publish(PRICES, "ETHUSDT", world.price("ETHUSDT", "503"))
        await asyncio.sleep(0.3)
        assert {batch.bot_id for batch in world.bus.of(ACTIONS)} == {"btc", "eth"}


@pytest.mark.invariant(52)
@virtually
async def test_bots_of_one_account_pause_their_openings_together() -> None:
    world = World(bot(), bot("eth", "ETHUSDT", interval="1"))
    async with world.running():
        await world.beat()
        await world.bus.publish(PRICES, "BTCUSDT", world.price())
        await asyncio.sleep(0.1)
        (batch,) = world.bus.of(ACTIONS)
        reserved = await world.positions.reserve(batch, deadline_ns=0)
        refused = tuple(
            PlacementResult(
                client_oid=order.client_oid,
                status=OrderStatus.REJECTED,
                end_reason=EndReason.INSUFFICIENT_MARGIN,
            )
            for order in reserved.to_place
        )
        await world.positions.record("btc", refused)
        await world.bus.publish(PRICES, "ETHUSDT", world.price("ETHUSDT", "503"))
        await asyncio.sleep(0.98)
        assert world.bus.of(ACTIONS) == [batch]
        await asyncio.sleep(0.05)
        assert {later.bot_id for later in world.bus.of(ACTIONS)[1:]} == {"btc", "eth"}


@virtually
async def test_bots_of_one_symbol_share_its_prices() -> None:
    world = World(bot(), bot("other", interval="5"))
    async with world.running():
        await world.beat()
        await world.bus.publish(PRICES, "BTCUSDT", world.price())
        await asyncio.sleep(0.3)
        assert {batch.bot_id for batch in world.bus.of(ACTIONS)} == {"btc", "other"}


@virtually
async def test_the_average_true_range_begins_with_the_past() -> None:
    def candle(minute: int) -> Candle:
        return Candle(
            symbol="BTCUSDT",
            open_time_ns=minute * 60 * 10**9,
            interval_s=60,
            open=D(1000),
            high=D(1020),
            low=D(1000),
            close=D(1010),
            volume=D(1),
            closed=True,
        )

    world = World(bot(atr={"period": 3}))
    world.market_data.past["BTCUSDT"] = tuple(candle(minute) for minute in range(2))
    async with world.running():
        await world.bus.publish(CANDLES, "BTCUSDT", candle(2))
        await asyncio.sleep(0.1)
        await world.beat()
        await world.bus.publish(PRICES, "BTCUSDT", world.price())
        await asyncio.sleep(0.3)
    (batch, *_) = world.bus.of(ACTIONS)
    assert [action.slot_price for action in batch.actions] == [1000, 980]


@virtually
async def test_a_bot_is_paused_and_resumed_by_name() -> None:
    world = World(bot())
    async with world.running():
        assert world.app.pause("btc", by="cli").phase is Phase.PAUSED
        await world.beat()
        await world.bus.publish(PRICES, "BTCUSDT", world.price())
        await asyncio.sleep(0.5)
        assert world.bus.of(ACTIONS) == []
        assert world.app.resume("btc", by="cli").phase is not Phase.PAUSED
        await asyncio.sleep(0.1)
        assert len(world.bus.of(ACTIONS)) == 1
        with pytest.raises(Refusal) as caught:
            world.app.pause("eth", by="cli")
    assert caught.value.reason is RefusalReason.BOT_UNKNOWN
    assert caught.value.allowed == "btc"


@virtually
async def test_the_trace_of_a_price_goes_on_in_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_TRACER", provider.get_tracer("test"))
    world = World(bot())
    async with world.running(), world.bus.subscribe(ACTIONS, "paper") as batches:
        await world.beat()
        with tracing.span("price"):
            trace_id = tracing.current_trace_id()
            await world.bus.publish(PRICES, "BTCUSDT", world.price())
        received = await anext(batches)
    (decided,) = [s for s in exporter.get_finished_spans() if s.name == "decide"]
    assert format(decided.context.trace_id, "032x") == trace_id
    assert trace_id in received.trace["traceparent"]
    assert decided.attributes
    assert decided.attributes["bot"] == "btc"
