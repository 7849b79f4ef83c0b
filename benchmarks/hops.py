"""Hop by hop: where the time from tick to wire goes, from the services' spans."""

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
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


def report_hops(spans: Path, pairs: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    """Print where the time of these orders went; the same as data.

    Args:
        spans: Directory of the services' spans, as JSON lines.
        pairs: When each price was sent and its order arrived, in nanoseconds since 1970.
    """
    traces = sorted(
        (stations for stations in read_traces(spans) if len(stations) == len(STATIONS)),
        key=lambda stations: stations[0],
    )
    taken: list[list[float]] = [[] for _ in range(len(STATIONS) + 1)]
    for sent_ns, arrived_ns in pairs:
        # The price's trace is the first one that begins after it was sent and led to an order.
        found = next((t for t in traces if sent_ns <= t[0] and t[-1] <= arrived_ns), None)
        if found is None:
            continue
        points = [sent_ns, *found, arrived_ns]
        for hop, (before, after) in enumerate(pairwise(points)):
            taken[hop].append((after - before) / 1e6)
    titles = [title for title, _, _ in STATIONS] + [LAST]
    result = [
        {
            "hop": title,
            "p50_ms": report.percentile(hop, 0.5),
            "p99_ms": report.percentile(hop, 0.99),
            "orders": len(hop),
        }
        for title, hop in zip(titles, taken, strict=True)
    ]
    rows = [
        (one["hop"], report.number(one["p50_ms"]), report.number(one["p99_ms"])) for one in result
    ]
    title = f"hops of {len(taken[0])} traced orders; each from the one before"
    print(report.table(title, ("until", "p50 ms", "p99 ms"), rows))
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
