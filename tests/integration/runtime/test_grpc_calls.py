"""What happens around a call: refusals, failures, deadlines, traces, health, and the end."""

import asyncio
import contextlib
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from opensqt.core.errors import RefusalReason
from opensqt.market_maker.v1.state_service_pb2 import GetGridRequest, WatchGridRequest
from opensqt.market_maker.v1.state_service_pb2_grpc import StateServiceStub
from opensqt.ports import DependencyError
from opensqt.runtime.errors import domain_errors, refusal_of
from opensqt.testing.loopback import Loopback, Serving

pytestmark = pytest.mark.integration

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
STATE_SERVICE = "opensqt.market_maker.v1.StateService"


def stub_of(served: Loopback, who: str, **options: Any) -> StateServiceStub:
    return StateServiceStub(served.channel(who, **options))


async def failure(served: Loopback, bot_id: str, **options: float) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await stub_of(served, "execution").GetGrid(GetGridRequest(bot_id=bot_id), **options)
    return failed.value


async def test_a_refusal_arrives_with_its_reason(serving: Serving) -> None:
    async with serving() as served:
        error = await failure(served, "refused")
        assert error.code() is grpc.StatusCode.NOT_FOUND
        assert error.details() == "BOT_UNKNOWN: bot_id 'refused'; allowed: btc"
        refusal = refusal_of(error)
        assert refusal is not None
        assert (refusal.reason, refusal.field, refusal.value, refusal.allowed) == (
            RefusalReason.BOT_UNKNOWN,
            "bot_id",
            "refused",
            "btc",
        )


@pytest.mark.parametrize("bot_id", ["broken", "times out by itself"])
async def test_a_failure_does_not_leak(serving: Serving, bot_id: str) -> None:
    async with serving() as served:
        error = await failure(served, bot_id)
        assert error.code() is grpc.StatusCode.INTERNAL
        assert "hunter2" not in (error.details() or "")
        assert f"{STATE_SERVICE}/GetGrid" in (error.details() or "")


async def test_a_dependency_that_is_gone_is_gone_for_the_caller_too(serving: Serving) -> None:
    async with serving() as served:
        error = await failure(served, "without database")
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        refusal = refusal_of(error)
        assert refusal is not None
        assert refusal.reason is RefusalReason.DEPENDENCY
        with pytest.raises(DependencyError), domain_errors():
            await stub_of(served, "execution").GetGrid(GetGridRequest(bot_id="without database"))


async def test_the_server_bounds_a_call(serving: Serving) -> None:
    async with serving(unary_timeout_s=0.05) as served:
        error = await failure(served, "slow")
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "longer than 0.05 s" in (error.details() or "")


async def test_the_client_has_a_deadline_by_default(serving: Serving) -> None:
    async with serving() as served:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await stub_of(served, "execution", timeout_s=0.05).GetGrid(
                GetGridRequest(bot_id="slow")
            )
        assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_stream_is_served_and_refused(serving: Serving) -> None:
    async with serving() as served:
        watch = stub_of(served, "execution").WatchGrid(WatchGridRequest(bot_id="refused"))
        assert (await watch.read()).checkpoint_revision == 1
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await watch.read()
        refusal = refusal_of(failed.value)
        assert refusal is not None
        assert refusal.reason is RefusalReason.REVISION_COMPACTED
        assert served.servicer.stream_ended.is_set()


async def test_a_stream_that_its_client_leaves_is_ended(serving: Serving) -> None:
    async with serving() as served:
        watch = stub_of(served, "execution").WatchGrid(WatchGridRequest())
        await watch.read()
        watch.cancel()
        async with asyncio.timeout(2):
            await served.servicer.stream_ended.wait()


async def test_a_trace_goes_on_at_the_other_end(serving: Serving) -> None:
    context = SpanContext(
        trace_id=0x0AF7651916CD43DD8448EB211C80319C,
        span_id=0xB7AD6B7169203331,
        is_remote=False,
        trace_flags=TraceFlags(1),
    )
    async with serving() as served:
        with trace.use_span(NonRecordingSpan(context)):
            await stub_of(served, "execution").GetGrid(GetGridRequest())
        assert served.servicer.trace_id == format(context.trace_id, "032x")


