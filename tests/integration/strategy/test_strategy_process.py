"""The strategy service as a process: what it refuses to start with, trading, and its end."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from opensqt.adapters.nats import open_nats_bus
from opensqt.core.actions import ActionBatch
from opensqt.core.events import Gate, GateBeat, PriceChange, StreamStatus
from opensqt.core.grid.book import GridBook, GridIdentity
from opensqt.core.instrument import Instrument
from opensqt.market_maker.v1 import market_data_service_pb2 as market_data_pb
from opensqt.market_maker.v1 import market_data_service_pb2_grpc as market_data_grpc
from opensqt.market_maker.v1 import state_service_pb2_grpc as state_grpc
from opensqt.ports import ACTIONS, GATE, PRICES, STREAM_STATUS, DependencyError, EventBus
from opensqt.runtime.authorisation import Allowlist
from opensqt.runtime.certificates import ensure_development_certificates
from opensqt.runtime.clock import SystemClock
from opensqt.runtime.config_models import NatsConfig
from opensqt.runtime.metrics import Metrics
from opensqt.testing.loopback import serve_on_loopback
from opensqt.testing.memory_store import MemoryStore
from opensqt.testing.servers import NatsEndpoint
from opensqt.wire.resources import encode_instrument
from services.state import servicer as state_servicer
from services.state.ledger import Ledger

ROOT = Path(__file__).parents[3]
MARKET_DATA = market_data_pb.DESCRIPTOR.services_by_name["MarketDataService"]
CLOCK = SystemClock()

pytestmark = pytest.mark.integration

Start = Callable[..., Awaitable[Process]]


class MarketData(market_data_grpc.MarketDataServiceServicer):
    """Lists one instrument, and has no price yet."""

    async def ListInstruments(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        listed = Instrument(
            symbol="BTCUSDT",
            base="BTC",
            quote="USDT",
            tick_size=D("0.1"),
            step_size=D("0.001"),
            min_quantity=D("0.001"),
            max_quantity=D(100),
            min_notional=D(5),
        )
        return market_data_pb.ListInstrumentsResponse(instruments=[encode_instrument(listed)])

    async def GetPrice(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        raise DependencyError("no price yet")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    ensure_development_certificates(directory, ("strategy", "market_data", "state"))
    return directory


@pytest.fixture
def nats(nats_server: NatsEndpoint, nats_prefix: str) -> NatsConfig:
    return NatsConfig(url=nats_server.url, prefix=nats_prefix)


class ConfirmedLedger(Ledger):
    """Lets grids trade at once: nothing here has been on an exchange."""

    async def register(self, identity: GridIdentity) -> tuple[GridBook, bool]:
        book, created = await super().register(identity)
        await self.confirm_grid(identity.bot_id, epoch=book.identity.epoch)
        return await self.grid(identity.bot_id), created


@pytest.fixture
async def start(certificates: Path, nats: NatsConfig, tmp_path: Path) -> AsyncIterator[Start]:
    ledger = ConfirmedLedger(store=MemoryStore(), clock=CLOCK, metrics=Metrics())
    started: list[Process] = []
    async with (
        serve_on_loopback(
            state_grpc.add_StateServiceServicer_to_server,
            state_servicer.StateServicer(ledger),
            state_servicer.DESCRIPTOR,
            identity="state",
            allowlist=state_servicer.ALLOWLIST,
            certificates=certificates,
        ) as state,
        serve_on_loopback(
            market_data_grpc.add_MarketDataServiceServicer_to_server,
            MarketData(),  # type: ignore[abstract]  # what is not asked for is not answered
            MARKET_DATA,
            identity="market_data",
            allowlist=Allowlist({MARKET_DATA.full_name: ("strategy",)}),
            certificates=certificates,
        ) as market_data,
    ):

        async def run(symbol: str = "BTCUSDT", **grid: str) -> Process:
            settings = {
                "direction": "LONG",
                "interval": "10",
                "buy_levels": 2,
                "sell_levels": 2,
                "quantity": "0.01",
            }
            path = tmp_path / "strategy.yaml"
            path.write_text(
                json.dumps(
                    {
                        "tls": {
                            "ca": f"{certificates}/ca.pem",
                            "certificate": f"{certificates}/strategy.pem",
                            "key": f"{certificates}/strategy.key",
                        },
                        "nats": {"url": nats.url, "prefix": nats.prefix},
                        "state": {"target": state.server.address},
                        "market_data": {"target": market_data.server.address},
                        "bots": [{"bot_id": "btc", "symbol": symbol, "grid": {**settings, **grid}}],
                    }
                )
            )
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.strategy", "--config", str(path),
                stderr=PIPE,
                cwd=ROOT,
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": f"{ROOT / 'libs/common'}:{ROOT}",
                },
            )  # fmt: skip
            started.append(process)
            return process

        yield run
        for process in started:
            if process.returncode is None:
                process.kill()
                await process.communicate()


@pytest.mark.parametrize(
    ("settings", "key", "value", "allowed"),
    [
        ({"quantity": "0.0015"}, "bots[0].grid.quantity", "0.0015", "step 0.001"),
        ({"symbol": "XUSDT"}, "bots[0].symbol", "XUSDT", "BTCUSDT"),
        ({"interval": "-10"}, "bots[0].grid.interval", "-10", "greater than 0"),
        ({"levels": "3"}, "bots[0].grid.levels", "3", "unknown key"),
    ],
)
async def test_it_refuses_to_start(
    start: Start, settings: dict[str, str], key: str, value: str, allowed: str
) -> None:
    process = await start(**settings)
    async with asyncio.timeout(30):
        _, errors = await process.communicate()
    assert process.returncode == 2
    for text in (key, value, allowed):
        assert text in errors.decode()


async def test_it_trades_once_it_has_all_that_it_needs_and_ends_when_told(
    start: Start, nats: NatsConfig
) -> None:
    async with (
        asyncio.timeout(30),
        open_nats_bus(nats, name="test", metrics=Metrics()) as bus,
        bus.subscribe(ACTIONS, "paper") as batches,
    ):
        process = await start()
        beating = asyncio.create_task(beat(bus))
        batch: ActionBatch = (await anext(batches)).event
        again = (await anext(batches)).event
        beating.cancel()
        process.send_signal(signal.SIGTERM)
        await process.communicate()
    assert batch.batch_id == f"btc:{batch.epoch}:{batch.state_revision}"
    assert [action.slot_price for action in batch.actions] == [1000, 990]
    assert again.batch_id == batch.batch_id, "nobody committed it, so it is decided again"
    assert process.returncode == 0


async def beat(bus: EventBus) -> None:
    """Everything that a bot needs to trade, twice a second."""
    gate = Gate(revision=1, open=True, reason="", changed_by="risk", changed_time_ns=0)
    while True:
        now_ns = CLOCK.now_ns()
        await bus.publish(GATE, "paper", GateBeat(gate=gate, beat_time_ns=now_ns))
        await bus.publish(
            STREAM_STATUS,
            "paper",
            StreamStatus(account="paper", verified=True, epoch=1, reason="", beat_time_ns=now_ns),
        )
        await bus.publish(
            PRICES,
            "BTCUSDT",
            PriceChange(
                symbol="BTCUSDT",
                last=D("1004.5"),
                bid=None,
                ask=None,
                exchange_time_ns=now_ns,
                receive_time_ns=now_ns,
                sequence=1,
            ),
        )
        await asyncio.sleep(0.5)
