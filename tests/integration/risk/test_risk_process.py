"""The risk service as a process, on a real NATS and a real PostgreSQL, killed and started again."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from opensqt.adapters.nats import open_nats_bus
from opensqt.core.events import GateBeat
from opensqt.market_maker.v1 import risk_service_pb2 as pb
from opensqt.market_maker.v1 import risk_service_pb2_grpc as pb_grpc
from opensqt.ports import GATE
from opensqt.runtime.certificates import ensure_development_certificates, tls_config_of
from opensqt.runtime.config_models import NatsConfig, PeerConfig
from opensqt.runtime.grpc_channel import open_channel
from opensqt.runtime.metrics import Metrics
from opensqt.testing.servers import NatsEndpoint

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.integration

Start = Callable[[], Awaitable[tuple[Process, int]]]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    ensure_development_certificates(directory, ("risk", "cli"))
    return directory


@pytest.fixture
def nats(nats_server: NatsEndpoint, nats_prefix: str) -> NatsConfig:
    return NatsConfig(url=nats_server.url, prefix=nats_prefix)


@pytest.fixture
async def start(
    certificates: Path, nats: NatsConfig, database: str, tmp_path: Path
) -> AsyncIterator[Start]:
    config, ready = tmp_path / "risk.yaml", tmp_path / "ready"
    config.write_text(
        f"tls: {{ca: {certificates}/ca.pem, certificate: {certificates}/risk.pem, "
        f"key: {certificates}/risk.key}}\n"
        f"nats: {{url: '{nats.url}', prefix: {nats.prefix}}}\n"
    )
    started: list[Process] = []

    async def run() -> tuple[Process, int]:
        ready.unlink(missing_ok=True)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.risk",
            "--config", str(config), "--ready-file", str(ready),
            stderr=PIPE,
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": f"{ROOT / 'libs/common'}:{ROOT}",
                "OPENSQT_POSTGRES__DSN": database,
            },
        )  # fmt: skip
        started.append(process)
        async with asyncio.timeout(30):
            while not ready.exists():
                assert process.returncode is None
                await asyncio.sleep(0.05)
        return process, json.loads(ready.read_text())["ports"]["grpc"]

    yield run
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def first_beat(nats: NatsConfig) -> GateBeat:
    async with (
        asyncio.timeout(10),
        open_nats_bus(nats, name="test", metrics=Metrics()) as bus,
        bus.subscribe(GATE, "paper") as beats,
    ):
        return (await anext(beats)).event


async def test_a_tripped_gate_stays_tripped_whatever_happens_to_its_process(
    start: Start, certificates: Path, nats: NatsConfig
) -> None:
    process, port = await start()
    tls = tls_config_of(certificates, "cli")
    peer = PeerConfig(target=f"127.0.0.1:{port}")
    async with open_channel(peer, identity="risk", tls=tls) as channel:
        risk = pb_grpc.RiskServiceStub(channel)
        closed = (await risk.TripGate(pb.TripGateRequest(request_id="a", reason="news"))).gate
    process.kill()
    await process.communicate()

    process, port = await start()
    beat = await first_beat(nats)
    assert (beat.gate.open, beat.gate.reason) == (False, "news")
    assert beat.gate.revision == closed.revision
    peer = PeerConfig(target=f"127.0.0.1:{port}")
    async with open_channel(peer, identity="risk", tls=tls) as channel:
        risk = pb_grpc.RiskServiceStub(channel)
        request = pb.ResetGateRequest(request_id="b", expected_revision=closed.revision)
        assert (await risk.ResetGate(request)).gate.open
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 0

    await start()
    assert (await first_beat(nats)).gate.open
