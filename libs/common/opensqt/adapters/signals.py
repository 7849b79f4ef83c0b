"""Signals: names that something happened to, for any number of listeners.

Signals of one name run together while nobody takes them, so a listener never has more to do than
there are names.
"""

import contextlib
from collections.abc import AsyncIterator

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
    async def listen(self) -> AsyncIterator[AsyncIterator[str]]:
        """Hear names from now on; the iterator ends when the context is left."""
        inbox: LatestInbox[str] = LatestInbox()
        self._inboxes.append(inbox)
        try:
            yield inbox
        finally:
            self._inboxes.remove(inbox)
            inbox.close()
