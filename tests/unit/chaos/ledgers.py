"""A small ledger and the exchange's books that belong to it, for tests of the referee."""

from dataclasses import replace
from decimal import Decimal as D
from typing import Any

from chaos.books import ExchangeFill, ExchangeOrder, Ours, Theirs, read_ours
from opensqt.core.grid.results import PlacementResult
from opensqt.core.orders import Order, OrderStatus, Side
from opensqt.testing.grids import (
    DEADLINE_NS,
    NOW_NS,
    batch_on,
    closing,
    execution,
    identity,
    opening,
    update,
)
from opensqt.testing.memory_positions import MemoryPositions
from opensqt.testing.memory_store import MemoryStore

BOT = "btc"
STATUS = {OrderStatus.NEW: "NEW", OrderStatus.PARTIALLY_FILLED: "PARTIALLY_FILLED"}


class Clock:
    def now_ns(self) -> int:
        return NOW_NS


async def traded() -> tuple[Ours, Theirs]:
    """Slot 99 bought and half sold again, slot 98 resting, slot 97 refused."""
    positions = MemoryPositions(MemoryStore(), Clock())
    book = await positions.register_grid(identity(BOT))
    batch = batch_on(book, opening(99), opening(98), opening(97))
    placed = (await positions.reserve(batch, deadline_ns=DEADLINE_NS)).to_place
    await positions.record(
        BOT,
        (
            result(placed[0], OrderStatus.NEW, "e1"),
            result(placed[1], OrderStatus.NEW, "e2"),
            result(placed[2], OrderStatus.REJECTED, ""),
        ),
    )
    bought = replace(placed[0], exchange_order_id="e1")
    fill = execution(bought, "x1", "0.01")
    await positions.apply(update(bought, OrderStatus.FILLED, "0.01", fill=fill))
    book = await positions.grid(BOT)
    batch = batch_on(book, closing(book, 99))
    (close,) = (await positions.reserve(batch, deadline_ns=DEADLINE_NS)).to_place
    await positions.record(BOT, (result(close, OrderStatus.NEW, "e3"),))
    sold = replace(close, exchange_order_id="e3")
    half = execution(sold, "x2", "0.004")
    await positions.apply(update(sold, OrderStatus.PARTIALLY_FILLED, "0.004", fill=half))
    theirs = Theirs(
        orders=(
            taken(bought, "FILLED", "0.01"),
            taken(replace(placed[1], exchange_order_id="e2"), "NEW", "0"),
            taken(sold, "PARTIALLY_FILLED", "0.004"),
        ),
        fills=(
            ExchangeFill(
                execution_id="x1",
                order_id="e1",
                side=Side.BUY,
                price=D(99),
                quantity=D("0.01"),
                fee=D("0.0002"),
            ),
            ExchangeFill(
                execution_id="x2",
                order_id="e3",
                side=Side.SELL,
                price=D(100),
                quantity=D("0.004"),
                fee=D("0.0002"),
            ),
        ),
        position=D("0.006"),
    )
    return await read_ours(positions, BOT), theirs


def result(order: Order, status: OrderStatus, exchange_order_id: str) -> PlacementResult:
    return PlacementResult(
        client_oid=order.client_oid, status=status, exchange_order_id=exchange_order_id
    )


def taken(order: Order, status: str, executed: str) -> ExchangeOrder:
    return ExchangeOrder(
        order_id=order.exchange_order_id,
        client_oid=order.client_oid,
        status=status,
        price=order.price,
        quantity=order.quantity,
        executed=D(executed),
    )


def with_order(books: Any, index: int, **changes: Any) -> Any:
    """Either side's books with one of its orders changed."""
    orders = list(books.orders)
    orders[index] = replace(orders[index], **changes)
    return replace(books, orders=tuple(orders))
