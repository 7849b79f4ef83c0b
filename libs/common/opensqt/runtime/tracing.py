"""Traces from tick to wire: W3C trace context in NATS headers and gRPC metadata.

The context always travels; spans are recorded for the share of traces that the configuration says.
A process that has nowhere to send them makes none: it hands the context of others on, and begins no
traces. OpenTelemetry's own spans cost a tenth of a millisecond each where the code is not warm, and
there are ten of them between a price and its order.
"""

import contextlib
from collections.abc import Iterator, Mapping, MutableMapping
from contextvars import Token
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from opensqt.runtime.config_models import TelemetryConfig

_PROPAGATOR: Final = TraceContextTextMapPropagator()
_TRACER: Final = trace.get_tracer("opensqt")
_NO_CONTEXT: Final = Context()
_makes_spans = True


def set_up_tracing(service: str, config: TelemetryConfig) -> TracerProvider:
    """Install the process's tracer provider; call it once.

    The caller shuts the provider down at the end, which sends what is still buffered.
    """
    global _makes_spans  # noqa: PLW0603 - as OpenTelemetry's provider is the process's
    processors = _processors(config)
    _makes_spans = bool(processors)
    sampler: Sampler = ParentBased(TraceIdRatioBased(config.trace_ratio))
    provider = TracerProvider(
        sampler=sampler if processors else ALWAYS_OFF,
        resource=Resource.create({"service.name": service, "service.namespace": "opensqt"}),
        shutdown_on_exit=False,
    )
    for processor in processors:
        provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    return provider


@contextlib.contextmanager
def without_spans() -> Iterator[None]:
    """Make no spans while the context is open: for what runs services without being one."""
    global _makes_spans  # noqa: PLW0603 - as above
    before, _makes_spans = _makes_spans, False
    try:
        yield
    finally:
        _makes_spans = before


def span(
    name: str,
    *,
    parent: Context | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, AttributeValue] | None = None,
) -> contextlib.AbstractContextManager[Span]:
    """Open a span and make it the current one.

    Args:
        name: What is done, with few distinct values: ``place order``, never an order's id.
        parent: What `extract` returned; by default the current span's context.
        kind: Its role in a call or a message.
        attributes: Facts about this one.
    """
    if not _makes_spans:
        return _Unrecorded(parent)
    return _TRACER.start_as_current_span(name, context=parent, kind=kind, attributes=attributes)


class _Unrecorded(contextlib.AbstractContextManager[Span]):
    """Makes the parent's context the current one, and nothing else."""

    __slots__ = ("_parent", "_token")

    def __init__(self, parent: Context | None) -> None:
        self._parent = parent
        self._token: Token[Context] | None = None

    def __enter__(self) -> Span:
        if self._parent:
            self._token = attach(self._parent)
        return INVALID_SPAN

    def __exit__(self, *exc_info: object) -> None:
        if self._token is not None:
            detach(self._token)


def inject(headers: MutableMapping[str, str]) -> None:
    """Add the current trace context to the headers of a message or the metadata of a call."""
    _PROPAGATOR.inject(headers)


def trace_headers() -> dict[str, str]:
    """The current trace context as headers; empty when there is none."""
    headers: dict[str, str] = {}
    _PROPAGATOR.inject(headers)
    return headers


def extract(headers: Mapping[str, str] | None) -> Context:
    """The trace context that came with a message or a call, to be the parent of a span."""
    return _PROPAGATOR.extract(headers, context=Context()) if headers else _NO_CONTEXT


def current_trace_id() -> str | None:
    """The current trace's id as 32 hexadecimal digits, or None outside any trace."""
    context = trace.get_current_span().get_span_context()
    return format(context.trace_id, "032x") if context.is_valid else None


def _processors(config: TelemetryConfig) -> list[SpanProcessor]:
    processors: list[SpanProcessor] = []
    if config.otlp_endpoint is not None:
        # Imported only when used: it costs every other process start time and memory.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter(
            endpoint=config.otlp_endpoint, insecure=config.otlp_endpoint.startswith("http://")
        )
        processors.append(BatchSpanProcessor(exporter))
    if config.trace_file is not None:
        file = config.trace_file.open("a", encoding="utf-8", buffering=1)
        processors.append(
            BatchSpanProcessor(
                ConsoleSpanExporter(
                    out=file, formatter=lambda ended: ended.to_json(indent=None) + "\n"
                )
            )
        )
    return processors
