"""The execution service as a process, killed in the middle of its work.

State, NATS, PostgreSQL and the paper exchange are real; the test plays strategy and risk.
"""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal as D
from pathlib import Path

import pytest
import yaml

from opensqt.adapters.grpc.position_manager import GrpcPositionManager
from opensqt.adapters.nats import open_nats_bus
from opensqt.core.actions import Action, ActionBatch
from opensqt.core.events import Gate, GateBeat
from opensqt.core.exchange.market import Quote
from opensqt.core.exchange.ticks import Tick
from opensqt.core.grid.book import Direction, GridBook, GridIdentity, SlotStatus
from opensqt.core.orders import Order
from opensqt.market_maker.v1 import execution_service_pb2 as pb
from opensqt.market_maker.v1.execution_service_pb2_grpc import ExecutionServiceStub
from opensqt.ports import ACTIONS, GATE, EventBus
from opensqt.runtime.certificates import ensure_development_certificates, tls_config_of
from opensqt.runtime.clock import SystemClock
from opensqt.runtime.config_models import NatsConfig, PeerConfig
from opensqt.runtime.grpc_channel import open_channel
from opensqt.runtime.metrics import Metrics
from opensqt.runtime.tasks import BackgroundTasks
from opensqt.testing.servers import NatsEndpoint, PostgresEndpoint
from services.paper_exchange.app import PaperExchange
from services.paper_exchange.config import PaperExchangeConfig
from services.paper_exchange.faults import Faults
from tests.unit.execution.world import buy, cancel

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
CLOCK = SystemClock()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    ensure_development_certificates(directory)
    return directory


@asynccontextmanager
async def paper_exchange(certificates: Path) -> AsyncIterator[PaperExchange]:
    tls = tls_config_of(certificates, "paper_exchange")
    config = PaperExchangeConfig.model_validate(
        {
            "listen": {"certificate": tls.certificate, "key": tls.key},
            "market": {"start": "when_told"},
        }
    )
    exchange = PaperExchange(config, clock=CLOCK)
    async with BackgroundTasks(on_crash=pytest.fail) as tasks:
        await exchange.start(tasks)
        quote = Quote(
            bid=D("60000.0"),
            bid_quantity=D(1),
            ask=D("60000.1"),
            ask_quantity=D(1),
            time_ns=exchange.venue.clock.now_ns(),
        )
        exchange.venue.play(Tick(offset_ns=0, symbol="BTCUSDT", happening=quote))
        try:
            yield exchange
        finally:
            await exchange.stop()


class Bench:
    """The services around execution, and execution itself, as often as it is started."""

    def __init__(self, directory: Path, certificates: Path, nats: NatsConfig) -> None:
        self.directory = directory
        self.certificates = certificates
        self.nats = nats
        self.exchange: PaperExchange
        self.positions: GrpcPositionManager
        self.bus: EventBus
        self.environment: dict[str, str] = {}
        self.settings: dict[str, object] = {}
        self.processes: list[Process] = []

    async def start(self, service: str) -> tuple[Process, int]:
        config, ready = self.directory / f"{service}.yaml", self.directory / f"{service}.ready"
        tls = tls_config_of(self.certificates, service).model_dump(mode="json")
        nats = {"url": self.nats.url, "prefix": self.nats.prefix}
        more = self.settings if service == "execution" else {}
        config.write_text(yaml.safe_dump({"tls": tls, "nats": nats, **more}))
        ready.unlink(missing_ok=True)
        with (self.directory / f"{service}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", f"services.{service}",
                "--config", str(config), "--ready-file", str(ready),
                stderr=log, cwd=ROOT,
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": f"{ROOT / 'libs/common'}:{ROOT}",
                    **self.environment,
                },
            )  # fmt: skip
        self.processes.append(process)
        async with asyncio.timeout(60):
            while not ready.exists():
                assert process.returncode is None, self.log(service)
                await asyncio.sleep(0.05)
        return process, json.loads(ready.read_text())["ports"]["grpc"]

    def log(self, service: str) -> str:
        return (self.directory / f"{service}.log").read_text()[-4000:]

    async def keep_beating(self) -> None:
        gate = Gate(revision=1, open=True, reason="", changed_by="risk", changed_time_ns=0)
        while True:
            await self.bus.publish(GATE, "paper", GateBeat(gate=gate, beat_time_ns=CLOCK.now_ns()))
            await asyncio.sleep(0.5)

    async def grid(self) -> GridBook:
        return await self.positions.grid("alpha")

    async def decide(self, *actions: Action) -> None:
        grid = await self.grid()
        batch = ActionBatch(
            bot_id="alpha",
            epoch=grid.identity.epoch,
            state_revision=grid.revision,
            actions=actions,
            price_time_ns=CLOCK.now_ns(),
        )
        await self.bus.publish(ACTIONS, "paper", batch)

    async def slot_status(self, price: int, *wanted: SlotStatus, timeout_s: float = 20) -> None:
        """Wait until a slot is as wanted."""
        status = None
        try:
            async with asyncio.timeout(timeout_s):
                while status not in wanted:
                    slot = (await self.grid()).slots.get(D(price))
                    status = slot.status if slot else SlotStatus.FREE
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.fail(f"slot {price} is {status}: {self.log('execution')}")

    async def live_order(self, price: int) -> Order:
        order = (await self.grid()).slots[D(price)].order
        assert order is not None
        return order

    def on_exchange(self) -> list[str]:
        """Every order that the exchange ever took."""
        return [o.client_order_id for o in self.exchange.venue.account("paper").orders.values()]

    async def stop(self) -> None:
        for process in self.processes:
            if process.returncode is None:
                process.kill()
            await process.wait()


