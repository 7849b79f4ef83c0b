"""Requests that this process has sent and not yet recorded an answer of.

Whoever settles leaves these alone: the answer is about to come, and asking beside it tells nothing
that could be relied upon.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class InFlight:
    """Client order ids of the requests on their way, with how often each is."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def __contains__(self, client_oid: str) -> bool:
        return client_oid in self._counts

    def __len__(self) -> int:
        return sum(self._counts.values())

    def add(self, client_oid: str) -> None:
        """A request is about to be sent."""
        self._counts[client_oid] = self._counts.get(client_oid, 0) + 1

    def remove(self, client_oid: str) -> None:
        """Its answer is recorded, or was given up."""
        left = self._counts[client_oid] - 1
        if left:
            self._counts[client_oid] = left
        else:
            del self._counts[client_oid]

    @contextmanager
    def sending(self, client_oids: Iterable[str]) -> Iterator[None]:
        """Keep requests in flight while the context is open."""
        kept = tuple(client_oids)
        for client_oid in kept:
            self.add(client_oid)
        try:
            yield
        finally:
            for client_oid in kept:
                self.remove(client_oid)
