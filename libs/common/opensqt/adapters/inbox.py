"""Inboxes: what arrives faster than it is taken, kept under a rule that is stated.

An inbox has one taker, and any number of givers in the same event loop; giving never waits.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class Inbox(ABC, Generic[T]):
    """Waiting for something to arrive; iterates until it is closed."""

    def __init__(self) -> None:
        self._arrival: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """Nothing will be taken from it any more."""
        return self._closed

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def _take(self) -> T:
        """Remove the next item; called only when there is one."""

    def close(self) -> None:
        """End the iteration at once; what was not taken is left behind."""
        self._closed = True
        self._wake()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._closed:
            if len(self):
                return self._take()
            self._arrival = asyncio.get_running_loop().create_future()
            try:
                await self._arrival
            finally:
                self._arrival = None
        raise StopAsyncIteration

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)


class LatestInbox(Inbox[T]):
    """Keeps the latest item of each key: one that is overtaken before it is taken is dropped."""

    def __init__(self) -> None:
        super().__init__()
        self._items: dict[str, T] = {}
        self.overtaken = 0
        """Items that were dropped because a newer one came."""

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: str) -> bool:
        return key in self._items

    def put(self, key: str, item: T) -> None:
        """Give an item; the key keeps its turn."""
        if key in self._items:
            self.overtaken += 1
        self._items[key] = item
        self._wake()

    def _take(self) -> T:
        return self._items.pop(next(iter(self._items)))


class QueueInbox(Inbox[T]):
    """Keeps every item in order, up to a bound.

    Args:
        size_max: Items that are kept; None for those whose number is bounded by their giver.
        on_overflow: Called for each item that finds the inbox full, and is dropped.
    """

    def __init__(
        self, *, size_max: int | None = None, on_overflow: Callable[[T], object] | None = None
    ) -> None:
        super().__init__()
        self._items: deque[T] = deque()
        self._size_max = size_max
        self._on_overflow = on_overflow

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> bool:
        """Give an item; False when it was dropped."""
        if self._closed or (self._size_max is not None and len(self._items) >= self._size_max):
            if self._on_overflow is not None and not self._closed:
                self._on_overflow(item)
            return False
        self._items.append(item)
        self._wake()
        return True

    def leftovers(self) -> tuple[T, ...]:
        """What was given and not taken."""
        return tuple(self._items)

    def _take(self) -> T:
        return self._items.popleft()
