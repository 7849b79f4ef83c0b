"""What is on its way: messages between the exchange and the bots, in the order in which they come.

What is due at the same time comes in the order of how many data events had happened when it was
sent, then of its phase, then of its sending.
"""

from collections.abc import Callable
from enum import IntEnum
from heapq import heappop, heappush
from typing import Final, TypeAlias

Key: TypeAlias = tuple[int, int, int]
"""When a message is due, how many data events had happened when it was sent, and its phase."""

NEVER: Final = 2**63 - 1
NO_KEY: Final[Key] = (NEVER, 0, 0)


class Phase(IntEnum):
    """Kinds of messages, in the order in which they come when all else is equal."""

    FILL = 0
    """What the exchange tells of orders unasked."""
    PRICE = 1
    """What the market tells: prices and closed candles."""
    ANSWER = 2
    REQUEST = 3
    WAKE = 4
    """A bot's own alarm."""


class Schedule:
    """The messages that are on their way."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, int, int, Callable[[Key], None]]] = []
        self._sent = 0

    def send(
        self, due_ns: int, happened: int, phase: Phase, deliver: Callable[[Key], None]
    ) -> None:
        """Put a message on its way; `deliver` is what happens when it comes."""
        self._sent += 1
        heappush(self._heap, (due_ns, happened, int(phase), self._sent, deliver))

    def next_key(self) -> Key:
        """The key of the next message; `NO_KEY` when there is none."""
        return self._heap[0][:3] if self._heap else NO_KEY

    def deliver(self) -> None:
        """Deliver the next message."""
        due_ns, happened, phase, _, deliver = heappop(self._heap)
        deliver((due_ns, happened, phase))
