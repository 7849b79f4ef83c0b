"""Checkpoints in a file: whole or not at all, one process a bot, and nothing strange believed."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal as D
from pathlib import Path

import pytest

from opensqt.adapters.sqlite.checkpoints import SqliteCheckpoints
from opensqt.core.grid.book import GridBook, GridChange
from opensqt.core.grid.brain import Brain
from opensqt.core.grid.slots import SlotManager
from opensqt.core.orders import Order, OrderStatus
from opensqt.ports import CheckpointError
from opensqt.testing.engine_world import BOT
from opensqt.testing.grids import (
    DEADLINE_NS,
    NOW_NS,
    batch_on,
    execution,
    filled,
    grid,
    opening,
    update,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteCheckpoints]:
    opened = SqliteCheckpoints(path)
    yield opened
    opened.close()


class Grid:
    """A grid whose changes are kept until they are saved."""

    def __init__(self, bot_id: str = "btc") -> None:
        self.changes: list[GridChange] = []
        self.brain = Brain(
            replace(grid(bot_id), revision=0),
            config=BOT.grid,
            instrument=BOT.instrument,
            on_change=self.changes.append,
        )

    @property
    def book(self) -> GridBook:
        return self.brain.book

    def place(self, *levels: int) -> tuple[Order, ...]:
        batch = batch_on(self.book, *(opening(level) for level in levels))
        outcome = SlotManager(self.book).reserve(batch, deadline_ns=DEADLINE_NS, now_ns=NOW_NS)
        return self.brain._take(outcome).to_place

    def save(self, store: SqliteCheckpoints, now_ns: int = NOW_NS) -> None:
        store.save(self.book, self.changes, now_ns=now_ns)
        self.changes.clear()


def again(path: Path) -> SqliteCheckpoints:
    """The file as a process sees it that was not there before."""
    return SqliteCheckpoints(path)


def test_what_was_saved_comes_back_to_the_last_digit(store: SqliteCheckpoints, path: Path) -> None:
    assert store.open("btc") is None
    bot = Grid()
    first, second, _ = bot.place(99, 98, 97)
    bot.save(store)
    fill = execution(first, "e1", "0.003", price="98.9999999999999999", fee="0.000000000001")
    bot.brain.apply(update(first, OrderStatus.PARTIALLY_FILLED, "0.003", fill=fill), now_ns=NOW_NS)
    bot.brain.apply(filled(second, "e2"), now_ns=NOW_NS)
    bot.save(store, NOW_NS + 7)
    store.close()
    found = (reopened := again(path)).open("btc")
    assert found is not None
    assert found.book == bot.book
    assert found.saved_ns == NOW_NS + 7
    assert found.book.orders[first.client_oid].execution_ids == {"e1"}
    assert found.book.slots[D(99)].order == found.book.orders[first.client_oid]
    assert [e.execution_id for e in reopened.executions("btc")] == ["e1", "e2"]
    ended = reopened.order("btc", second.client_oid)
    assert ended is not None
    assert ended.status is OrderStatus.FILLED
    assert ended.execution_ids == {"e2"}
    assert reopened.order("btc", "unknown") is None
    assert len(reopened.orders("btc")) == 3
    reopened.close()


def test_what_was_counted_before_a_restart_is_not_counted_again(
    store: SqliteCheckpoints, path: Path
) -> None:
    store.open("btc")
    bot = Grid()
    (order,) = bot.place(99)
    told = update(
        order, OrderStatus.PARTIALLY_FILLED, "0.003", fill=execution(order, "e1", "0.003")
    )
    bot.brain.apply(told, now_ns=NOW_NS)
    bot.save(store)
    store.close()
    found = (reopened := again(path)).open("btc")
    assert found is not None
    reborn = Brain(found.book, config=BOT.grid, instrument=BOT.instrument)
    assert not reborn.apply(told, now_ns=NOW_NS).changed
    reopened.close()


def test_bots_are_kept_apart(store: SqliteCheckpoints, path: Path) -> None:
    for name, level in (("btc", 99), ("eth", 98)):
        store.open(name)
        bot = Grid(name)
        bot.place(level)
        bot.save(store)
    other = again(path)
    assert other.bots() == ("btc", "eth")
    store.release("eth")
    found = other.open("eth")
    assert found is not None
    assert set(found.book.slots) == {D(98)}
    other.close()


def test_a_bot_runs_once(store: SqliteCheckpoints, path: Path) -> None:
    store.open("btc")
    other = again(path)
    with pytest.raises(CheckpointError, match="bot btc is run by process"):
        other.open("btc")
    other.open("eth")
    store.release("btc")
    other.open("btc")
    other.close()


def test_a_save_that_was_overtaken_is_refused(store: SqliteCheckpoints) -> None:
    store.open("btc")
    bot = Grid()
    bot.save(store)
    store.connection.execute("UPDATE grids SET revision = 77")
    bot.place(99)
    with pytest.raises(CheckpointError, match="somebody else has saved bot btc"):
        bot.save(store)
    assert store.orders("btc") == ()


def test_a_save_is_whole_or_not_at_all(store: SqliteCheckpoints, path: Path) -> None:
    store.open("btc")
    bot = Grid()
    bot.save(store)

    def stumble(connection: sqlite3.Connection, bot_id: str) -> None:
        rows = connection.execute("SELECT count(*) FROM orders WHERE bot_id = ?", (bot_id,))
        assert rows.fetchone() == (1,)
        raise sqlite3.OperationalError("disk full")

    store.beside = stumble
    bot.place(99)
    with pytest.raises(CheckpointError, match="disk full"):
        store.save(bot.book, bot.changes, now_ns=NOW_NS)
    assert store.orders("btc") == ()
    store.beside = lambda _connection, _bot_id: None
    bot.save(store)
    store.release("btc")
    found = (other := again(path)).open("btc")
    assert found is not None
    assert found.book == bot.book
    other.close()


def test_a_commit_survives_a_power_cut(store: SqliteCheckpoints) -> None:
    """As far as that is SQLite's: the log is synchronised with every commit."""
    assert store.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store.connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_another_version_is_refused(store: SqliteCheckpoints, path: Path) -> None:
    store.connection.execute("PRAGMA user_version = 2")
    with pytest.raises(CheckpointError, match=r"its version is 2; this program knows 1"):
        again(path)


