"""Prometheus metrics of one process, in a registry of its own.

No global registry: tests and the simulation run several services in one process.
"""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics import MetricWrapperBase

PREFIX: Final = "opensqt_"

LATENCY_BUCKETS_S: Final = (
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
)  # fmt: skip
"""Half a millisecond to five seconds; the way from tick to wire is about six milliseconds."""

_MetricT = TypeVar("_MetricT", bound=MetricWrapperBase)


class Metrics:
    """Makes metrics and renders them. Asking twice for the same name returns the same metric.

    Args:
        process: Whether to add the process's own memory, CPU time and garbage collections.
    """

    def __init__(self, *, process: bool = False) -> None:
        self.registry = CollectorRegistry()
        self._made: dict[str, MetricWrapperBase] = {}
        if process:
            ProcessCollector(registry=self.registry)
            PlatformCollector(registry=self.registry)
            GCCollector(registry=self.registry)

    def counter(self, name: str, about: str, labels: Sequence[str] = ()) -> Counter:
        """Something that only grows, such as ``orders_sent`` (exposed as ``…_total``)."""
        return self._keep(name, Counter, about, labels)

    def gauge(self, name: str, about: str, labels: Sequence[str] = ()) -> Gauge:
        """Something that goes up and down, such as ``open_orders``."""
        return self._keep(name, Gauge, about, labels)

    def histogram(
        self,
        name: str,
        about: str,
        labels: Sequence[str] = (),
        buckets: Sequence[float] = LATENCY_BUCKETS_S,
    ) -> Histogram:
        """A distribution, by default of seconds, such as ``order_send_seconds``."""
        return self._keep(name, Histogram, about, labels, buckets=buckets)

    def render(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self.registry)

    def _keep(
        self, name: str, kind: type[_MetricT], about: str, labels: Sequence[str], **options: Any
    ) -> _MetricT:
        metric = self._made.get(name)
        if metric is None:
            metric = kind(PREFIX + name, about, labels, registry=self.registry, **options)
            self._made[name] = metric
        assert isinstance(metric, kind), f"{name} is a {type(metric).__name__}"
        return metric
