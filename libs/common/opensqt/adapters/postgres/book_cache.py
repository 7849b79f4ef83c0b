"""What this process remembers of the books, so that a change costs one statement and no reading.

A remembered book is true as of its revision. Whether that revision is still the newest, the
statement that commits finds out; so a stale book costs a second look, and never a wrong change.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from opensqt.core.grid.book import GridBook, GridChange
from opensqt.core.orders import Order
from opensqt.ports import Wanted

ENDED_MAX: Final = 512
"""Ended orders that are remembered: the last words on an order often come after its end."""

CHANGES_MAX: Final = 256
"""Changes that are remembered for the watchers."""


class RememberedBook:
    """One grid's book, with what ended lately and what changed lately."""

    def __init__(self, book: GridBook) -> None:
        self._book = book.trimmed()
        self._ended: OrderedDict[str, Order] = OrderedDict()
        self._changes: deque[GridChange] = deque(maxlen=CHANGES_MAX)
        self._remember_ended(tuple(book.orders.values()))

    @property
    def revision(self) -> int:
        """The revision that is remembered."""
        return self._book.revision

    @property
    def book(self) -> GridBook:
        """The book with its live orders."""
        return self._book

    def missing(self, wanted: Wanted) -> tuple[str, ...]:
        """Of the orders that are wanted, those that are not remembered."""
        return tuple(
            client_oid
            for client_oid in wanted.order_ids
            if client_oid not in self._book.orders and client_oid not in self._ended
        )

    def recall(self, orders: tuple[Order, ...]) -> None:
        """Remember orders that were just read; live ones the book has, if it is still the newest.

        Should they be newer than the book, so is the grid's revision, and nothing can be committed
        on this book any more.
        """
        self._remember_ended(orders)

    def with_orders(self, wanted: Wanted) -> GridBook | None:
        """The book with the orders that are wanted; None when one of them is not remembered.

        Wanted batches are not there. Where that matters, the decision is a refusal or the commit
        fails, and either is decided again on the book as it is stored.
        """
        if self.missing(wanted):
            return None
        asked = {oid: self._ended[oid] for oid in wanted.order_ids if oid in self._ended}
        return replace(self._book, orders={**self._book.orders, **asked}) if asked else self._book

    def commit(self, book: GridBook, change: GridChange, *, asked: Iterable[str]) -> None:
        """Move on by a change that was committed.

        Args:
            book: The book after it.
            change: What was committed.
            asked: The orders of `book` that may have ended before: a look at each of a big book's
                orders, with every change, would take longer than the change.
        """
        assert change.revision == self.revision + 1
        orders = dict(book.orders)
        for client_oid in (*asked, *(order.client_oid for order in change.orders)):
            if client_oid in orders and orders[client_oid].status.terminal:
                del orders[client_oid]
        self._book = replace(book, orders=orders, batches={})
        self._remember_ended(change.orders)
        self._changes.append(change)

    def changes_after(self, revision: int, limit: int) -> tuple[GridChange, ...]:
        """Changes after a revision as far as they are remembered; empty when they are not."""
        if not self._changes or not self._changes[0].revision <= revision + 1 <= self.revision:
            return ()
        skipped = revision + 1 - self._changes[0].revision
        return tuple(list(self._changes)[skipped : skipped + limit])

    def _remember_ended(self, orders: tuple[Order, ...]) -> None:
        for order in orders:
            self._ended.pop(order.client_oid, None)
            if order.status.terminal:
                self._ended[order.client_oid] = order
        while len(self._ended) > ENDED_MAX:
            self._ended.popitem(last=False)


class OrderOwners:
    """Which bot owns an order, of as many orders as fit."""

    def __init__(self, size_max: int) -> None:
        self._size_max = size_max
        self._bots: OrderedDict[str, str] = OrderedDict()

    def get(self, client_oid: str) -> str | None:
        """The bot, if it is remembered."""
        return self._bots.get(client_oid)

    def add(self, client_oid: str, bot_id: str) -> None:
        """Remember an owner, which never changes."""
        self._bots[client_oid] = bot_id
        if len(self._bots) > self._size_max:
            self._bots.popitem(last=False)
