"""The account's event stream as one process has it: it comes back by itself, and says so."""

from dataclasses import replace
from typing import Final

from opensqt.adapters.inbox import QueueInbox
from opensqt.ports import AccountEvent, StreamDown, StreamUp
from simulation.exchange_world import NOTICED_S_MAX, ExchangeWorld
from simulation.loop import Process
from simulation.network import Wire
from simulation.plan import Link

RECONNECT_S_MAX: Final = 0.4


class AccountStream:
    """Implements `exchange_world.Stream`.

    Args:
        world: The exchange and the way there.
        process: Who listens.
    """

    def __init__(self, world: ExchangeWorld, process: Process) -> None:
        self.inbox: QueueInbox[AccountEvent] = QueueInbox()
        self.silent = False
        """Set when it will say nothing more, and not break: its listen key has expired."""
        self._world = world
        self._process = process
        self._wire: Wire | None = None
        self._closed = False
        self.connect()

    def connect(self) -> None:
        """Dial, until it works."""
        world = self._world
        if self._closed or self._wire is not None or not self._process.alive:
            return
        if world.conditions.down or world.conditions.streams_down:
            delay_s = RECONNECT_S_MAX * (0.5 + world.chance.random())
            world.loop.world.later(delay_s, self.connect)
            return
        self._wire = world.network.wire(Link.STREAM)
        self.silent = False
        world.loop.world.later(world.network.delay_s(Link.STREAM), self._up, self._wire)

    def drop(self, reason: str) -> None:
        """The connection breaks; it is dialled again."""
        if self._wire is None:
            return
        self._wire.cut = True
        self._wire = None
        world = self._world
        self._unlisten()
        delay_s = world.chance.random() * NOTICED_S_MAX
        world.loop.world.later(delay_s, self._down, reason)
        world.loop.world.later(delay_s + world.chance.random() * RECONNECT_S_MAX, self.connect)

    def close(self) -> None:
        """Nobody listens any more."""
        self._closed = True
        self._wire = None
        self._unlisten()

    def _up(self, wire: Wire) -> None:
        if wire is not self._wire or not self._process.alive:
            return
        world = self._world
        world.epochs += 1
        self.inbox.put(StreamUp(epoch=world.epochs))
        world.side.listeners.append(self._hear)

    def _down(self, reason: str) -> None:
        if self._process.alive and not self._closed:
            self.inbox.put(StreamDown(reason=reason))

    def _hear(self, event: AccountEvent) -> None:
        if self._wire is not None and not self.silent:
            self._wire.send(self._arrived, event)

    def _arrived(self, event: AccountEvent) -> None:
        if self._process.alive:
            if not isinstance(event, StreamUp | StreamDown):
                event = replace(event, receive_time_ns=self._process.now_ns())
            self.inbox.put(event)

    def _unlisten(self) -> None:
        if self._hear in self._world.side.listeners:
            self._world.side.listeners.remove(self._hear)
