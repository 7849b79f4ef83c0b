"""A subscription to the bus, as its client and the broker both know it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from opensqt.adapters.inbox import Inbox, LatestInbox, QueueInbox
from opensqt.ports import Delivery, Topic
from simulation.loop import Process
from simulation.network import Wire

QUEUE_MAX: Final = 1024


@dataclass(slots=True, kw_only=True)
class Message:
    """An event on its way."""

    key: str
    event: Any
    trace: Mapping[str, str]


class Subscription:
    """One subscription of one client, as both sides know it."""

    def __init__(
        self, process: Process, wire: Wire, topic: Topic[Any], key: str, durable: str
    ) -> None:
        self.topic = topic
        self.key = key
        self.durable = durable
        self.consumer = ""
        self.given = self.taken = 0
        self.wire = wire
        self.process = process
        self.inbox: Inbox[Any] = LatestInbox()
        if topic.delivery is Delivery.DURABLE:
            self.inbox = QueueInbox()
        elif topic.delivery is Delivery.AT_MOST_ONCE:
            self.inbox = QueueInbox(size_max=QUEUE_MAX)

    def wants(self, key: str) -> bool:
        """Whether an event of this key is for it."""
        return self.key in ("*", key)

    def deliver(self, message: Message, sequence: int = 0) -> None:
        """Send an event on its way to the client."""
        self.given += 1
        self.wire.send(self._arrived, message, sequence)

    def _arrived(self, message: Message, sequence: int) -> None:
        if not self.process.alive:
            return
        if isinstance(self.inbox, LatestInbox):
            self.inbox.put(message.key, message)
        else:
            assert isinstance(self.inbox, QueueInbox)
            self.inbox.put((message, sequence) if sequence else message)
