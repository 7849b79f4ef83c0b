"""The broker of the event bus: outlives the processes, and keeps what NATS with JetStream keeps.

What is not DURABLE may be lost; a DURABLE event is stored once under its message id, and delivered
until it is acknowledged. An outage cuts every connection; the clients come back by themselves.
"""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from opensqt.ports import Delivery, Topic
from simulation.loop import Process, SimulationLoop
from simulation.network import Network
from simulation.plan import FaultKind, Link
from simulation.subscription import Message, Subscription

ACK_WAIT_S: Final = 5.0
"""What is not acknowledged for so long is delivered again."""
DUPLICATE_WINDOW_S: Final = 120.0
"""For so long a message id is remembered."""
RECONNECT_S_MAX: Final = 0.5

Published = Callable[[Process, Topic[Any], str, Any], None]


class Client(Protocol):
    """A process's connection."""

    subscriptions: list[Subscription]

    def disconnect(self) -> None:
        """The connection is lost."""
        ...

    def reconnect(self) -> None:
        """The broker can be reached again."""
        ...


@dataclass(slots=True, kw_only=True)
class _Consumer:
    """A position in a durable topic; subscribers of one name share it."""

    key: str
    waiting: dict[int, Message] = field(default_factory=dict)
    """By sequence: not acknowledged."""
    out: dict[int, int] = field(default_factory=dict)
    """Those that are with a subscriber, and which delivery it is."""
    subscribers: list[Subscription] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Log:
    """A durable topic."""

    messages: dict[int, Message] = field(default_factory=dict)
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
        self._last: dict[str, dict[str, Message]] = {}
        self._live: dict[str, list[Subscription]] = {}
        self._clients: list[Client] = []
        self._deliveries = itertools.count(1)
        self._names = itertools.count(1)

    def admit(self, client: Client, process: Process) -> None:
        """A process has connected; its client goes with it."""
        self._clients.append(client)
        process.on_death(lambda: self._forget(client))

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

    def take(self, topic: Topic[Any], message: Message) -> None:
        """An event that is not DURABLE."""
        if not self.up:
            return
        if topic.delivery is Delivery.LAST_VALUE:
            self._last.setdefault(topic.name, {})[message.key] = message
        for subscription in tuple(self._live.get(topic.name, ())):
            if subscription.wants(message.key):
                subscription.deliver(message)

    def store(
        self, topic: Topic[Any], message: Message, message_id: str, stored: Callable[[], object]
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

    def subscribe(self, subscription: Subscription) -> None:
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

    def unsubscribe(self, subscription: Subscription, *, given_back: tuple[int, ...]) -> None:
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

    def _forget(self, client: Client) -> None:
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

    def _consume(self, subscription: Subscription) -> None:
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
