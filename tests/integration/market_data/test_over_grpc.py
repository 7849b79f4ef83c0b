"""The market data service over gRPC with mutual TLS, and its client."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal as D
from pathlib import Path

import grpc
import grpc.aio
import pytest

from opensqt.adapters.grpc.market_data import GrpcMarketData
from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.events import FundingUpdate
from opensqt.market_maker.v1 import market_data_service_pb2 as pb
from opensqt.market_maker.v1 import market_data_service_pb2_grpc as pb_grpc
from opensqt.ports import DependencyError
from opensqt.runtime.certificates import ensure_development_certificates
from opensqt.runtime.clock import SystemClock
from opensqt.runtime.errors import refusal_of
from opensqt.runtime.metrics import Metrics
from opensqt.testing.loopback import Loopback, serve_on_loopback
from opensqt.testing.memory_bus import MemoryBus
from opensqt.testing.memory_positions import MemoryPositions
from opensqt.testing.memory_store import MemoryStore
from opensqt.testing.simulated_venue import SimulatedVenue
from services.market_data.app import MarketDataApp
from services.market_data.servicer import ALLOWLIST, DESCRIPTOR, MarketDataServicer
from tests.unit.market_data.test_app import candle, price
from tests.unit.market_data.world import BTC, instrument

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    ensure_development_certificates(directory, ("market_data", "strategy", "paper_exchange"))
    return directory


@dataclass
class Served:
    loopback: Loopback
    venue: SimulatedVenue

    def client(self, who: str = "strategy") -> GrpcMarketData:
        return GrpcMarketData(self.loopback.channel(who))

    def stub(self, who: str = "strategy") -> "pb_grpc.MarketDataServiceAsyncStub":
        made: pb_grpc.MarketDataServiceAsyncStub = pb_grpc.MarketDataServiceStub(
            self.loopback.channel(who)
        )
        return made


@pytest.fixture
async def served(certificates: Path) -> AsyncIterator[Served]:
    clock = SystemClock()
    symbols = [f"A{n:04d}USDT" for n in range(1500)]
    venue = SimulatedVenue(instrument(BTC), *map(instrument, symbols), clock=clock)
    venue.past[BTC] = [candle(n) for n in range(1, 31)] + [candle(31, closed=False)]
    app = MarketDataApp(
        account="main",
        symbols=(BTC,),
        feed=venue,
        positions=MemoryPositions(MemoryStore(), clock),
        bus=MemoryBus(),
        clock=clock,
        metrics=Metrics(),
    )
    await app.prepare()
    stop = asyncio.Event()
    running = asyncio.create_task(app.run(stop))
    await asyncio.sleep(0.05)
    async with serve_on_loopback(
        pb_grpc.add_MarketDataServiceServicer_to_server,
        MarketDataServicer(app),
        DESCRIPTOR,
        identity="market_data",
        allowlist=ALLOWLIST,
        certificates=certificates,
    ) as loopback:
        yield Served(loopback, venue)
    stop.set()
    await running


async def test_instruments_come_in_pages(served: Served) -> None:
    found = await served.client().instruments()
    assert len(found) == 1501
    assert instrument(BTC) in found
    answer = await served.stub().ListInstruments(pb.ListInstrumentsRequest(symbols=[BTC, "NONE"]))
    assert [listed.symbol for listed in answer.instruments] == [BTC]


async def test_price_and_funding_once_they_have_come(served: Served) -> None:
    client = served.client()
    with pytest.raises(DependencyError):
        await client.price(BTC)
    with pytest.raises(DependencyError):
        await client.funding(BTC)
    funding = FundingUpdate(
        symbol=BTC,
        rate=D("-0.00012345"),
        settlement_time_ns=5,
        interval_hours=4,
        mark_price=D("60000.12"),
        index_price=None,
        exchange_time_ns=1,
        receive_time_ns=2,
    )
    served.venue.tell_market(BTC, price("60000.0"))
    served.venue.tell_market(BTC, funding)
    await asyncio.sleep(0.01)
    assert await client.price(BTC) == price("60000.0")
    assert await client.funding(BTC) == funding


async def test_closed_candles(served: Served) -> None:
    client = served.client()
    assert await client.candles(BTC, 5) == tuple(candle(n) for n in range(26, 31))
    assert len(await client.candles(BTC, 1000)) == 30


async def test_pages_of_candles_go_back_in_time(served: Served) -> None:
    stub = served.stub()
    token, minutes = "", []
    for _ in range(4):
        answer = await stub.ListCandles(
            pb.ListCandlesRequest(symbol=BTC, page_size=10, page_token=token)
        )
        minutes.append([c.open_time.seconds // 60 for c in answer.candles])
        token = answer.next_page_token
    assert minutes == [list(range(22, 32)), list(range(12, 22)), list(range(2, 12)), [1]]
    assert token == ""


async def test_the_stream_status(served: Served) -> None:
    status = await served.client().stream_status()
    assert status.account == "main"
    assert status.verified


@pytest.mark.parametrize(
    ("call", "request_", "reason"),
    [
        ("GetPrice", pb.GetPriceRequest(), RefusalReason.FIELD_MISSING),
        ("GetPrice", pb.GetPriceRequest(symbol="XXX"), RefusalReason.VALUE_NOT_ALLOWED),
        ("GetFunding", pb.GetFundingRequest(symbol="XXX"), RefusalReason.VALUE_NOT_ALLOWED),
        ("ListCandles", pb.ListCandlesRequest(symbol="XXX"), RefusalReason.VALUE_NOT_ALLOWED),
        (
            "ListCandles",
            pb.ListCandlesRequest(symbol=BTC, page_size=1001),
            RefusalReason.VALUE_NOT_ALLOWED,
        ),
        (
            "ListCandles",
            pb.ListCandlesRequest(symbol=BTC, page_token="yesterday"),
            RefusalReason.PAGE_TOKEN,
        ),
        (
            "ListInstruments",
            pb.ListInstrumentsRequest(page_size=-1),
            RefusalReason.VALUE_NOT_ALLOWED,
        ),
    ],
)
async def test_bad_requests_have_their_reason(
    served: Served, call: str, request_: object, reason: RefusalReason
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await getattr(served.stub(), call)(request_)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    refusal = refusal_of(raised.value)
    assert refusal is not None
    assert refusal.reason is reason


async def test_an_identity_that_has_no_business_here(served: Served) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await served.stub("paper_exchange").GetPrice(pb.GetPriceRequest(symbol=BTC))
    assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
    with pytest.raises(Refusal, match="IDENTITY_NOT_ALLOWED"):
        await served.client("paper_exchange").price(BTC)
