"""`MemoryBus`: the event bus in one process, with the deliveries of the real one.

No threads and no clock of its own, so it runs on a virtual-time loop. It keeps what the real bus
promises and nothing more: what is not acknowledged comes again, what is not DURABLE may be lost.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Self, TypeVar

from opensqt.adapters.inbox import Inbox, LatestInbox, QueueInbox
from opensqt.ports import Delivery, Received, Topic
from opensqt.runtime.tracing import trace_headers

E = TypeVar("E")

ACK_WAIT_S = 5.0
QUEUE_MAX = 1024


@dataclass(slots=True, kw_only=True)
class _Stored:
    key: str
    event: Any
    trace: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class _Consumer:
    """A named position in a durable topic; the subscribers that share it share its events."""

    key: str
    waiting: dict[int, _Stored] = field(default_factory=dict)
    """By sequence: delivered or not, but not acknowledged."""
    inboxes: list[QueueInbox[int]] = field(default_factory=list)

    def wants(self, key: str) -> bool:
        return self.key in ("*", key)

    def deliver(self, sequence: int) -> None:
        """Give an event to the subscriber with the least to do, if there is one."""
        if self.inboxes and sequence in self.waiting:
            min(self.inboxes, key=len).put(sequence)
            asyncio.get_running_loop().call_later(ACK_WAIT_S, self.deliver, sequence)


@dataclass(slots=True, kw_only=True)
class _Log:
    """A durable topic."""

    events: list[_Stored] = field(default_factory=list)
    message_ids: set[str] = field(default_factory=set)
    consumers: dict[str, _Consumer] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class MemoryReceived(Generic[E]):
    """One event that came over the memory bus."""

    event: E
    trace: Mapping[str, str]
    consumer: _Consumer | None = None
    sequence: int = 0

    async def ack(self) -> None:
        """Never deliver it again."""
        if self.consumer is not None:
            self.consumer.waiting.pop(self.sequence, None)


class MemoryBus:
    """Implements `ports.EventBus`."""

    def __init__(self) -> None:
        self._logs: dict[str, _Log] = {}
        self._last: dict[str, dict[str, _Stored]] = {}
        self._live: dict[str, list[tuple[str, Inbox[_Stored]]]] = {}
        self.published: list[tuple[str, str, Any]] = []
        """Every event that was published: topic, key, event; for tests to look at."""

    async def publish(self, topic: Topic[E], key: str, event: E, *, message_id: str = "") -> None:
        """Send an event; it is in the subscribers' inboxes when this returns."""
        self.published.append((topic.name, key, event))
        stored = _Stored(key=key, event=event, trace=trace_headers())
        if topic.delivery is Delivery.DURABLE:
            self._store(self._log(topic), stored, message_id)
            return
        if topic.delivery is Delivery.LAST_VALUE:
            self._last.setdefault(topic.name, {})[key] = stored
        for wanted, inbox in tuple(self._live.get(topic.name, ())):
            if wanted in ("*", key):
                _give(inbox, stored)

    @contextlib.asynccontextmanager
    async def subscribe(
        self, topic: Topic[E], key: str = "*", *, durable: str = ""
    ) -> AsyncIterator[AsyncIterator[Received[E]]]:
        """Receive a topic's events; the iterator ends when the context is left."""
        if topic.delivery is Delivery.DURABLE:
            with self._consuming(topic, key, durable) as consumed:
                yield consumed
            return
        inbox: Inbox[_Stored]
        if topic.delivery is Delivery.AT_MOST_ONCE:
            inbox = QueueInbox(size_max=QUEUE_MAX)
        else:
            inbox = LatestInbox()
        if topic.delivery is Delivery.LAST_VALUE:
            for stored in self._last.get(topic.name, {}).values():
                if key in ("*", stored.key):
                    _give(inbox, stored)
        live = self._live.setdefault(topic.name, [])
        live.append((key, inbox))
        try:
            yield _Live(inbox)
        finally:
            live.remove((key, inbox))
            inbox.close()

    def of(self, topic: Topic[E]) -> list[E]:
        """The events that were published on a topic."""
        return [event for name, _, event in self.published if name == topic.name]

    def _log(self, topic: Topic[Any]) -> _Log:
        return self._logs.setdefault(topic.name, _Log())

    def _store(self, log: _Log, stored: _Stored, message_id: str) -> None:
        if message_id in log.message_ids:
            return
        if message_id:
            log.message_ids.add(message_id)
        sequence = len(log.events)
        log.events.append(stored)
        for consumer in log.consumers.values():
            if consumer.wants(stored.key):
                consumer.waiting[sequence] = stored
                consumer.deliver(sequence)

    @contextlib.contextmanager
    def _consuming(self, topic: Topic[Any], key: str, durable: str) -> Iterator["_Consumed"]:
        log = self._log(topic)
        name = durable or f"ephemeral {id(object())} {len(log.consumers)}"
        consumer = log.consumers.get(name)
        if consumer is None:
            consumer = log.consumers[name] = _Consumer(key=key)
            if durable:
                consumer.waiting = {
                    sequence: stored
                    for sequence, stored in enumerate(log.events)
                    if consumer.wants(stored.key)
                }
        inbox: QueueInbox[int] = QueueInbox()
        consumer.inboxes.append(inbox)
        for sequence in tuple(consumer.waiting):
            consumer.deliver(sequence)
        try:
            yield _Consumed(consumer, inbox)
        finally:
            consumer.inboxes.remove(inbox)
            inbox.close()
            if not durable:
                del log.consumers[name]


class _Live:
    def __init__(self, inbox: Inbox[_Stored]) -> None:
        self._inbox = inbox

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> MemoryReceived[Any]:
        stored = await anext(self._inbox)
        return MemoryReceived(event=stored.event, trace=stored.trace)


class _Consumed:
    def __init__(self, consumer: _Consumer, inbox: QueueInbox[int]) -> None:
        self._consumer = consumer
        self._inbox = inbox

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> MemoryReceived[Any]:
        while True:
            sequence = await anext(self._inbox)
            stored = self._consumer.waiting.get(sequence)
            if stored is not None:
                return MemoryReceived(
                    event=stored.event,
                    trace=stored.trace,
                    consumer=self._consumer,
                    sequence=sequence,
                )


def _give(inbox: Inbox[_Stored], stored: _Stored) -> None:
    if isinstance(inbox, LatestInbox):
        inbox.put(stored.key, stored)
    else:
        assert isinstance(inbox, QueueInbox)
        inbox.put(stored)