@pytest.fixture
async def bench(
    tmp_path: Path,
    certificates: Path,
    nats_server: NatsEndpoint,
    nats_prefix: str,
    postgres_server: PostgresEndpoint,
) -> AsyncIterator[Bench]:
    nats = NatsConfig(url=nats_server.url, prefix=nats_prefix)
    bench = Bench(tmp_path, certificates, nats)
    async with AsyncExitStack() as stack:
        state_dsn = stack.enter_context(postgres_server.fresh_database())
        dbos_dsn = stack.enter_context(postgres_server.fresh_database())
        bench.exchange = await stack.enter_async_context(paper_exchange(certificates))
        stack.push_async_callback(bench.stop)
        bench.environment = {"OPENSQT_POSTGRES__DSN": state_dsn}
        _, state_port = await bench.start("state")
        state = PeerConfig(target=f"127.0.0.1:{state_port}")
        bench.settings = {
            "account": "paper",
            "state": {"target": state.target},
            "exchange": {
                "endpoint": {
                    "port": bench.exchange.ports["tls"],
                    "ca": str(certificates / "ca.pem"),
                }
            },
            "timing": {"reaper_interval_ms": 1000},
        }
        bench.environment = {
            "OPENSQT_SETTLEMENT__POSTGRES__DSN": dbos_dsn,
            "OPENSQT_EXCHANGE__API_KEY": "paper-trade",
            "OPENSQT_EXCHANGE__API_SECRET": "paper-trade-secret",
        }
        channel = await stack.enter_async_context(
            open_channel(state, identity="state", tls=tls_config_of(certificates, "strategy"))
        )
        bench.positions = GrpcPositionManager(channel)
        bench.bus = await stack.enter_async_context(
            open_nats_bus(nats, name="test", metrics=Metrics())
        )
        beating = asyncio.create_task(bench.keep_beating())
        stack.callback(beating.cancel)
        book = await bench.positions.register_grid(
            GridIdentity(
                bot_id="alpha",
                account="paper",
                symbol="BTCUSDT",
                quote="USDT",
                direction=Direction.LONG,
                anchor=D(60000),
                interval=D(100),
                epoch=0,
            )
        )
        # Nothing is placed before market data has compared the ledger with the exchange.
        reader = await stack.enter_async_context(
            open_channel(state, identity="state", tls=tls_config_of(certificates, "market_data"))
        )
        await GrpcPositionManager(reader).confirm_grid("alpha", epoch=book.identity.epoch)
        yield bench


@pytest.mark.invariant(1, 20)
async def test_it_trades_through_lost_answers_and_a_kill(bench: Bench) -> None:
    process, port = await bench.start("execution")
    await asyncio.sleep(1)  # for the gate's beat
    await bench.decide(buy(59900), buy(59800))
    await bench.slot_status(59900, SlotStatus.LOCKED)
    await bench.slot_status(59800, SlotStatus.LOCKED)
    await bench.decide(cancel(await bench.live_order(59800)))
    await bench.slot_status(59800, SlotStatus.FREE)
    assert len(bench.on_exchange()) == 2

    injector = bench.exchange.venue.injector
    injector.faults = Faults(lost_answer=1)
    await bench.decide(*(buy(59700 - 100 * number) for number in range(5)))
    for number in range(5):
        await bench.slot_status(59700 - 100 * number, SlotStatus.LOCKED)
    assert len(bench.on_exchange()) == 7

    injector.faults = Faults(latency_ms_min=2000, latency_ms_max=2000)
    await bench.decide(buy(59200))
    await bench.slot_status(59200, SlotStatus.PENDING)
    await asyncio.sleep(0.5)
    process.kill()
    await process.wait()
    injector.faults = Faults(lost_request=1)
    await bench.slot_status(59200, SlotStatus.PENDING)

    process, port = await bench.start("execution")
    await bench.slot_status(59200, SlotStatus.LOCKED, SlotStatus.FREE)
    await asyncio.sleep(1)
    await bench.decide(buy(59100))
    await bench.slot_status(59100, SlotStatus.PENDING)
    await bench.slot_status(59100, SlotStatus.FREE)
    injector.faults = Faults()

    grid = await bench.grid()
    taken = bench.on_exchange()
    assert len(taken) == len(set(taken))
    assert {o.client_oid for o in grid.live_orders()} == {
        o.client_order_id
        for o in bench.exchange.venue.account("paper").orders.values()
        if o.status.value in ("NEW", "PARTIALLY_FILLED")
    }
    tls = tls_config_of(bench.certificates, "cli")
    peer = PeerConfig(target=f"127.0.0.1:{port}")
    async with open_channel(peer, identity="execution", tls=tls) as channel:
        status = await ExecutionServiceStub(channel).GetExecutionStatus(
            pb.GetExecutionStatusRequest()
        )
    assert (status.unsettled, status.in_flight, status.gate_open) == (0, 0, True)

    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(30):
        assert await process.wait() == 0, bench.log("execution")
    assert "paper-trade-secret" not in bench.log("execution")
