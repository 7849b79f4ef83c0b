"""Rows to values and back. Rows go in as JSON, with numbers as text, which keeps them exact."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import orjson

from opensqt.core.grid.book import (
    BatchRecord,
    Direction,
    GridChange,
    GridIdentity,
    GridTotals,
    Slot,
    SlotStatus,
)
from opensqt.core.numbers import plain
from opensqt.core.orders import EndReason, Execution, Order, OrderStatus, Purpose, Side

Row = Mapping[str, Any]


def as_json(rows: Iterable[Row]) -> str:
    """Rows as one parameter, for ``json_populate_recordset``."""
    return orjson.dumps(list(rows), default=_text).decode()


def _text(value: Any) -> str:
    assert isinstance(value, Decimal)
    return plain(value)


def slot_row(bot_id: str, slot: Slot) -> Row:
    """A row of `state.slots`."""
    return {
        "bot_id": bot_id,
        "price": slot.price,
        "status": slot.status.value,
        "client_oid": slot.order.client_oid if slot.order else None,
        "position_qty": slot.position_qty,
        "entry_cost": slot.entry_cost,
        "exit_price": slot.exit_price,
        "cycle": slot.cycle,
        "blocked_until_ns": slot.blocked_until_ns,
        "rejections": slot.rejections,
        "revision": slot.revision,
    }


def slot_of(row: Row, orders: Mapping[str, Order]) -> Slot:
    """The slot of a row; its order is one of `orders`."""
    client_oid = row["client_oid"]
    return Slot(
        price=row["price"],
        status=SlotStatus(row["status"]),
        order=None if client_oid is None else orders[client_oid],
        position_qty=row["position_qty"],
        entry_cost=row["entry_cost"],
        exit_price=row["exit_price"],
        cycle=row["cycle"],
        blocked_until_ns=row["blocked_until_ns"],
        rejections=row["rejections"],
        revision=row["revision"],
    )


def order_row(order: Order) -> Row:
    """A row of `state.orders`; the executions have rows of their own."""
    return {
        "client_oid": order.client_oid,
        "bot_id": order.bot_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "purpose": order.purpose.value,
        "price": order.price,
        "quantity": order.quantity,
        "slot_price": order.slot_price,
        "cycle": order.cycle,
        "reduce_only": order.reduce_only,
        "post_only": order.post_only,
        "exit_price": order.exit_price,
        "batch_id": order.batch_id,
        "created_ns": order.created_ns,
        "deadline_ns": order.deadline_ns,
        "updated_ns": order.updated_ns,
        "status": order.status.value,
        "filled_quantity": order.filled_quantity,
        "filled_quote": order.filled_quote,
        "executed_quantity": order.executed_quantity,
        "executed_quote": order.executed_quote,
        "exchange_order_id": order.exchange_order_id,
        "cancel_requested": order.cancel_requested,
        "end_reason": order.end_reason.value,
        "end_text": order.end_text,
    }


def order_of(row: Row) -> Order:
    """The order of a row with the ids of its executions."""
    return Order(
        client_oid=row["client_oid"],
        bot_id=row["bot_id"],
        symbol=row["symbol"],
        side=Side(row["side"]),
        purpose=Purpose(row["purpose"]),
        price=row["price"],
        quantity=row["quantity"],
        slot_price=row["slot_price"],
        cycle=row["cycle"],
        reduce_only=row["reduce_only"],
        post_only=row["post_only"],
        batch_id=row["batch_id"],
        created_ns=row["created_ns"],
        deadline_ns=row["deadline_ns"],
        updated_ns=row["updated_ns"],
        exit_price=row["exit_price"],
        status=OrderStatus(row["status"]),
        filled_quantity=row["filled_quantity"],
        filled_quote=row["filled_quote"],
        executed_quantity=row["executed_quantity"],
        executed_quote=row["executed_quote"],
        exchange_order_id=row["exchange_order_id"],
        cancel_requested=row["cancel_requested"],
        end_reason=EndReason(row["end_reason"]),
        end_text=row["end_text"],
        execution_ids=frozenset(row["execution_ids"]),
    )


def execution_row(bot_id: str, execution: Execution) -> Row:
    """A row of `state.executions`."""
    return {
        "bot_id": bot_id,
        "client_oid": execution.client_oid,
        "execution_id": execution.execution_id,
        "symbol": execution.symbol,
        "side": execution.side.value,
        "price": execution.price,
        "quantity": execution.quantity,
        "fee": execution.fee,
        "fee_asset": execution.fee_asset,
        "maker": execution.maker,
        "exchange_time_ns": execution.exchange_time_ns,
        "realised_pnl": execution.realised_pnl,
        "slot_price": execution.slot_price,
        "exchange_order_id": execution.exchange_order_id,
    }


def execution_of(row: Row) -> Execution:
    """The execution of a row."""
    return Execution(
        execution_id=row["execution_id"],
        client_oid=row["client_oid"],
        symbol=row["symbol"],
        side=Side(row["side"]),
        price=row["price"],
        quantity=row["quantity"],
        fee=row["fee"],
        fee_asset=row["fee_asset"],
        maker=row["maker"],
        exchange_time_ns=row["exchange_time_ns"],
        realised_pnl=row["realised_pnl"],
        slot_price=row["slot_price"],
        exchange_order_id=row["exchange_order_id"],
    )


def batch_rows(change: GridChange) -> list[Row]:
    """The row of `state.batches`, if the change commits a batch."""
    batch = change.batch
    if batch is None:
        return []
    return [
        {
            "bot_id": change.bot_id,
            "batch_id": batch.batch_id,
            "revision": batch.revision,
            "placed": batch.placed,
            "canceled": batch.canceled,
            "request_id": batch.request_id,
        }
    ]


def batch_of(row: Row) -> BatchRecord:
    """The batch of a row."""
    return BatchRecord(
        batch_id=row["batch_id"],
        revision=row["revision"],
        placed=tuple(row["placed"]),
        canceled=tuple(row["canceled"]),
        request_id=row["request_id"],
    )


def identity_of(row: Row) -> GridIdentity:
    """What never changes, of a row of `state.grids`."""
    return GridIdentity(
        bot_id=row["bot_id"],
        account=row["account"],
        symbol=row["symbol"],
        quote=row["quote"],
        direction=Direction(row["direction"]),
        anchor=row["anchor"],
        interval=row["interval"],
        epoch=row["epoch"],
    )


def totals_of(row: Row) -> GridTotals:
    """Profit and loss, of a row of `state.grids`."""
    return GridTotals(
        realised_pnl=row["realised_pnl"],
        fees=row["fees"],
        fills=row["fills"],
        buys=row["buys"],
        sells=row["sells"],
        orders=row["orders"],
        fees_unknown=row["fees_unknown"],
    )
