"""The event bus: a broker that outlives the processes, and the client that each of them has.

As NATS with JetStream: what is not DURABLE may be lost; a DURABLE event is stored when `publish`
returns, stored once under its message id, and delivered until it is acknowledged. An outage cuts
every connection; the clients come back by themselves and subscribe again.
"""

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Self, TypeVar

from opensqt.adapters.inbox import Inbox, LatestInbox, QueueInbox
from opensqt.ports import Delivery, DependencyError, Received, Topic
from opensqt.runtime.tracing import trace_headers
from simulation.loop import Process, SimulationLoop
from simulation.network import Network, Wire
from simulation.plan import FaultKind, Link

E = TypeVar("E")

ACK_WAIT_S: Final = 5.0
"""What is not acknowledged for so long is delivered again."""
STORE_TIMEOUT_S: Final = 5.0
DUPLICATE_WINDOW_S: Final = 120.0
"""For so long a message id is remembered."""
QUEUE_MAX: Final = 1024
RECONNECT_S_MAX: Final = 0.5

Published = Callable[[Process, Topic[Any], str, Any], None]


@dataclass(slots=True, kw_only=True)
class _Message:
    key: str
    event: Any
    trace: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class _Consumer:
    """A position in a durable topic; subscribers of one name share it."""

    key: str
    waiting: dict[int, _Message] = field(default_factory=dict)
    """By sequence: not acknowledged."""
    out: dict[int, int] = field(default_factory=dict)
    """Those that are with a subscriber, and which delivery it is."""
    subscribers: list["_Subscription"] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Log:
    """A durable topic."""

    messages: dict[int, _Message] = field(default_factory=dict)
    ids: dict[str, float] = field(default_factory=dict)
    """When each message id was stored."""
    consumers: dict[str, _Consumer] = field(default_factory=dict)
    last: int = 0


class Broker:
    """What is kept between the processes.

    Args:
        loop: Tells the time.
        network: Carries everything.
        chance: Decides how long clients take to come back.
    """

    def __init__(self, loop: SimulationLoop, network: Network, chance: random.Random) -> None:
        self.loop = loop
        self.network = network
        self.up = True
        self.on_published: Published | None = None
        """Called for every event that a process publishes."""
        self._chance = chance
        self._logs: dict[str, _Log] = {}
        self._last: dict[str, dict[str, _Message]] = {}
        self._live: dict[str, list[_Subscription]] = {}
        self._clients: list[Bus] = []
        self._deliveries = itertools.count(1)
        self._names = itertools.count(1)

    def connect(self, process: Process) -> "Bus":
        """A client of a process; it goes with the process."""
        client = Bus(self, process)
        self._clients.append(client)
        process.on_death(lambda: self._forget(client))
        return client

    def unacknowledged(self, topic: Topic[Any]) -> int:
        """Events of a durable topic that some consumer with a name has not acknowledged."""
        log = self._logs.get(topic.name)
        return sum(len(c.waiting) for c in log.consumers.values()) if log is not None else 0

    def stop(self) -> None:
        """Die: connections are cut; what is stored stays."""
        self.up = False
        for client in tuple(self._clients):
            client.disconnect()
        self._live.clear()
        for log in self._logs.values():
            for consumer in log.consumers.values():
                consumer.subscribers.clear()
                consumer.out.clear()

    def wipe(self) -> None:
        """Lose everything that was stored."""
        self._logs.clear()
        self._last.clear()

    def start(self) -> None:
        """Come back; the clients notice after a while."""
        self.up = True
        for client in tuple(self._clients):
            delay_s = self._chance.random() * RECONNECT_S_MAX
            self.loop.world.later(delay_s, client.reconnect)

    # --- what arrives at the broker --------------------------------------------------------------

    def take(self, topic: Topic[Any], message: _Message) -> None:
        """An event that is not DURABLE."""
        if not self.up:
            return
        if topic.delivery is Delivery.LAST_VALUE:
            self._last.setdefault(topic.name, {})[message.key] = message
        for subscription in tuple(self._live.get(topic.name, ())):
            if subscription.wants(message.key):
                subscription.deliver(message)

    def store(
        self, topic: Topic[Any], message: _Message, message_id: str, stored: Callable[[], object]
    ) -> None:
        """An event that is DURABLE; `stored` carries the answer back."""
        if not self.up:
            return
        log = self._logs.setdefault(topic.name, _Log())
        now_s = self.loop.now_s
        before_s = log.ids.get(message_id) if message_id else None
        if before_s is None or now_s - before_s > DUPLICATE_WINDOW_S:
            if message_id:
                log.ids[message_id] = now_s
            log.last += 1
            log.messages[log.last] = message
            for consumer in log.consumers.values():
                if consumer.key in ("*", message.key):
                    consumer.waiting[log.last] = message
                    self._deliver(consumer, log.last)
        if not self.network.happens(FaultKind.LOSE_ANSWERS, Link.BUS):
            stored()

    def subscribe(self, subscription: "_Subscription") -> None:
        """A client's subscription."""
        topic = subscription.topic
        if topic.delivery is Delivery.DURABLE:
            self._consume(subscription)
            return
        if topic.delivery is Delivery.LAST_VALUE:
            for key, message in self._last.get(topic.name, {}).items():
                if subscription.wants(key):
                    subscription.deliver(message)
        self._live.setdefault(topic.name, []).append(subscription)

    def unsubscribe(self, subscription: "_Subscription", *, given_back: tuple[int, ...]) -> None:
        """A client has left in good order, and gives back what it did not take."""
        live = self._live.get(subscription.topic.name, [])
        if subscription in live:
            live.remove(subscription)
        log = self._logs.get(subscription.topic.name)
        consumer = log.consumers.get(subscription.consumer) if log is not None else None
        if log is None or consumer is None:
            return
        if subscription in consumer.subscribers:
            consumer.subscribers.remove(subscription)
        if not subscription.durable:
            log.consumers.pop(subscription.consumer, None)
            return
        for sequence in given_back:
            consumer.out.pop(sequence, None)
            self._deliver(consumer, sequence)

    def acknowledge(self, topic: Topic[Any], consumer: str, sequence: int) -> None:
        """Never deliver an event again."""
        log = self._logs.get(topic.name)
        if self.up and log is not None and (known := log.consumers.get(consumer)) is not None:
            known.waiting.pop(sequence, None)
            known.out.pop(sequence, None)

    # --- inside ----------------------------------------------------------------------------------

    def _forget(self, client: "Bus") -> None:
        self._clients.remove(client)
        for subscription in client.subscriptions:
            live = self._live.get(subscription.topic.name, [])
            if subscription in live:
                live.remove(subscription)
            log = self._logs.get(subscription.topic.name)
            if log is None or (consumer := log.consumers.get(subscription.consumer)) is None:
                continue
            if subscription in consumer.subscribers:
                consumer.subscribers.remove(subscription)
            if not subscription.durable:
                del log.consumers[subscription.consumer]

    def _consume(self, subscription: "_Subscription") -> None:
        log = self._logs.setdefault(subscription.topic.name, _Log())
        if not subscription.consumer:
            subscription.consumer = subscription.durable or f"nameless {next(self._names)}"
        consumer = log.consumers.get(subscription.consumer)
        if consumer is None:
            consumer = log.consumers[subscription.consumer] = _Consumer(key=subscription.key)
            if subscription.durable:
                consumer.waiting = {
                    sequence: message
                    for sequence, message in log.messages.items()
                    if subscription.wants(message.key)
                }
        consumer.subscribers.append(subscription)
        for sequence in tuple(consumer.waiting):
            if sequence not in consumer.out:
                self._deliver(consumer, sequence)

    def _deliver(self, consumer: _Consumer, sequence: int) -> None:
        if not consumer.subscribers or sequence not in consumer.waiting:
            return
        delivery = consumer.out[sequence] = next(self._deliveries)
        subscription = min(consumer.subscribers, key=lambda s: s.given - s.taken)
        subscription.deliver(consumer.waiting[sequence], sequence)
        self.loop.world.later(ACK_WAIT_S, self._again, consumer, sequence, delivery)

    def _again(self, consumer: _Consumer, sequence: int, delivery: int) -> None:
        if consumer.out.get(sequence) == delivery:
            del consumer.out[sequence]
            self._deliver(consumer, sequence)


