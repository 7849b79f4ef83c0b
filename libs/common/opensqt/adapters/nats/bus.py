"""`NatsEventBus`: the event bus port on NATS.

How each kind of delivery is made:

- LATEST: core NATS; the subscriber keeps the newest event of each key until it is taken.
- LAST_VALUE: core NATS, which a stream listens to and keeps the newest of each key.
- AT_MOST_ONCE: core NATS in order; a bounded queue at the subscriber.
- DURABLE: JetStream with message ids, explicit acknowledgement, a named pull consumer.

Without a connection nothing is buffered: an old price or decision must not be flushed into the
future. Such an event is dropped and counted; a DURABLE one is refused, and repeated by its sender.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final, TypeVar

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import NoStreamResponseError

from opensqt.adapters.inbox import Inbox, LatestInbox, QueueInbox
from opensqt.adapters.nats.connection import connect
from opensqt.adapters.nats.durable import DurablePull
from opensqt.adapters.nats.last_value import LastValues
from opensqt.adapters.nats.naming import Naming
from opensqt.adapters.nats.received import EventIterator
from opensqt.adapters.nats.streams import STORED, Streams
from opensqt.adapters.nats.traffic import TopicTraffic
from opensqt.ports import TOPICS, Delivery, DependencyError, Received, Topic
from opensqt.runtime.config_models import NatsConfig
from opensqt.runtime.metrics import Metrics
from opensqt.runtime.tracing import trace_headers
from opensqt.wire.codecs import codec

E = TypeVar("E")

QUEUE_MAX: Final = 1024
"""Events of an AT_MOST_ONCE topic that wait for a slow consumer."""
STORE_TIMEOUT_S: Final = 2.0
FLUSH_TIMEOUT_S: Final = 2
OPEN_TIMEOUT_S: Final = 30.0
MESSAGE_ID: Final = "Nats-Msg-Id"

_log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def open_nats_bus(
    config: NatsConfig,
    *,
    name: str,
    metrics: Metrics,
) -> AsyncIterator["NatsEventBus"]:
    """Connect, make the streams, and close at the end; waits for servers that are not up yet.

    Args:
        config: The servers.
        name: What the servers call this connection.
        metrics: Where the traffic is counted.

    Raises:
        DependencyError: The servers answer, but JetStream does not.
    """
    bus: NatsEventBus | None = None

    async def reconnected() -> None:
        if bus is not None:
            await bus.renew()

    client = await connect(config, name=name, on_reconnected=reconnected)
    try:
        naming = Naming(prefix=config.prefix)
        bus = NatsEventBus(client, naming, replicas=config.replicas, metrics=metrics)
        await bus.make_streams()
        yield bus
    finally:
        with contextlib.suppress(NatsError, TimeoutError, OSError):
            await client.flush(FLUSH_TIMEOUT_S)
        await client.close()


class NatsEventBus:
    """Implements `ports.EventBus`; made by `open_nats_bus`."""

    def __init__(
        self,
        client: Client,
        naming: Naming,
        *,
        replicas: int,
        metrics: Metrics,
    ) -> None:
        self._client = client
        self._naming = naming
        self._js = client.jetstream()
        self._streams = Streams(self._js, naming, replicas=replicas)
        self._metrics = metrics
        self._subjects: dict[tuple[str, str], str] = {}
        self._traffic: dict[str, TopicTraffic] = {}
        self._renewals: set[Callable[[], None]] = set()

    async def ping(self) -> None:
        """Answer if the server does.

        Raises:
            DependencyError: It does not.
        """
        if not self._client.is_connected:
            raise DependencyError("NATS is not connected")
        try:
            await self._client.flush(FLUSH_TIMEOUT_S)
        except (NatsError, TimeoutError, OSError) as error:
            raise DependencyError(f"NATS: {error!r}") from error

    async def make_streams(self) -> None:
        """Make what the stored topics need; a cluster may need a while to elect a leader.

        Raises:
            DependencyError: It does not answer within half a minute.
        """
        deadline = asyncio.get_running_loop().time() + OPEN_TIMEOUT_S
        for topic in TOPICS:
            while topic.delivery in STORED:
                try:
                    await self._streams.ensure(topic)
                    break
                except DependencyError as error:
                    if asyncio.get_running_loop().time() > deadline:
                        raise
                    _log.warning("streams_not_ready", error=str(error))
                    await asyncio.sleep(0.5)

    async def renew(self) -> None:
        """After a reconnection: what the server forgot is set up again."""
        for renewal in tuple(self._renewals):
            renewal()

    async def publish(self, topic: Topic[E], key: str, event: E, *, message_id: str = "") -> None:
        """Send an event; of a DURABLE topic, return once it is stored.

        Raises:
            DependencyError: A DURABLE event may or may not be stored: publish it again with the
                same `message_id`.
            ValueError: The key cannot be part of a subject.
        """
        payload = codec(topic.event).to_bytes(event)
        subject = self._subject(topic, key)
        headers = trace_headers()
        if topic.delivery is Delivery.DURABLE:
            if message_id:
                headers[MESSAGE_ID] = message_id
            await self._store(topic, subject, payload, headers)
        else:
            await self._send(topic, subject, payload, headers)

    @contextlib.asynccontextmanager
    async def subscribe(
        self, topic: Topic[E], key: str = "*", *, durable: str = ""
    ) -> AsyncIterator[AsyncIterator[Received[E]]]:
        """Receive a topic's events; the iterator ends when the context is left.

        On entering, the server knows of the subscription: nothing published later is missed.
        """
        decode = codec(topic.event).from_bytes
        traffic = self._traffic_of(topic)
        async with self._inbox_of(topic, key, durable) as inbox:
            try:
                yield EventIterator(inbox, decode, traffic)
            finally:
                inbox.close()

    @contextlib.asynccontextmanager
    async def _inbox_of(
        self, topic: Topic[Any], key: str, durable: str
    ) -> AsyncIterator[Inbox[Msg]]:
        subject = self._naming.subject(topic, key)
        if topic.delivery is Delivery.DURABLE:
            pull = DurablePull(
                self._client,
                self._js,
                self._streams,
                self._naming,
                topic=topic,
                key=key,
                durable=durable,
            )
            async with self._running(pull.run, pull.renew):
                yield pull.inbox
        elif topic.delivery is Delivery.LAST_VALUE:
            values = LastValues(self._client, self._streams, self._naming, topic=topic, key=key)
            async with self._running(values.run, values.renew):
                yield values.inbox
        elif topic.delivery is Delivery.LATEST:
            latest: LatestInbox[Msg] = LatestInbox()

            async def keep_latest(message: Msg) -> None:
                latest.put(message.subject, message)

            async with self._core(subject, keep_latest):
                yield latest
        else:
            traffic = self._traffic_of(topic)

            def overflow(message: Msg) -> None:
                traffic.dropped.inc()
                _log.error("consumer_too_slow", subject=message.subject, waiting=QUEUE_MAX)

            queue: QueueInbox[Msg] = QueueInbox(size_max=QUEUE_MAX, on_overflow=overflow)

            async def keep(message: Msg) -> None:
                queue.put(message)

            async with self._core(subject, keep):
                yield queue

    @contextlib.asynccontextmanager
    async def _core(
        self, subject: str, on_message: Callable[[Msg], Coroutine[Any, Any, None]]
    ) -> AsyncIterator[None]:
        subscription = await self._client.subscribe(subject, cb=on_message)
        try:
            # While disconnected there is nothing to miss, and the subscription is sent later.
            with contextlib.suppress(NatsError, TimeoutError, OSError):
                await self._client.flush(FLUSH_TIMEOUT_S)
            yield
        finally:
            with contextlib.suppress(NatsError):
                await subscription.unsubscribe()

    @contextlib.asynccontextmanager
    async def _running(
        self,
        work: Callable[[asyncio.Future[None]], Coroutine[Any, Any, None]],
        renew: Callable[[], None],
    ) -> AsyncIterator[None]:
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(work(opened))
        self._renewals.add(renew)
        try:
            await asyncio.wait((opened, task), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
            yield
        finally:
            self._renewals.discard(renew)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _send(
        self, topic: Topic[Any], subject: str, payload: bytes, headers: dict[str, str]
    ) -> None:
        traffic = self._traffic_of(topic)
        if not self._client.is_connected:
            traffic.dropped.inc()
            return
        try:
            await self._client.publish(subject, payload, headers=headers or None)
        except (NatsError, OSError) as error:
            traffic.dropped.inc()
            _log.warning("event_not_sent", subject=subject, error=repr(error))
        else:
            traffic.published.inc()

    async def _store(
        self, topic: Topic[Any], subject: str, payload: bytes, headers: dict[str, str]
    ) -> None:
        if not self._client.is_connected:
            raise DependencyError(f"NATS is not connected; {subject} is not stored")
        try:
            await self._js.publish(
                subject,
                payload,
                timeout=STORE_TIMEOUT_S,
                stream=self._naming.stream(topic),
                headers=headers,
            )
        except NoStreamResponseError as error:
            await self._streams.ensure(topic)
            raise DependencyError(f"{subject} had no stream; it is made again") from error
        except (NatsError, TimeoutError, OSError) as error:
            raise DependencyError(f"{subject} may or may not be stored: {error!r}") from error
        self._traffic_of(topic).published.inc()

    def _subject(self, topic: Topic[Any], key: str) -> str:
        subject = self._subjects.get((topic.name, key))
        if subject is None:
            subject = self._naming.subject(topic, key)
            if key == "*":
                raise ValueError("an event is published for one key, not for '*'")
            self._subjects[topic.name, key] = subject
        return subject

    def _traffic_of(self, topic: Topic[Any]) -> TopicTraffic:
        traffic = self._traffic.get(topic.name)
        if traffic is None:
            traffic = self._traffic[topic.name] = TopicTraffic(self._metrics, topic.name)
        return traffic
