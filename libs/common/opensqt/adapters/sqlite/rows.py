"""Grids, slots, orders and executions as rows, and back; what is read is checked.

The values are written as on the wire. What an order has of its executions matters to whoever keeps
it alone, is not on the wire, and stands beside it.
"""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from google.protobuf.message import DecodeError

from opensqt.core.errors import Refusal
from opensqt.core.grid.book import GridBook, Slot
from opensqt.core.grid.invariants import book_problem
from opensqt.core.numbers import NotExactError, parse_decimal, plain
from opensqt.core.orders import Execution, Order
from opensqt.market_maker.v1.resources_pb2 import Order as OrderMessage
from opensqt.market_maker.v1.resources_pb2 import Trade
from opensqt.market_maker.v1.state_pb2 import GridState, InventorySlot
from opensqt.wire.resources import (
    decode_execution,
    decode_order,
    encode_execution,
    encode_order,
)
from opensqt.wire.state import decode_grid, decode_slot, encode_grid, encode_slot


class DamagedRowError(Exception):
    """A row that nothing of ours has written, or a book that no bot can have."""


def grid_blob(book: GridBook) -> bytes:
    """A grid without slots and orders."""
    return encode_grid(replace(book, slots={}, orders={})).SerializeToString()


def slot_row(bot_id: str, slot: Slot) -> tuple[str, str, bytes]:
    """A slot; levels that are equal have the same key, however their price was written."""
    return bot_id, plain(slot.price), encode_slot(slot).SerializeToString()


def order_row(bot_id: str, order: Order) -> tuple[str, str, int, bytes, str, str]:
    """An order."""
    return (
        bot_id,
        order.client_oid,
        int(not order.status.terminal),
        order_blob(order),
        str(order.executed_quote),
        json.dumps(sorted(order.execution_ids)),
    )


def order_blob(order: Order) -> bytes:
    """An order, without what it has of its executions."""
    return encode_order(order).SerializeToString()


def execution_row(bot_id: str, execution: Execution) -> tuple[str, bytes]:
    """An execution."""
    return bot_id, encode_execution(execution).SerializeToString()


def read_order_blob(blob: bytes) -> Order:
    """An order, without what it had of its executions.

    Raises:
        DamagedRowError: It is none.
    """
    try:
        return decode_order(OrderMessage.FromString(blob))
    except (DecodeError, Refusal) as error:
        raise DamagedRowError(f"an order: {error}") from error


def read_order(row: tuple[bytes, str, str]) -> Order:
    """An order, from its blob, its executed quote and its execution ids.

    Raises:
        DamagedRowError: It is none.
    """
    blob, executed_quote, execution_ids = row
    order = read_order_blob(blob)
    try:
        return replace(
            order,
            executed_quote=Decimal(parse_decimal(executed_quote)),
            execution_ids=frozenset(str(item) for item in json.loads(execution_ids)),
        )
    except (NotExactError, ValueError, TypeError) as error:
        raise DamagedRowError(f"the executions of {order.client_oid}: {error}") from error


def read_execution(blob: bytes) -> Execution:
    """An execution.

    Raises:
        DamagedRowError: It is none.
    """
    try:
        return decode_execution(Trade.FromString(blob))
    except (DecodeError, Refusal) as error:
        raise DamagedRowError(f"an execution: {error}") from error


def read_book(connection: sqlite3.Connection, bot_id: str, blob: bytes) -> GridBook:
    """The book of a grid, from its blob and the rows of its slots and live orders.

    Raises:
        DamagedRowError: It is no book that a bot can have.
    """
    live = connection.execute(
        "SELECT intent, executed_quote, execution_ids FROM orders WHERE bot_id = ? AND live",
        (bot_id,),
    )
    orders = {order.client_oid: order for order in map(read_order, live)}
    slots = connection.execute("SELECT slot FROM slots WHERE bot_id = ?", (bot_id,))
    try:
        bare = decode_grid(GridState.FromString(blob))
        book = replace(bare, slots=_bound((row[0] for row in slots), orders), orders=orders)
    except (DecodeError, Refusal) as error:
        raise DamagedRowError(str(error)) from error
    if problem := book_problem(book):
        raise DamagedRowError(problem)
    return book


def _bound(blobs: Iterable[bytes], orders: dict[str, Order]) -> dict[Decimal, Slot]:
    """The slots, with their orders as those know them."""
    found = {}
    for blob in blobs:
        slot = decode_slot(InventorySlot.FromString(blob))
        if slot.order is not None:
            slot = replace(slot, order=orders.get(slot.order.client_oid, slot.order))
        found[slot.price] = slot
    return found