async def test_calls_are_counted(serving: Serving) -> None:
    async with serving() as served:
        await stub_of(served, "execution").GetGrid(GetGridRequest())
        await failure(served, "refused")
    text = served.metrics.render().decode()
    method = f'method="/{STATE_SERVICE}/GetGrid"'
    assert f'opensqt_grpc_server_handled_total{{code="OK",{method}}} 1.0' in text
    assert f'opensqt_grpc_server_handled_total{{code="NOT_FOUND",{method}}} 1.0' in text
    assert f"opensqt_grpc_server_seconds_count{{{method}}} 2.0" in text
    assert f"opensqt_grpc_server_in_flight{{{method}}} 0.0" in text


async def test_too_many_calls_are_refused(serving: Serving) -> None:
    async with serving(max_concurrent_calls=1) as served:
        stub = stub_of(served, "execution")
        slow = asyncio.ensure_future(stub.GetGrid(GetGridRequest(bot_id="slow")))
        await served.servicer.entered.wait()
        error = await failure(served, "")
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        served.servicer.release.set()
        await slow


async def test_a_port_that_is_taken_is_refused(serving: Serving) -> None:
    async with serving() as served:
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{served.server.port}"):
            async with serving(port=served.server.port):
                pass


async def test_health_follows_readiness(serving: Serving) -> None:
    broken = False

    async def ping() -> None:
        if broken:
            raise ConnectionError("gone")

    async with serving() as served:
        served.readiness.add("postgresql", ping)
        health = health_pb2_grpc.HealthStub(served.channel("risk"))
        request = health_pb2.HealthCheckRequest(service=STATE_SERVICE)
        assert (await health.Check(request)).status == SERVING
        watch = health.Watch(request)
        assert (await watch.read()).status == SERVING
        broken = True
        await served.readiness.check()
        assert (await watch.read()).status == NOT_SERVING
        assert (await health.Check(health_pb2.HealthCheckRequest())).status == NOT_SERVING
        broken = False
        await served.readiness.check()
        assert (await watch.read()).status == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await health.Check(health_pb2.HealthCheckRequest(service="unknown"))
        assert failed.value.code() is grpc.StatusCode.NOT_FOUND
        watch.cancel()


async def test_reflection_lists_the_services_to_the_cli_only(serving: Serving) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async with serving() as served:
        cli = reflection_pb2_grpc.ServerReflectionStub(served.channel("cli"))
        (answer,) = [one async for one in cli.ServerReflectionInfo(iter([request]))]
        names = {service.name for service in answer.list_services_response.service}
        assert names == {
            STATE_SERVICE,
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
        }
        other = reflection_pb2_grpc.ServerReflectionStub(served.channel("execution"))
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await other.ServerReflectionInfo(iter([request])).read()
        assert failed.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_draining_lets_calls_end_and_ends_streams(serving: Serving) -> None:
    async with contextlib.AsyncExitStack() as stack:
        served = await stack.enter_async_context(serving())
        stub = stub_of(served, "execution")
        slow = asyncio.ensure_future(stub.GetGrid(GetGridRequest(bot_id="slow")))
        await served.servicer.entered.wait()
        watch = stub.WatchGrid(WatchGridRequest())
        await watch.read()
        health = health_pb2_grpc.HealthStub(served.channel("execution")).Watch(
            health_pb2.HealthCheckRequest()
        )
        assert (await health.read()).status == SERVING

        leaving = asyncio.ensure_future(served.server.__aexit__(None, None, None))
        assert (await health.read()).status == NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await watch.read()
        refusal = refusal_of(failed.value)
        assert refusal is not None
        assert refusal.reason is RefusalReason.DRAINING
        assert served.servicer.stream_ended.is_set()
        assert not leaving.done()
        served.servicer.release.set()
        await slow
        health.cancel()
        async with asyncio.timeout(2):
            await leaving


async def test_draining_is_bounded(serving: Serving) -> None:
    async with serving(drain_timeout_s=0.1) as served:
        slow = asyncio.ensure_future(
            stub_of(served, "execution").GetGrid(GetGridRequest(bot_id="slow"))
        )
        await served.servicer.entered.wait()
        async with asyncio.timeout(2):
            await served.server.__aexit__(None, None, None)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await slow
        assert failed.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
