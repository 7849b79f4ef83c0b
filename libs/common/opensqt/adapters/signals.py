"""Signals: names that something happened to, for any number of listeners.

Signals of one name run together while nobody takes them, so a listener never has more to do than
there are names.
"""

import contextlib
from collections.abc import AsyncIterator, Iterable

from opensqt.adapters.inbox import LatestInbox


class Signals:
    """Tells every listener the names that are sent while it listens."""

    def __init__(self) -> None:
        self._inboxes: list[LatestInbox[str]] = []

    def send(self, name: str) -> None:
        """Tell a name."""
        for inbox in self._inboxes:
            inbox.put(name, name)

    @contextlib.asynccontextmanager
    async def listen(self, first: Iterable[str] = ()) -> AsyncIterator[AsyncIterator[str]]:
        """Hear names from now on; the iterator ends when the context is left.

        Args:
            first: Names to begin with.
        """
        inbox: LatestInbox[str] = LatestInbox()
        for name in first:
            inbox.put(name, name)
        self._inboxes.append(inbox)
        try:
            yield inbox
        finally:
            self._inboxes.remove(inbox)
            inbox.close()
