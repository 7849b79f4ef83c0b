"""The risk service over gRPC with mutual TLS: who may do what, and what is refused how."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from opensqt.core.errors import RefusalReason
from opensqt.market_maker.v1 import risk_service_pb2 as pb
from opensqt.market_maker.v1 import risk_service_pb2_grpc as pb_grpc
from opensqt.runtime.certificates import ensure_development_certificates
from opensqt.runtime.clock import SystemClock
from opensqt.runtime.errors import refusal_of
from opensqt.runtime.metrics import Metrics
from opensqt.testing.loopback import Loopback, serve_on_loopback
from opensqt.testing.memory_bus import MemoryBus
from opensqt.testing.memory_gate_store import MemoryGateStore
from services.risk.app import RiskApp
from services.risk.servicer import ALLOWLIST, DESCRIPTOR, RiskServicer

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    ensure_development_certificates(directory, ("risk", "cli", "strategy"))
    return directory


@pytest.fixture
def store() -> MemoryGateStore:
    return MemoryGateStore()


@pytest.fixture
async def service(certificates: Path, store: MemoryGateStore) -> AsyncIterator[Loopback]:
    app = RiskApp(
        account="paper", store=store, bus=MemoryBus(), clock=SystemClock(), metrics=Metrics()
    )
    stop = asyncio.Event()
    running = asyncio.create_task(app.run(stop))
    async with serve_on_loopback(
        pb_grpc.add_RiskServiceServicer_to_server,
        RiskServicer(app),
        DESCRIPTOR,
        identity="risk",
        allowlist=ALLOWLIST,
        certificates=certificates,
    ) as loopback:
        yield loopback
    stop.set()
    await running


def stub(service: Loopback, who: str = "cli") -> "pb_grpc.RiskServiceAsyncStub":
    made: pb_grpc.RiskServiceAsyncStub = pb_grpc.RiskServiceStub(service.channel(who))
    return made


def reason(error: grpc.aio.AioRpcError) -> RefusalReason | None:
    refusal = refusal_of(error)
    return refusal.reason if refusal else None


async def test_a_person_trips_and_resets(service: Loopback) -> None:
    risk = stub(service)
    first = (await risk.GetGate(pb.GetGateRequest())).gate
    assert first.open
    closed = (await risk.TripGate(pb.TripGateRequest(request_id="a", reason="news"))).gate
    assert (closed.open, closed.reason, closed.changed_by) == (False, "news", "cli")
    assert closed.revision == first.revision + 1
    request = pb.ResetGateRequest(request_id="b", expected_revision=closed.revision)
    opened = (await risk.ResetGate(request)).gate
    assert opened.open
    assert opened.changed_by == "cli"
    assert (await risk.ResetGate(request)).gate == opened
    assert (await risk.GetGate(pb.GetGateRequest())).gate == opened


async def test_a_reset_of_a_gate_that_moved_on_is_refused(service: Loopback) -> None:
    risk = stub(service)
    seen = (await risk.TripGate(pb.TripGateRequest(request_id="a", reason="news"))).gate
    await risk.TripGate(pb.TripGateRequest(request_id="b", reason="more"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await risk.ResetGate(pb.ResetGateRequest(request_id="c", expected_revision=seen.revision))
    assert caught.value.code() is grpc.StatusCode.ABORTED
    assert reason(caught.value) is RefusalReason.GATE_REVISION


async def test_everyone_sees_the_gate_and_only_people_change_it(service: Loopback) -> None:
    risk = stub(service, "strategy")
    assert (await risk.GetGate(pb.GetGateRequest())).gate.open
    for call in (
        risk.TripGate(pb.TripGateRequest(request_id="a", reason="news")),
        risk.ResetGate(pb.ResetGateRequest(request_id="b", expected_revision=1)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert reason(caught.value) is RefusalReason.IDENTITY_NOT_ALLOWED
    assert (await risk.GetGate(pb.GetGateRequest())).gate.open


async def test_what_is_missing_is_named(service: Loopback) -> None:
    risk = stub(service)
    for request, field in (
        (pb.TripGateRequest(reason="news"), "request_id"),
        (pb.TripGateRequest(request_id="a"), "reason"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await risk.TripGate(request)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        refusal = refusal_of(caught.value)
        assert refusal
        assert (refusal.reason, refusal.field) == (RefusalReason.FIELD_MISSING, field)


async def test_without_the_store_it_closes_and_does_not_open(
    service: Loopback, store: MemoryGateStore
) -> None:
    risk = stub(service)
    await risk.GetGate(pb.GetGateRequest())
    store.answers = False
    closed = (await risk.TripGate(pb.TripGateRequest(request_id="a", reason="news"))).gate
    assert not closed.open
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await risk.ResetGate(pb.ResetGateRequest(request_id="b", expected_revision=closed.revision))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert reason(caught.value) is RefusalReason.DEPENDENCY
    assert not (await risk.GetGate(pb.GetGateRequest())).gate.open
