"""`SqliteCheckpoints`: implements `ports.checkpoints.CheckpointStore` on one SQLite file."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from opensqt.adapters.sqlite.owner import BotLock
from opensqt.adapters.sqlite.rows import (
    DamagedRowError,
    execution_row,
    grid_blob,
    order_row,
    read_book,
    read_execution,
    read_order,
    slot_row,
)
from opensqt.adapters.sqlite.schema import connect, explained, transaction
from opensqt.core.grid.book import GridBook, GridChange
from opensqt.core.orders import Execution, Order
from opensqt.ports.checkpoints import BotCheckpoint, CheckpointError

Beside = Callable[[sqlite3.Connection, str], None]
"""Writes more of a bot, given by its name, within the transaction of a checkpoint."""

_UNKNOWN: Final = -1
"""The revision of a bot of which nothing is saved."""


def _nothing(_connection: sqlite3.Connection, _bot_id: str) -> None:
    return None


class SqliteCheckpoints:
    """The checkpoints of many bots, those of other processes among them.

    Args:
        path: The file; it is made if there is none.
        beside: What is saved together with every checkpoint.

    Raises:
        CheckpointError: The file cannot be used.
    """

    def __init__(self, path: Path, *, beside: Beside = _nothing) -> None:
        self._path = path
        self.beside = beside
        self.connection = connect(path)
        self._locks: dict[str, BotLock] = {}
        self._revisions: dict[str, int] = {}

    def open(self, bot_id: str) -> BotCheckpoint | None:
        """Take a bot, and load what was saved of it."""
        if bot_id not in self._locks:
            self._locks[bot_id] = BotLock.take(self._path, bot_id)
        try:
            found = self._load(bot_id)
        except CheckpointError:
            self.release(bot_id)
            raise
        self._revisions[bot_id] = _UNKNOWN if found is None else found.book.revision
        return found

    def save(self, book: GridBook, changes: Sequence[GridChange], *, now_ns: int) -> None:
        """Save a book of a bot that was taken."""
        bot_id = book.identity.bot_id
        assert bot_id in self._locks, f"bot {bot_id} was not taken"
        # Of what changed more than once, the latest is what counts.
        slots = {slot.price: slot for change in changes for slot in change.slots}
        orders = {order.client_oid: order for change in changes for order in change.orders}
        executions = [execution for change in changes for execution in change.executions]
        with explained(self._path), transaction(self.connection):
            self._put_grid(book, now_ns)
            self.connection.executemany(
                "INSERT INTO slots VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET slot = excluded.slot",
                [slot_row(bot_id, slot) for slot in slots.values()],
            )
            self.connection.executemany(
                "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                "live = excluded.live, intent = excluded.intent, "
                "executed_quote = excluded.executed_quote, execution_ids = excluded.execution_ids",
                [order_row(bot_id, order) for order in orders.values()],
            )
            self.connection.executemany(
                "INSERT INTO executions (bot_id, execution) VALUES (?, ?)",
                [execution_row(bot_id, execution) for execution in executions],
            )
            self.beside(self.connection, bot_id)
        self._revisions[bot_id] = book.revision

    def order(self, bot_id: str, client_oid: str) -> Order | None:
        """An order as it was saved last."""
        with explained(self._path):
            row = self.connection.execute(
                "SELECT intent, executed_quote, execution_ids FROM orders "
                "WHERE bot_id = ? AND client_oid = ?",
                (bot_id, client_oid),
            ).fetchone()
        with self._named(bot_id):
            return None if row is None else read_order(row)

    def orders(self, bot_id: str) -> tuple[Order, ...]:
        """Every order that was ever intended, as it was saved last, by client order id.

        Raises:
            CheckpointError: They cannot be read.
        """
        with explained(self._path):
            rows = self.connection.execute(
                "SELECT intent, executed_quote, execution_ids FROM orders "
                "WHERE bot_id = ? ORDER BY client_oid",
                (bot_id,),
            ).fetchall()
        with self._named(bot_id):
            return tuple(map(read_order, rows))

    def executions(self, bot_id: str) -> tuple[Execution, ...]:
        """Every execution, in the order in which they were counted.

        Raises:
            CheckpointError: They cannot be read.
        """
        with explained(self._path):
            rows = self.connection.execute(
                "SELECT execution FROM executions WHERE bot_id = ? ORDER BY number", (bot_id,)
            ).fetchall()
        with self._named(bot_id):
            return tuple(read_execution(row[0]) for row in rows)

    def bots(self) -> tuple[str, ...]:
        """The bots of which something is saved, by name.

        Raises:
            CheckpointError: They cannot be read.
        """
        with explained(self._path):
            rows = self.connection.execute("SELECT bot_id FROM grids ORDER BY bot_id")
            return tuple(row[0] for row in rows)

    def release(self, bot_id: str) -> None:
        """Leave a bot to others."""
        lock = self._locks.pop(bot_id, None)
        if lock is not None:
            lock.release()

    def close(self) -> None:
        """Leave every bot, and close the file."""
        for bot_id in tuple(self._locks):
            self.release(bot_id)
        self.connection.close()

    # --- inside ----------------------------------------------------------------------------------

    def _load(self, bot_id: str) -> BotCheckpoint | None:
        with explained(self._path):
            row = self.connection.execute(
                "SELECT grid, saved_ns FROM grids WHERE bot_id = ?", (bot_id,)
            ).fetchone()
            if row is None:
                return None
            with self._named(bot_id):
                book = read_book(self.connection, bot_id, row[0])
                if book.identity.bot_id != bot_id:
                    raise DamagedRowError(f"it is that of bot {book.identity.bot_id}")
                return BotCheckpoint(book=book, saved_ns=row[1])

    def _put_grid(self, book: GridBook, now_ns: int) -> None:
        """Compare and set: the lock keeps others out, and this notices if it did not."""
        bot_id = book.identity.bot_id
        known = self._revisions[bot_id]
        if known == _UNKNOWN:
            done = self.connection.execute(
                "INSERT INTO grids VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (bot_id, book.revision, now_ns, grid_blob(book)),
            )
        else:
            done = self.connection.execute(
                "UPDATE grids SET revision = ?, saved_ns = ?, grid = ? "
                "WHERE bot_id = ? AND revision = ?",
                (book.revision, now_ns, grid_blob(book), bot_id, known),
            )
        if not done.rowcount:
            raise CheckpointError(
                f"checkpoints {self._path}: somebody else has saved bot {bot_id} since it was "
                "loaded; end this process"
            )

    def _named(self, bot_id: str) -> "_Named":
        return _Named(self._path, bot_id)


class _Named:
    """Says whose rows are damaged."""

    def __init__(self, path: Path, bot_id: str) -> None:
        self._where = f"checkpoints {path}: that of bot {bot_id} is damaged"

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, DamagedRowError):
            raise CheckpointError(
                f"{self._where} ({error}); put the file aside: a bot that begins without its "
                "checkpoint asks the exchange what it has"
            ) from error
