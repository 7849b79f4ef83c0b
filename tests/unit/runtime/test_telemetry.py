"""Metrics and trace context."""

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from opensqt.runtime.metrics import Metrics
from opensqt.runtime.tracing import current_trace_id, extract, inject, trace_headers

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_metric_is_made_once() -> None:
    metrics = Metrics()
    metrics.counter("orders", "Orders sent.", ("side",)).labels("buy").inc()
    metrics.counter("orders", "Orders sent.", ("side",)).labels("buy").inc()
    metrics.gauge("open_orders", "Open orders.").set(3)
    metrics.histogram("send_seconds", "Time to send.").observe(0.004)
    text = metrics.render().decode()
    assert 'opensqt_orders_total{side="buy"} 2.0' in text
    assert "opensqt_open_orders 3.0" in text
    assert 'opensqt_send_seconds_bucket{le="0.005"} 1.0' in text
    with pytest.raises(AssertionError, match="orders is a Counter"):
        metrics.gauge("orders", "Orders.")


def test_two_processes_in_one_do_not_share_metrics() -> None:
    one, other = Metrics(), Metrics()
    one.counter("orders", "Orders sent.").inc()
    assert "orders" not in other.render().decode()


def test_the_process_shows_its_memory() -> None:
    assert b"process_resident_memory_bytes" in Metrics(process=True).render()


def test_trace_context_travels() -> None:
    assert trace_headers() == {}
    assert current_trace_id() is None
    parent = extract({"traceparent": TRACEPARENT, "other": "x"})
    span = trace.get_current_span(parent)
    assert format(span.get_span_context().trace_id, "032x") == TRACEPARENT.split("-")[1]
    with trace.use_span(span):
        headers = {"Nats-Msg-Id": "1"}
        inject(headers)
        assert headers == {"Nats-Msg-Id": "1", "traceparent": TRACEPARENT}
        assert current_trace_id() == TRACEPARENT.split("-")[1]


@pytest.mark.parametrize("headers", [None, {}, {"traceparent": "nonsense"}])
def test_no_or_broken_trace_context_begins_anew(headers: dict[str, str] | None) -> None:
    context = SpanContext(trace_id=1, span_id=2, is_remote=False, trace_flags=TraceFlags(1))
    with trace.use_span(NonRecordingSpan(context)):
        inherited = trace.get_current_span(extract(headers)).get_span_context()
    assert not inherited.is_valid
