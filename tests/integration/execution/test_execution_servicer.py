"""The execution service over gRPC: who may call, what is refused, what is answered."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio
import pytest

from opensqt.core.orders import OrderStatus
from opensqt.market_maker.v1 import actions_pb2
from opensqt.market_maker.v1 import execution_service_pb2 as pb
from opensqt.market_maker.v1 import execution_service_pb2_grpc as pb_grpc
from opensqt.market_maker.v1.execution_service_pb2_grpc import ExecutionServiceStub
from opensqt.runtime.certificates import ensure_development_certificates
from opensqt.runtime.clock import SystemClock
from opensqt.runtime.errors import refusal_of
from opensqt.testing.loopback import Loopback, serve_on_loopback
from opensqt.wire.actions import encode_batch
from services.execution.app import ExecutionApp
from services.execution.servicer import ALLOWLIST, DESCRIPTOR, ExecutionServicer
from tests.unit.execution.world import World, buy

pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    ensure_development_certificates(directory)
    return directory


@pytest.fixture
async def world() -> World:
    world = World(clock=SystemClock())
    await world.register()
    return world


@pytest.fixture
async def app(world: World) -> AsyncIterator[ExecutionApp]:
    async with world.running() as app:
        yield app


@pytest.fixture
async def served(app: ExecutionApp, certificates: Path) -> AsyncIterator[Loopback]:
    async with serve_on_loopback(
        pb_grpc.add_ExecutionServiceServicer_to_server,
        ExecutionServicer(app),
        DESCRIPTOR,
        identity="execution",
        allowlist=ALLOWLIST,
        certificates=certificates,
    ) as loopback:
        yield loopback


def stub(served: Loopback, who: str) -> ExecutionServiceStub:
    return ExecutionServiceStub(served.channel(who))


def request(batch: actions_pb2.ActionBatch) -> pb.SubmitActionsRequest:
    return pb.SubmitActionsRequest(request_id="r1", batch=batch)


async def test_a_batch_is_carried_out_and_its_repetition_is_not(
    world: World, served: Loopback
) -> None:
    strategy = stub(served, "strategy")
    batch = encode_batch(await world.batch(buy(59900)))
    answer = await strategy.SubmitActions(request(batch))
    assert len(answer.client_oids) == 1
    assert not answer.repeated
    again = await strategy.SubmitActions(request(batch))
    assert again.repeated
    assert again.client_oids == answer.client_oids
    await asyncio.sleep(0.1)
    assert {order.status for order in await world.orders()} == {OrderStatus.NEW}
    assert world.book.received == list(answer.client_oids)

    status = await stub(served, "cli").GetExecutionStatus(pb.GetExecutionStatusRequest())
    assert status == pb.GetExecutionStatusResponse(batches=1, orders_sent=1, gate_open=True)


async def test_orders_come_from_strategies_alone(world: World, served: Loopback) -> None:
    batch = encode_batch(await world.batch(buy(59900)))
    for who in ("cli", "risk", "state", "market_data", "execution"):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub(served, who).SubmitActions(request(batch))
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub(served, "state").GetExecutionStatus(pb.GetExecutionStatusRequest())
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert not world.book.received


async def test_bad_input_has_its_own_status_and_changes_nothing(
    world: World, served: Loopback
) -> None:
    good = await world.batch(buy(59900))
    price_nan, side_missing, empty, bad_id = (encode_batch(good) for _ in range(4))
    price_nan.actions[0].place.price.value = "NaN"
    side_missing.actions[0].place.ClearField("side")
    del empty.actions[:]
    bad_id.batch_id = "alpha:7:99"
    table = [
        (price_nan, grpc.StatusCode.INVALID_ARGUMENT, "NOT_A_DECIMAL", "batch.actions[0].place.price"),
        (side_missing, grpc.StatusCode.INVALID_ARGUMENT, "ENUM_UNSPECIFIED", "batch.actions[0].place.side"),
        (empty, grpc.StatusCode.INVALID_ARGUMENT, "VALUE_NOT_ALLOWED", "batch.actions"),
        (bad_id, grpc.StatusCode.INVALID_ARGUMENT, "VALUE_NOT_ALLOWED", "batch.batch_id"),
        (
            encode_batch(replace(good, actions=(buy(59900, "0.0001"),))),
            grpc.StatusCode.INVALID_ARGUMENT,
            "INSTRUMENT_RULE",
            "batch.actions[0].place",
        ),
        (
            encode_batch(replace(good, state_revision=9)),
            grpc.StatusCode.ABORTED,
            "STALE_REVISION",
            "batch.state_revision",
        ),
        (
            encode_batch(replace(good, bot_id="nobody")),
            grpc.StatusCode.NOT_FOUND,
            "BOT_UNKNOWN",
            "batch.bot_id",
        ),
    ]  # fmt: skip
    for batch, code, reason, field in table:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub(served, "strategy").SubmitActions(request(batch))
        assert refused.value.code() is code
        refusal = refusal_of(refused.value)
        assert refusal is not None
        assert (refusal.reason, refusal.field) == (reason, field)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub(served, "strategy").SubmitActions(pb.SubmitActionsRequest())
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (await world.grid()).revision == 1


async def test_a_closed_gate_is_told(world: World, served: Loopback) -> None:
    await world.beat(revision=2, is_open=False)
    batch = encode_batch(await world.batch(buy(59900)))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub(served, "strategy").SubmitActions(request(batch))
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    status = await stub(served, "risk").GetExecutionStatus(pb.GetExecutionStatusRequest())
    assert not status.gate_open
