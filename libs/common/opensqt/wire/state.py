"""The ledger: slots, grids and their changes."""

from decimal import Decimal
from typing import Final

from opensqt.core.grid.book import (
    BatchRecord,
    GridBook,
    GridChange,
    GridIdentity,
    GridTotals,
    Slot,
    SlotStatus,
)
from opensqt.core.identifiers import IdentifierError, check_bot_id
from opensqt.core.numbers import divide, round_to
from opensqt.market_maker.v1 import state_pb2 as pb
from opensqt.wire.enums import (
    DIRECTION,
    POSITION_STATUS,
    SLOT_STATUS,
    STANDING,
)
from opensqt.wire.fields import (
    TEXT_LENGTH_MAX,
    encode_decimal,
    encode_optional,
    encode_time,
    not_allowed,
    path,
    read_count,
    read_decimal,
    read_optional_decimal,
    read_optional_text,
    read_positive,
    read_text,
    read_time,
)
from opensqt.wire.resources import decode_execution, decode_order, encode_execution, encode_order

_INT64_MAX: Final = 2**63 - 1
_PRICE_STEP: Final = Decimal("1e-12")


def encode_slot(slot: Slot) -> pb.InventorySlot:
    """One level; `order_id` and `entry_price` are worked out from what it holds."""
    order = slot.order
    exchange_id = order.exchange_order_id if order else ""
    number = int(exchange_id) if exchange_id.isascii() and exchange_id.isdigit() else 0
    held = slot.position_qty
    return pb.InventorySlot(
        price=encode_decimal(slot.price),
        slot_status=SLOT_STATUS.encode(slot.status),
        position_status=POSITION_STATUS.encode(slot.position_status),
        order_id=number if number <= _INT64_MAX else 0,
        client_oid=order.client_oid if order else "",
        position_qty=encode_decimal(held),
        exchange_order_id=exchange_id,
        cycle=slot.cycle,
        entry_price=encode_optional(_entry_price(slot)),
        exit_price=encode_optional(slot.exit_price),
        order=encode_order(order) if order else None,
        blocked_until=encode_time(slot.blocked_until_ns) if slot.blocked_until_ns else None,
        rejections=slot.rejections,
        revision=slot.revision,
        entry_cost=encode_decimal(slot.entry_cost),
    )


def decode_slot(message: pb.InventorySlot, where: str = "slot") -> Slot:
    """One level.

    Raises:
        Refusal: A field is missing or not allowed, or the slot's order and its status disagree.
    """
    status = SLOT_STATUS.read(message, "slot_status", where)
    order = decode_order(message.order, path(where, "order")) if message.HasField("order") else None
    if (order is None) != (status is SlotStatus.FREE):
        raise not_allowed(path(where, "slot_status"), status, "FREE without an order, and only so")
    return Slot(
        price=read_positive(message, "price", where),
        status=status,
        order=order,
        position_qty=read_decimal(message, "position_qty", where),
        entry_cost=read_decimal(message, "entry_cost", where),
        exit_price=read_optional_decimal(message, "exit_price", where),
        cycle=read_count(message, "cycle", where),
        blocked_until_ns=(
            read_time(message, "blocked_until", where) if message.HasField("blocked_until") else 0
        ),
        rejections=read_count(message, "rejections", where),
        revision=read_count(message, "revision", where),
    )


def encode_identity(identity: GridIdentity) -> pb.GridIdentity:
    """What never changes of a grid."""
    return pb.GridIdentity(
        bot_id=identity.bot_id,
        account=identity.account,
        symbol=identity.symbol,
        direction=DIRECTION.encode(identity.direction),
        anchor=encode_decimal(identity.anchor),
        interval=encode_decimal(identity.interval),
        epoch=identity.epoch,
        quote=identity.quote,
    )


def decode_identity(message: pb.GridIdentity, where: str = "identity") -> GridIdentity:
    """What never changes of a grid.

    Raises:
        Refusal: A field is missing or not allowed.
    """
    try:
        bot_id = check_bot_id(read_text(message, "bot_id", where))
    except IdentifierError:
        raise not_allowed(path(where, "bot_id"), message.bot_id, "[a-z][a-z0-9_-]{0,31}") from None
    return GridIdentity(
        bot_id=bot_id,
        account=read_text(message, "account", where),
        symbol=read_text(message, "symbol", where),
        direction=DIRECTION.read(message, "direction", where),
        anchor=read_positive(message, "anchor", where),
        interval=read_positive(message, "interval", where),
        epoch=read_count(message, "epoch", where),
        quote=read_text(message, "quote", where),
    )


def encode_totals(totals: GridTotals) -> pb.GridTotals:
    """Profit and loss."""
    return pb.GridTotals(
        realised_pnl=encode_decimal(totals.realised_pnl),
        fees=encode_decimal(totals.fees),
        fills=totals.fills,
        buys=totals.buys,
        sells=totals.sells,
        orders=totals.orders,
        fees_unknown=totals.fees_unknown,
    )


