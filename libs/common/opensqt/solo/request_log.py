"""`RequestLog`: what brings a simulated exchange back, saved with the bot's own checkpoints.

Both go into one transaction, so that the exchange and the bot always come back from one moment.
"""

import sqlite3
from dataclasses import dataclass

from opensqt.adapters.sqlite.checkpoints import SqliteCheckpoints
from opensqt.adapters.sqlite.rows import DamagedRowError, order_blob, read_order_blob
from opensqt.ports import CheckpointError
from opensqt.solo.market import RecordedMarket, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMarket:
    """A simulated exchange as it was saved last."""

    description: str
    ticks: int
    requests: tuple[Request, ...]


class RequestLog:
    """Saves one bot's exchange whenever the bot is saved.

    Args:
        market: The exchange.
        description: What it plays, and by which rules; it must be the same ever after.
    """

    def __init__(self, market: RecordedMarket, description: str) -> None:
        self._market = market
        self._description = description

    def write(self, connection: sqlite3.Connection, bot_id: str) -> None:
        """Save what is new, within a transaction that may yet fail."""
        requests = self._market.requests
        connection.execute(
            "INSERT INTO worlds VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET ticks = excluded.ticks",
            (bot_id, self._description, self._market.ticks),
        )
        (saved,) = connection.execute(
            "SELECT coalesce(max(number) + 1, 0) FROM requests WHERE bot_id = ?", (bot_id,)
        ).fetchone()
        connection.executemany(
            "INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?)",
            [
                (bot_id, number, item.ticks, item.now_ns, int(item.cancels), order_blob(item.order))
                for number, item in enumerate(requests[saved:], start=saved)
            ],
        )


def read_market(checkpoints: SqliteCheckpoints, bot_id: str) -> KeptMarket | None:
    """The exchange that was saved with a bot; None if none was.

    Raises:
        CheckpointError: It cannot be read.
    """
    connection = checkpoints.connection
    try:
        row = connection.execute(
            "SELECT description, ticks FROM worlds WHERE bot_id = ?", (bot_id,)
        ).fetchone()
        rows = connection.execute(
            "SELECT ticks, now_ns, cancels, intent FROM requests WHERE bot_id = ? ORDER BY number",
            (bot_id,),
        ).fetchall()
        requests = tuple(
            Request(
                order=read_order_blob(intent), cancels=bool(cancels), ticks=ticks, now_ns=now_ns
            )
            for ticks, now_ns, cancels, intent in rows
        )
    except (sqlite3.DatabaseError, DamagedRowError) as error:
        raise CheckpointError(f"the simulated exchange of bot {bot_id}: {error}") from error
    return None if row is None else KeptMarket(description=row[0], ticks=row[1], requests=requests)