def test_a_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE grids (id)")
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="of another program"):
        again(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database, but long enough to be read" * 9, b"x"])
def test_what_is_no_database_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged or no file of checkpoints"):
        again(path)


def test_a_damaged_page_is_noticed(store: SqliteCheckpoints, path: Path) -> None:
    store.open("btc")
    bot = Grid()
    bot.place(*range(50, 99))
    bot.save(store)
    store.close()
    content = bytearray(path.read_bytes())
    for place in range(4096, len(content) - 64, 512):
        content[place : place + 64] = b"\xff" * 64
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"damaged|malformed"):
        again(path).open("btc")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE slots SET slot = x'ff'",
        "UPDATE orders SET intent = x'ff'",
        "UPDATE orders SET executed_quote = 'much'",
        "UPDATE orders SET execution_ids = '{'",
        "UPDATE grids SET grid = x'ff'",
        "DELETE FROM slots",
        "DELETE FROM orders",
    ],
)
def test_a_damaged_row_is_noticed_and_named(
    store: SqliteCheckpoints, path: Path, damage: str
) -> None:
    store.open("btc")
    bot = Grid()
    bot.place(99)
    bot.save(store)
    store.connection.execute(damage)
    store.close()
    reopened = again(path)
    with pytest.raises(CheckpointError, match=r"that of bot btc is damaged .*put the file aside"):
        reopened.open("btc")
    reopened.close()


def test_a_place_where_no_file_can_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="unable to open"):
        SqliteCheckpoints(tmp_path / "nowhere" / "checkpoints.sqlite")
