"""Hop by hop: where the time from tick to wire goes, from the services' spans."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import report

RESERVE = "/opensqt.market_maker.v1.StateService/ReserveOrders"
STATIONS: Sequence[tuple[str, str, str]] = (
    # What has been reached, the span that tells, and which end of it.
    ("market_data has the price: TLS, WebSocket, JSON", "price", "start"),
    ("strategy has planned on it: NATS, plan", "decide", "start"),
    ("execution has the batch: NATS", "carry out batch", "start"),
    ("execution asks for the intents: admission, rate budget", "reserve orders", "start"),
    ("state has the request: mTLS, HTTP/2", RESERVE, "start"),
    ("state has committed: decide, PostgreSQL", RESERVE, "end"),
    ("execution has the answer: mTLS, HTTP/2", "reserve orders", "end"),
    ("execution sends the order", "place order", "start"),
)
LAST = "the venue has the order: ccxt, signature, TLS, HTTP"


def with_spans(spans: Path, orders: Sequence[list[int]]) -> list[list[int]]:
    """The stations of OpenSQT's orders, as far as their traces are whole.

    Args:
        spans: Directory of the services' spans, as JSON lines.
        orders: When each price was sent and its order arrived, in nanoseconds since 1970.
    """
    traces = sorted(one for one in read_traces(spans) if len(one) == len(STATIONS))
    found = []
    for sent_ns, arrived_ns in orders:
        # The price's trace is the first one that begins after it was sent and led to an order.
        trace = next((t for t in traces if sent_ns <= t[0] and t[-1] <= arrived_ns), None)
        if trace is not None:
            found.append([sent_ns, *trace, arrived_ns])
    return found


def compare(floor: Sequence[list[int]], opensqt: Sequence[list[int]]) -> list[dict[str, Any]]:
    """Print where the time of both went; the same as data."""
    titles = [title for title, _, _ in STATIONS] + [LAST]
    result = []
    for number, title in enumerate(titles):
        one: dict[str, Any] = {"hop": title}
        for name, orders in (("floor", floor), ("opensqt", opensqt)):
            taken = [(at[number + 1] - at[number]) / 1e6 for at in orders]
            for share in (50, 99):
                one[f"{name}_p{share}_ms"] = report.percentile(taken, share / 100)
        result.append(one)
    columns = ("floor_p50_ms", "opensqt_p50_ms", "floor_p99_ms", "opensqt_p99_ms")
    rows = [(one["hop"], *(report.number(one[column]) for column in columns)) for one in result]
    header = ("until", "p50 floor", "p50 OpenSQT", "p99 floor", "p99 OpenSQT")
    print(report.table(f"hops of {len(opensqt)} traced orders, ms", header, rows))
    return result


def read_traces(spans: Path) -> list[list[int]]:
    """The stations' times of each trace that has a price."""
    traces: dict[str, dict[str, dict[str, int]]] = {}
    for path in spans.glob("*.jsonl"):
        for line in path.read_text().splitlines():
            span = json.loads(line)
            if any(span["name"] == name for _, name, _ in STATIONS):
                ends = {end: time_ns(span[f"{end}_time"]) for end in ("start", "end")}
                trace = traces.setdefault(span["context"]["trace_id"], {})
                # The first order of a batch is the nearest to the market.
                if span["name"] not in trace or ends["start"] < trace[span["name"]]["start"]:
                    trace[span["name"]] = ends
    return [
        [trace[name][end] for _, name, end in STATIONS if name in trace]
        for trace in traces.values()
        if "price" in trace
    ]


def time_ns(text: str) -> int:
    """Nanoseconds since 1970 of a time such as 2026-01-01T00:00:00.123456Z."""
    return round(datetime.fromisoformat(text).timestamp() * 1e6) * 1000