def decode_totals(message: pb.GridTotals, where: str = "totals") -> GridTotals:
    """Profit and loss.

    Raises:
        Refusal: A field is missing or not allowed.
    """
    return GridTotals(
        realised_pnl=read_decimal(message, "realised_pnl", where),
        fees=read_decimal(message, "fees", where),
        fills=read_count(message, "fills", where),
        buys=read_count(message, "buys", where),
        sells=read_count(message, "sells", where),
        orders=read_count(message, "orders", where),
        fees_unknown=read_count(message, "fees_unknown", where),
    )


def encode_grid(book: GridBook) -> pb.GridState:
    """A grid at one revision: slots by price, and live orders; ended ones stay behind."""
    owned = {slot.order.client_oid for slot in book.slots.values() if slot.order}
    return pb.GridState(
        identity=encode_identity(book.identity),
        revision=book.revision,
        slots=[encode_slot(book.slots[price]) for price in sorted(book.slots)],
        totals=encode_totals(book.totals),
        stray_orders=[
            encode_order(order) for order in book.live_orders() if order.client_oid not in owned
        ],
        standing=STANDING.encode(book.standing),
        standing_reason=book.standing_reason[:TEXT_LENGTH_MAX],
    )


def decode_grid(message: pb.GridState, where: str = "grid") -> GridBook:
    """A grid at one revision, as a watcher knows it.

    Raises:
        Refusal: A field is missing or not allowed.
    """
    slots = [
        decode_slot(slot, path(where, f"slots[{index}]"))
        for index, slot in enumerate(message.slots)
    ]
    strays = [
        decode_order(order, path(where, f"stray_orders[{index}]"))
        for index, order in enumerate(message.stray_orders)
    ]
    orders = (*(slot.order for slot in slots if slot.order), *strays)
    return GridBook(
        identity=decode_identity(message.identity, path(where, "identity")),
        revision=read_count(message, "revision", where),
        slots={slot.price: slot for slot in slots},
        orders={order.client_oid: order for order in orders},
        totals=decode_totals(message.totals, path(where, "totals")),
        standing=STANDING.read(message, "standing", where),
        standing_reason=read_optional_text(message, "standing_reason", where),
    )


def encode_change(change: GridChange) -> pb.GridChange:
    """One committed change."""
    batch = change.batch
    return pb.GridChange(
        bot_id=change.bot_id,
        revision=change.revision,
        slots=[encode_slot(slot) for slot in change.slots],
        orders=[encode_order(order) for order in change.orders],
        trades=[encode_execution(execution) for execution in change.executions],
        totals=encode_totals(change.totals),
        commit_time=encode_time(change.commit_time_ns),
        batch=None
        if batch is None
        else pb.CommittedBatch(
            batch_id=batch.batch_id,
            placed_client_oids=batch.placed,
            canceled_client_oids=batch.canceled,
            request_id=batch.request_id,
        ),
        standing=STANDING.encode(change.standing),
        standing_reason=change.standing_reason[:TEXT_LENGTH_MAX],
    )


def decode_change(message: pb.GridChange, where: str = "change") -> GridChange:
    """One committed change.

    Raises:
        Refusal: A field is missing or not allowed.
    """
    revision = read_count(message, "revision", where)
    batch = None
    if message.HasField("batch"):
        batch_where = path(where, "batch")
        batch = BatchRecord(
            batch_id=read_text(message.batch, "batch_id", batch_where),
            revision=revision,
            placed=tuple(message.batch.placed_client_oids),
            canceled=tuple(message.batch.canceled_client_oids),
            request_id=read_optional_text(message.batch, "request_id", batch_where),
        )
    return GridChange(
        bot_id=read_text(message, "bot_id", where),
        revision=revision,
        slots=tuple(
            decode_slot(slot, path(where, f"slots[{i}]")) for i, slot in enumerate(message.slots)
        ),
        orders=tuple(
            decode_order(order, path(where, f"orders[{i}]"))
            for i, order in enumerate(message.orders)
        ),
        executions=tuple(
            decode_execution(trade, path(where, f"trades[{i}]"))
            for i, trade in enumerate(message.trades)
        ),
        totals=decode_totals(message.totals, path(where, "totals")),
        commit_time_ns=read_time(message, "commit_time", where),
        batch=batch,
        standing=STANDING.read(message, "standing", where),
        standing_reason=read_optional_text(message, "standing_reason", where),
    )


def _entry_price(slot: Slot) -> Decimal | None:
    if not slot.position_qty:
        return None
    return round_to(divide(slot.entry_cost, abs(slot.position_qty)), _PRICE_STEP)
