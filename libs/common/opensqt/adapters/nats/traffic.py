"""Counters of what goes over the bus, by topic."""

from prometheus_client import Counter

from opensqt.runtime.metrics import Metrics


class TopicTraffic:
    """The counters of one topic."""

    def __init__(self, metrics: Metrics, topic: str) -> None:
        self.published = self._counter(
            metrics, "bus_published", "Events that were handed to NATS", topic
        )
        self.received = self._counter(metrics, "bus_received", "Events that came over NATS", topic)
        self.undecodable = self._counter(
            metrics, "bus_undecodable", "Messages that are not what their topic says", topic
        )
        self.dropped = self._counter(
            metrics, "bus_dropped", "Events dropped: NATS away, or the consumer too slow", topic
        )

    @staticmethod
    def _counter(metrics: Metrics, name: str, about: str, topic: str) -> Counter:
        counter: Counter = metrics.counter(name, about, ["topic"]).labels(topic)
        return counter
