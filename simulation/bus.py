"""The event bus as one process has it: a client of the broker, which comes back by itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Self, TypeVar

from opensqt.adapters.inbox import QueueInbox
from opensqt.ports import Delivery, DependencyError, Received, Topic
from opensqt.runtime.tracing import trace_headers
from simulation.answers import settle
from simulation.broker import Broker
from simulation.loop import Process
from simulation.network import Wire
from simulation.plan import Link
from simulation.subscription import Message, Subscription

E = TypeVar("E")

STORE_TIMEOUT_S: Final = 5.0


class Bus:
    """Implements `ports.EventBus` for one process.

    Args:
        broker: Keeps what is published.
        process: Whose connection this is.
    """

    def __init__(self, broker: Broker, process: Process) -> None:
        self._broker = broker
        self.process = process
        self._connected = broker.up
        self._up = asyncio.Event()
        if self._connected:
            self._up.set()
        self._wires: dict[str, Wire] = {}
        self._asking: dict[asyncio.Future[None], None] = {}
        self.subscriptions: list[Subscription] = []
        broker.admit(self, process)

    async def publish(self, topic: Topic[E], key: str, event: E, *, message_id: str = "") -> None:
        """Send an event; of a DURABLE topic, return once it is stored.

        Raises:
            DependencyError: A DURABLE event may or may not be stored.
        """
        self.process.check()
        broker = self._broker
        if broker.on_published is not None:
            broker.on_published(self.process, topic, key, event)
        message = Message(key=key, event=event, trace=trace_headers())
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
            broker.store, topic, message, message_id, lambda: back.send(settle, answer, None, None)
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
        subscription = Subscription(self.process, self.wire(), topic, key, durable)
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

    def acknowledge(self, subscription: Subscription, sequence: int) -> None:
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

    async def _ask(self, subscription: Subscription) -> None:
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

    def _leave(self, subscription: Subscription) -> None:
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
    subscription: Subscription
    sequence: int = 0

    async def ack(self) -> None:
        """Say that its effect is committed."""
        if self.sequence:
            self.bus.acknowledge(self.subscription, self.sequence)


class _Events:
    def __init__(self, bus: Bus, subscription: Subscription) -> None:
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
