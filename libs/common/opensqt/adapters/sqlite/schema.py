"""The file of checkpoints: how it is opened, and what is in it.

The write-ahead log lets others read while we write. `synchronous` is FULL: a commit that a power
cut takes back would be worse than none, since its orders were sent. The next ones would get the
same ids, and an exchange takes the id of an order that has ended once more.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from opensqt.ports.checkpoints import CheckpointError

APPLICATION_ID: Final = 0x4F535154
"""In the head of every file of ours: "OSQT"."""
VERSION: Final = 1
HEAD_BYTES: Final = 100
"""Of every SQLite file. A shorter one SQLite takes for an empty one, and writes over."""
BUSY_S: Final = 5.0
"""How long one process waits for another one's transaction."""

_TABLES: Final = """
CREATE TABLE grids (
    bot_id TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    saved_ns INTEGER NOT NULL,
    grid BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE slots (
    bot_id TEXT NOT NULL REFERENCES grids,
    price TEXT NOT NULL,
    slot BLOB NOT NULL,
    PRIMARY KEY (bot_id, price)
) STRICT, WITHOUT ROWID;
CREATE TABLE orders (
    bot_id TEXT NOT NULL REFERENCES grids,
    client_oid TEXT NOT NULL,
    live INTEGER NOT NULL,
    intent BLOB NOT NULL,
    executed_quote TEXT NOT NULL,
    execution_ids TEXT NOT NULL,
    PRIMARY KEY (bot_id, client_oid)
) STRICT, WITHOUT ROWID;
CREATE INDEX live_orders ON orders (bot_id) WHERE live;
CREATE TABLE executions (
    number INTEGER PRIMARY KEY,
    bot_id TEXT NOT NULL REFERENCES grids,
    execution BLOB NOT NULL
) STRICT;
CREATE INDEX executions_of_bots ON executions (bot_id, number);
CREATE TABLE worlds (
    bot_id TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    ticks INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE requests (
    bot_id TEXT NOT NULL REFERENCES worlds,
    number INTEGER NOT NULL,
    ticks INTEGER NOT NULL,
    now_ns INTEGER NOT NULL,
    cancels INTEGER NOT NULL,
    intent BLOB NOT NULL,
    PRIMARY KEY (bot_id, number)
) STRICT, WITHOUT ROWID;
"""
"""`worlds` and `requests` are those of simulated exchanges, which are saved with their bots."""


def connect(path: Path) -> sqlite3.Connection:
    """Open a file of checkpoints; an empty or missing one becomes one.

    Raises:
        CheckpointError: It cannot be opened, is damaged, of another program, or of another version.
    """
    if path.is_file() and 0 < path.stat().st_size < HEAD_BYTES:
        raise _unusable(path, "it is damaged or no file of checkpoints (it ends within its head)")
    with explained(path):
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            _refuse_strange(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            _create(connection)
            _refuse_damaged(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Say what is wrong with the file instead of what SQLite says."""
    try:
        yield
    except sqlite3.OperationalError as error:  # locked, full, read-only, not to be opened
        raise CheckpointError(f"checkpoints {path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise _unusable(path, f"it is damaged or no file of checkpoints ({error})") from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit all of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _refuse_strange(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if (application, version, objects) == (0, 0, 0):
        return
    if application != APPLICATION_ID:
        raise _unusable(path, "it is a database of another program")
    if version != VERSION:
        raise _unusable(path, f"its version is {version}; this program knows {VERSION}")


def _refuse_damaged(connection: sqlite3.Connection, path: Path) -> None:
    (problem,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if problem != "ok":
        raise _unusable(path, f"it is damaged ({problem})")


def _create(connection: sqlite3.Connection) -> None:
    with transaction(connection):
        if connection.execute("PRAGMA user_version").fetchone()[0]:
            return  # it is made already, perhaps by another process just now
        for statement in _TABLES.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _unusable(path: Path, why: str) -> CheckpointError:
    return CheckpointError(
        f"checkpoints {path}: {why}; put it aside or name another file. A bot that begins without "
        "its checkpoint asks the exchange what it has"
    )
