"""The strategy service over gRPC with mutual TLS."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal as D
from pathlib import Path

import grpc
import pytest

from opensqt.core.errors import RefusalReason
from opensqt.core.events import PriceChange
from opensqt.core.instrument import Instrument
from opensqt.core.risk.exposure import FreshnessBounds
from opensqt.market_maker.v1 import strategy_service_pb2 as pb
from opensqt.market_maker.v1 import strategy_service_pb2_grpc as pb_grpc
from opensqt.ports import PRICES
from opensqt.runtime.bot_config import BotConfig
from opensqt.runtime.certificates import ensure_development_certificates
from opensqt.runtime.clock import SystemClock
from opensqt.runtime.errors import refusal_of
from opensqt.runtime.metrics import Metrics
from opensqt.testing.fixed_market_data import FixedMarketData
from opensqt.testing.loopback import Loopback, serve_on_loopback
from opensqt.testing.memory_bus import MemoryBus
from opensqt.testing.memory_store import MemoryStore
from opensqt.testing.watched_positions import WatchedPositions
from services.strategy.app import StrategyApp
from services.strategy.servicer import ALLOWLIST, DESCRIPTOR, StrategyServicer

pytestmark = pytest.mark.integration

BTC = Instrument(
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick_size=D("0.1"),
    step_size=D("0.001"),
    min_quantity=D("0.001"),
    max_quantity=D(100),
    min_notional=D(5),
)
BOT = BotConfig.model_validate(
    {
        "bot_id": "btc",
        "symbol": "BTCUSDT",
        "grid": {
            "direction": "LONG",
            "interval": "10",
            "buy_levels": 2,
            "sell_levels": 2,
            "quantity": "0.01",
        },
    }
)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    ensure_development_certificates(directory, ("strategy", "cli", "execution"))
    return directory


@pytest.fixture
async def service(certificates: Path) -> AsyncIterator[Loopback]:
    clock, bus = SystemClock(), MemoryBus()
    app = StrategyApp(
        (BOT,),
        bounds=FreshnessBounds(),
        positions=WatchedPositions(MemoryStore(), clock),
        market_data=FixedMarketData(BTC),
        bus=bus,
        clock=clock,
        metrics=Metrics(),
    )
    await app.prepare()
    stop = asyncio.Event()
    running = asyncio.create_task(app.run(stop))
    await asyncio.sleep(0.05)
    now_ns = clock.now_ns()
    price = PriceChange(
        symbol="BTCUSDT",
        last=D("1005.5"),
        bid=None,
        ask=None,
        exchange_time_ns=now_ns,
        receive_time_ns=now_ns,
        sequence=1,
    )
    await bus.publish(PRICES, "BTCUSDT", price)
    async with serve_on_loopback(
        pb_grpc.add_StrategyServiceServicer_to_server,
        StrategyServicer(app),
        DESCRIPTOR,
        identity="strategy",
        allowlist=ALLOWLIST,
        certificates=certificates,
    ) as loopback:
        yield loopback
    stop.set()
    await running


def stub(service: Loopback, who: str = "cli") -> "pb_grpc.StrategyServiceAsyncStub":
    made: pb_grpc.StrategyServiceAsyncStub = pb_grpc.StrategyServiceStub(service.channel(who))
    return made


async def test_a_bot_says_how_it_stands_and_what_it_waits_for(service: Loopback) -> None:
    status = (await stub(service).GetBotStatus(pb.GetBotStatusRequest(bot_id="btc"))).status
    assert status.phase == pb.BotStatus.PHASE_STARTING
    assert list(status.waiting_for) == ["order stream", "risk gate"]
    assert status.last_price.value == "1005.5"
    assert not status.HasField("decided_time")


async def test_a_bot_is_paused_and_resumed(service: Loopback) -> None:
    strategy = stub(service)
    paused = await strategy.PauseBot(pb.PauseBotRequest(request_id="a", bot_id="btc"))
    assert paused.status.phase == pb.BotStatus.PHASE_PAUSED
    resumed = await strategy.ResumeBot(pb.ResumeBotRequest(request_id="b", bot_id="btc"))
    assert resumed.status.phase == pb.BotStatus.PHASE_STARTING


@pytest.mark.parametrize(
    ("who", "bot_id", "code", "reason"),
    [
        ("cli", "x", grpc.StatusCode.NOT_FOUND, RefusalReason.BOT_UNKNOWN),
        ("cli", "", grpc.StatusCode.INVALID_ARGUMENT, RefusalReason.FIELD_MISSING),
        (
            "execution",
            "btc",
            grpc.StatusCode.PERMISSION_DENIED,
            RefusalReason.IDENTITY_NOT_ALLOWED,
        ),
    ],
)
async def test_what_is_refused(
    service: Loopback, who: str, bot_id: str, code: grpc.StatusCode, reason: RefusalReason
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub(service, who).PauseBot(pb.PauseBotRequest(request_id="a", bot_id=bot_id))
    assert caught.value.code() is code
    refusal = refusal_of(caught.value)
    assert refusal
    assert refusal.reason is reason
