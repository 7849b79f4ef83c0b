"""What happens around every gRPC call: who asks, trace, deadline, refusals, metrics.

One interceptor instead of one per concern: a call on the way from tick to wire passes through here.
"""

from __future__ import annotations  # grpc is generic in its stubs only

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

import grpc
import grpc.aio
import structlog
from opentelemetry.trace import SpanKind
from prometheus_client import Gauge

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.ports import DependencyError
from opensqt.runtime.authorisation import HEALTH_SERVICE, Allowlist, peer_identity
from opensqt.runtime.errors import details_of, refusal_for, status_code_of
from opensqt.runtime.metrics import Metrics
from opensqt.runtime.tracing import current_trace_id, extract, span

_log = structlog.get_logger(__name__)

_TRACE_KEYS: Final = frozenset({"traceparent", "tracestate"})

_Behaviour = Callable[[Any, Any], Any]


class OpenStreams:
    """The streams that are being served, so that a drain can end them instead of waiting."""

    def __init__(self) -> None:
        self.closing = False
        self._tasks: set[asyncio.Task[Any]] = set()

    def close(self) -> None:
        """End every stream with UNAVAILABLE; its client resumes elsewhere."""
        self.closing = True
        for task in self._tasks:
            task.cancel()

    async def serve(self, work: Awaitable[None]) -> None:
        """Run one stream.

        Raises:
            Refusal: DRAINING, when `close` ended it.
        """
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await work
        except asyncio.CancelledError:
            if not self.closing:
                raise
            task.uncancel()
            raise Refusal(
                RefusalReason.DRAINING, allowed="the same request, to another replica or later"
            ) from None
        finally:
            self._tasks.discard(task)


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every handler that is served.

    Args:
        allowlist: Who may call what.
        metrics: Where calls are counted.
        unary_timeout_s: Longest that a call with one answer may take.
        streams: Where streams are kept for draining.
    """

    def __init__(
        self,
        *,
        allowlist: Allowlist,
        metrics: Metrics,
        unary_timeout_s: float,
        streams: OpenStreams,
    ) -> None:
        self._allowlist = allowlist
        self._unary_timeout_s = unary_timeout_s
        self._streams = streams
        self._wrapped: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        self._handled = metrics.counter(
            "grpc_server_handled", "Calls that ended, by status code.", ("method", "code")
        )
        self._seconds = metrics.histogram(
            "grpc_server_seconds", "Time that calls with one answer took.", ("method",)
        )
        self._in_flight = metrics.gauge(
            "grpc_server_in_flight", "Calls being served, streams included.", ("method",)
        )

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wrap the handler of a method once, and keep it."""
        method = handler_call_details.method
        wrapped = self._wrapped.get(method)
        if wrapped is None:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None  # gRPC answers UNIMPLEMENTED
            wrapped = self._wrapped[method] = self._wrap(method, handler)
        return wrapped

    def _wrap(
        self, method: str, handler: grpc.RpcMethodHandler[Any, Any]
    ) -> grpc.RpcMethodHandler[Any, Any]:
        behaviour: Any
        make: Any
        if handler.request_streaming and handler.response_streaming:
            behaviour, make = handler.stream_stream, grpc.stream_stream_rpc_method_handler
        elif handler.response_streaming:
            behaviour, make = handler.unary_stream, grpc.unary_stream_rpc_method_handler
        elif handler.request_streaming:
            behaviour, make = handler.stream_unary, grpc.stream_unary_rpc_method_handler
        else:
            behaviour, make = handler.unary_unary, grpc.unary_unary_rpc_method_handler
        wrap = self._stream if handler.response_streaming else self._unary
        made: grpc.RpcMethodHandler[Any, Any] = make(
            wrap(method, behaviour),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
        return made

    def _unary(self, method: str, behaviour: _Behaviour) -> _Behaviour:
        seconds = self._seconds.labels(method)

        async def serve(request: Any, context: Any) -> Any:
            started = time.perf_counter()
            deadline = asyncio.timeout(self._unary_timeout_s)

            async def answer() -> Any:
                try:
                    async with deadline:
                        return await behaviour(request, context)
                except TimeoutError:
                    if not deadline.expired():
                        raise
                    await context.abort(
                        grpc.StatusCode.DEADLINE_EXCEEDED,
                        f"{method} took longer than {self._unary_timeout_s} s",
                    )

            try:
                return await self._guard(method, context, answer)
            finally:
                taken_s = time.perf_counter() - started
                asyncio.get_running_loop().call_soon(seconds.observe, taken_s)

        return serve

    def _stream(self, method: str, behaviour: _Behaviour) -> _Behaviour:
        # Health watchers are kept to the end: they are the ones who must hear of the draining.
        drains = not method.startswith(f"/{HEALTH_SERVICE}/")

        async def serve(request: Any, context: Any) -> None:
            async def answer() -> None:
                work = _write_all(behaviour(request, context), context)
                await (self._streams.serve(work) if drains else work)

            await self._guard(method, context, answer)

        return serve

    async def _guard(self, method: str, context: Any, answer: Callable[[], Awaitable[Any]]) -> Any:
        """Authorise, answer, and turn whatever goes wrong into a status."""
        code = grpc.StatusCode.OK
        in_flight = self._in_flight.labels(method)
        in_flight.inc()
        try:
            self._allowlist.check(method, peer_identity(context))
            with span(method, parent=extract(_trace_of(context)), kind=SpanKind.SERVER):
                try:
                    return await answer()
                except (Refusal, grpc.aio.AbortError):
                    raise
                except DependencyError as error:
                    _log.warning("dependency_failed", method=method, problem=str(error))
                    raise refusal_for(error) from None
                except Exception:
                    _log.exception("call_failed", method=method)
                    trace_id = current_trace_id()
                    where = f"; its log has the trace {trace_id}" if trace_id else ""
                    await context.abort(
                        grpc.StatusCode.INTERNAL, f"the service failed at {method}{where}"
                    )
        except Refusal as refusal:
            code = status_code_of(refusal)
            await context.abort(code, str(refusal), details_of(refusal))
        except grpc.aio.AbortError:
            code = context.code()
            raise
        except asyncio.CancelledError:
            code = grpc.StatusCode.CANCELLED
            raise
        finally:
            # Counted once the answer is on its way.
            asyncio.get_running_loop().call_soon(self._count, method, code, in_flight)

    def _count(self, method: str, code: grpc.StatusCode, in_flight: Gauge) -> None:
        in_flight.dec()
        self._handled.labels(method, code.name).inc()


async def _write_all(answers: AsyncIterator[Any] | Awaitable[None], context: Any) -> None:
    """Serve both kinds of streaming handlers: generators, and coroutines that write."""
    if not isinstance(answers, AsyncIterator):
        await answers
        return
    try:
        async for answer in answers:
            await context.write(answer)
    finally:
        close = getattr(answers, "aclose", None)
        if close is not None:
            await close()


def _trace_of(context: Any) -> Mapping[str, str]:
    return {
        key: value
        for key, value in context.invocation_metadata() or ()
        if key in _TRACE_KEYS and isinstance(value, str)
    }