class _Subscription:
    """One subscription of one client, as both sides know it."""

    def __init__(self, bus: "Bus", topic: Topic[Any], key: str, durable: str) -> None:
        self.topic = topic
        self.key = key
        self.durable = durable
        self.consumer = ""
        self.given = self.taken = 0
        self.wire: Wire = bus.wire()
        self.process = bus.process
        self.inbox: Inbox[Any] = LatestInbox()
        if topic.delivery is Delivery.DURABLE:
            self.inbox = QueueInbox()
        elif topic.delivery is Delivery.AT_MOST_ONCE:
            self.inbox = QueueInbox(size_max=QUEUE_MAX)

    def wants(self, key: str) -> bool:
        return self.key in ("*", key)

    def deliver(self, message: _Message, sequence: int = 0) -> None:
        """Send an event on its way to the client."""
        self.given += 1
        self.wire.send(self._arrived, message, sequence)

    def _arrived(self, message: _Message, sequence: int) -> None:
        if not self.process.alive:
            return
        if isinstance(self.inbox, LatestInbox):
            self.inbox.put(message.key, message)
        else:
            assert isinstance(self.inbox, QueueInbox)
            self.inbox.put((message, sequence) if sequence else message)


class Bus:
    """Implements `ports.EventBus` for one process; made by `Broker.connect`."""

    def __init__(self, broker: Broker, process: Process) -> None:
        self._broker = broker
        self.process = process
        self._connected = broker.up
        self._up = asyncio.Event()
        if self._connected:
            self._up.set()
        self._wires: dict[str, Wire] = {}
        self._asking: dict[asyncio.Future[None], None] = {}
        self.subscriptions: list[_Subscription] = []

    async def publish(self, topic: Topic[E], key: str, event: E, *, message_id: str = "") -> None:
        """Send an event; of a DURABLE topic, return once it is stored.

        Raises:
            DependencyError: A DURABLE event may or may not be stored.
        """
        self.process.check()
        broker = self._broker
        if broker.on_published is not None:
            broker.on_published(self.process, topic, key, event)
        message = _Message(key=key, event=event, trace=trace_headers())
        if topic.delivery is not Delivery.DURABLE:
            if self._connected:
                self._wire_of(topic).send(broker.take, topic, message)
            return
        if not self._connected:
            raise DependencyError(f"the bus is not connected; {topic.name} is not stored")
        answer = asyncio.get_running_loop().create_future()
        back = broker.network.wire(Link.BUS)
        self._asking[answer] = None
        self._wire_of(topic).send(
            broker.store, topic, message, message_id, lambda: back.send(_resolve, answer)
        )
        try:
            async with asyncio.timeout(STORE_TIMEOUT_S):
                await answer
        except TimeoutError:
            raise DependencyError(f"{topic.name} may or may not be stored: no answer") from None
        finally:
            self._asking.pop(answer, None)

    @contextlib.asynccontextmanager
    async def subscribe(
        self, topic: Topic[E], key: str = "*", *, durable: str = ""
    ) -> AsyncIterator[AsyncIterator[Received[E]]]:
        """Receive a topic's events; the iterator ends when the context is left."""
        self.process.check()
        subscription = _Subscription(self, topic, key, durable)
        if topic.delivery in (Delivery.DURABLE, Delivery.LAST_VALUE):
            await self._up.wait()
        self.subscriptions.append(subscription)
        await self._ask(subscription)
        try:
            yield _Events(self, subscription)
        finally:
            if self.process.alive:
                self._leave(subscription)
            subscription.inbox.close()

    def acknowledge(self, subscription: _Subscription, sequence: int) -> None:
        """Tell the broker, if it can be told."""
        self.process.check()
        if self._connected:
            self._wire_of(subscription.topic).send(
                self._broker.acknowledge, subscription.topic, subscription.consumer, sequence
            )

    def wire(self) -> Wire:
        """A connection from the broker."""
        return self._broker.network.wire(Link.BUS)

    def disconnect(self) -> None:
        """The connection is lost."""
        self._connected = False
        self._up.clear()
        for wire in self._wires.values():
            wire.cut = True
        self._wires.clear()
        for subscription in self.subscriptions:
            subscription.wire.cut = True
        for answer in self._asking:
            if not answer.done():
                answer.set_exception(DependencyError("the connection to the bus was lost"))

    def reconnect(self) -> None:
        """The broker can be reached again."""
        if self._connected or not self._broker.up or not self.process.alive:
            return
        self._connected = True
        for subscription in self.subscriptions:
            subscription.wire = self.wire()
            if subscription.topic.delivery is Delivery.DURABLE and not subscription.durable:
                subscription.consumer = ""
            self._broker.subscribe(subscription)
        self._up.set()

    async def _ask(self, subscription: _Subscription) -> None:
        """Subscribe, and wait until the broker has heard of it, unless it is away."""
        if not self._connected:
            return
        heard = asyncio.get_running_loop().create_future()
        self._asking[heard] = None

        def subscribed() -> None:
            if self.process.alive and not heard.done():
                self._broker.subscribe(subscription)
                heard.set_result(None)

        try:
            delay_s = self._broker.network.delay_s(Link.BUS)
            self._broker.loop.world.later(delay_s, subscribed)
            await heard
        except DependencyError:
            pass  # it is told once the connection is back
        finally:
            self._asking.pop(heard, None)

    def _leave(self, subscription: _Subscription) -> None:
        if subscription not in self.subscriptions:
            return
        self.subscriptions.remove(subscription)
        left: tuple[int, ...] = ()
        if subscription.topic.delivery is Delivery.DURABLE:
            assert isinstance(subscription.inbox, QueueInbox)
            left = tuple(sequence for _, sequence in subscription.inbox.leftovers())
        self._broker.unsubscribe(subscription, given_back=left)

    def _wire_of(self, topic: Topic[Any]) -> Wire:
        wire = self._wires.get(topic.name)
        if wire is None:
            wire = self._wires[topic.name] = self.wire()
        return wire


@dataclass(slots=True, kw_only=True)
class BusReceived(Generic[E]):
    """One event that came over the bus."""

    event: E
    trace: Mapping[str, str]
    bus: Bus
    subscription: _Subscription
    sequence: int = 0

    async def ack(self) -> None:
        """Say that its effect is committed."""
        if self.sequence:
            self.bus.acknowledge(self.subscription, self.sequence)


class _Events:
    def __init__(self, bus: Bus, subscription: _Subscription) -> None:
        self._bus = bus
        self._subscription = subscription

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> BusReceived[Any]:
        item = await anext(self._subscription.inbox)
        message, sequence = item if isinstance(item, tuple) else (item, 0)
        self._subscription.taken += 1
        return BusReceived(
            event=message.event,
            trace=message.trace,
            bus=self._bus,
            subscription=self._subscription,
            sequence=sequence,
        )


def _resolve(answer: "asyncio.Future[None]") -> None:
    if not answer.done():
        answer.set_result(None)
