"""The state service as a process, on real servers, killed in the middle of its work."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from opensqt.adapters.grpc.position_manager import GrpcPositionManager
from opensqt.adapters.nats import open_nats_bus
from opensqt.core.grid.book import GridChange
from opensqt.ports import GRID_CHANGES, ORDER_UPDATES, DependencyError, WatchEvent
from opensqt.runtime.certificates import tls_config_of
from opensqt.runtime.config_models import NatsConfig, PeerConfig
from opensqt.runtime.grpc_channel import open_channel
from opensqt.runtime.metrics import Metrics
from opensqt.testing.contracts.position_manager import heard
from opensqt.testing.grids import DEADLINE_NS, batch_on, filled, identity, opening
from opensqt.testing.servers import NatsEndpoint

ROOT = Path(__file__).parents[3]
READY_WITHIN_S = 30
HEARD_WITHIN_S = 15

pytestmark = pytest.mark.integration

Start = Callable[[], Awaitable[Process]]
As = Callable[[str], GrpcPositionManager]


@pytest.fixture
def nats(nats_server: NatsEndpoint, nats_prefix: str) -> NatsConfig:
    return NatsConfig(url=nats_server.url, prefix=nats_prefix)


@pytest.fixture
def config(tmp_path: Path, certificates: Path, nats: NatsConfig, database: str) -> Path:
    path = tmp_path / "state.yaml"
    names = {"ca": "ca.pem", "certificate": "state.pem", "key": "state.key"}
    settings = {
        "tls": {name: str(certificates / file) for name, file in names.items()},
        "nats": {"url": nats.url, "prefix": nats.prefix},
        "postgres": {"dsn_file": str(tmp_path / "dsn")},
        "drain_timeout_s": 1,
    }
    (tmp_path / "dsn").write_text(database)
    path.write_text(json.dumps(settings))  # which is YAML as well
    return path


@pytest.fixture
async def start(config: Path, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts the service; returns once it serves."""
    started: list[Process] = []

    async def run() -> Process:
        (tmp_path / "ready").unlink(missing_ok=True)
        command = ("-m", "services.state", "--config", str(config))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(*command, "--ready-file", str(tmp_path / "ready")),
            stdout=DEVNULL,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'libs/common'}:{ROOT}"},
        )
        started.append(process)
        async with asyncio.timeout(READY_WITHIN_S):
            while not (tmp_path / "ready").exists():
                assert process.returncode is None, "the service ended"
                await asyncio.sleep(0.05)
        return process

    yield run
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def connected(tmp_path: Path, certificates: Path) -> AsyncIterator[As]:
    """Callers of the service where it now is."""
    port = json.loads((tmp_path / "ready").read_text())["ports"]["grpc"]
    peer = PeerConfig(target=f"127.0.0.1:{port}")
    channels = {
        who: open_channel(peer, identity="state", tls=tls_config_of(certificates, who))
        for who in ("strategy", "execution", "market_data")
    }
    yield lambda who: GrpcPositionManager(channels[who])
    for channel in channels.values():
        await channel.close()


async def all_of(events: AsyncIterator[WatchEvent]) -> None:
    async for _ in events:
        pass


@pytest.mark.invariant(22, 28)
async def test_a_kill_loses_and_doubles_nothing(
    start: Start, tmp_path: Path, certificates: Path, nats: NatsConfig
) -> None:
    process = await start()
    async with open_nats_bus(nats, name="test", metrics=Metrics()) as bus:
        async with connected(tmp_path, certificates) as client:
            book = await client("strategy").register_grid(identity())
            await client("market_data").confirm_grid("btc", epoch=book.identity.epoch)
            book = await client("strategy").grid("btc")
            events = client("strategy").watch("btc")
            await heard(events, type(book))
            batch = batch_on(book, *(opening(99 - n) for n in range(5)))
            reservation = await client("execution").reserve(batch, deadline_ns=DEADLINE_NS)
            assert (await heard(events, GridChange)).revision == 2
            for n, order in enumerate(reservation.to_place):
                await bus.publish(ORDER_UPDATES, "main", filled(order, f"e{n}"), message_id=f"m{n}")
            process.kill()
            with pytest.raises(DependencyError):
                await all_of(events)
            await process.wait()
        process = await start()
        async with connected(tmp_path, certificates) as client:
            again = await client("execution").reserve(batch, deadline_ns=DEADLINE_NS)
            assert again.repeated
            async with asyncio.timeout(HEARD_WITHIN_S):
                while (book := await client("strategy").grid("btc")).live_orders():
                    await asyncio.sleep(0.1)
            assert book.totals.fills == len(reservation.to_place)
            assert book.position == sum(order.quantity for order in reservation.to_place)
            async with bus.subscribe(GRID_CHANGES, "btc", durable="test") as changes:
                seen = [(await anext(changes)).event.revision for _ in range(book.revision)]
            assert seen == list(range(1, book.revision + 1))
        process.terminate()
        assert await process.wait() == 0
