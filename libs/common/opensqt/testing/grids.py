"""Small grids and what happens to them, for tests: identities, actions, updates, executions."""

from dataclasses import replace
from decimal import Decimal

from opensqt.core.actions import Action, ActionBatch, Cancel, Place
from opensqt.core.events import Forced, OrderUpdate, UpdateSource
from opensqt.core.grid.book import Direction, GridBook, GridIdentity, Standing
from opensqt.core.identifiers import grid_order_id
from opensqt.core.orders import EndReason, Execution, Order, OrderStatus, Purpose, Side

NOW_NS = 1_800_000_000_123_456_789
DEADLINE_NS = NOW_NS + 5_000_000_000

SAME_TAG = ("grid-481", "grid-770")
"""Two bots whose order ids could not be told apart."""


def identity(bot_id: str = "btc", *, direction: Direction = Direction.LONG) -> GridIdentity:
    """A grid around 100, every whole unit a level."""
    return GridIdentity(
        bot_id=bot_id,
        account="main",
        symbol="BTCUSDT",
        quote="USDT",
        direction=direction,
        anchor=Decimal(100),
        interval=Decimal(1),
        epoch=3_653_000,
    )


def grid(bot_id: str = "btc", *, direction: Direction = Direction.LONG) -> GridBook:
    """An empty grid that trades."""
    who = identity(bot_id, direction=direction)
    return GridBook(identity=who, standing=Standing.TRADING)


def opening(
    slot_price: int | str, *, quantity: str = "0.01", side: Side = Side.BUY, gain: int = 1
) -> Place:
    """An opening order at a slot's own price."""
    price = Decimal(slot_price)
    return Place(
        slot_price=price,
        side=side,
        purpose=Purpose.OPEN,
        price=price,
        quantity=Decimal(quantity),
        reduce_only=False,
        post_only=True,
        exit_price=price + side.sign * gain,
    )


def closing(book: GridBook, slot_price: int | str) -> Place:
    """The order that closes what a slot holds."""
    slot = book.slots[Decimal(slot_price)]
    assert slot.exit_price is not None
    return Place(
        slot_price=slot.price,
        side=Side.SELL if slot.position_qty > 0 else Side.BUY,
        purpose=Purpose.CLOSE,
        price=slot.exit_price,
        quantity=abs(slot.position_qty),
        reduce_only=True,
        post_only=True,
    )


def cancel(order: Order) -> Cancel:
    """The cancel of an order."""
    return Cancel(slot_price=order.slot_price, client_oid=order.client_oid)


def batch_on(book: GridBook, *actions: Action) -> ActionBatch:
    """A decision on a book."""
    return ActionBatch(
        bot_id=book.identity.bot_id,
        epoch=book.identity.epoch,
        state_revision=book.revision,
        actions=actions,
        price_time_ns=NOW_NS,
    )


def execution(
    order: Order,
    execution_id: str,
    quantity: str | Decimal,
    *,
    price: str | Decimal | None = None,
    fee: str | None = "0.0002",
    fee_asset: str = "USDT",
) -> Execution:
    """An execution of an order, at its limit unless said otherwise."""
    return Execution(
        execution_id=execution_id,
        client_oid=order.client_oid,
        symbol=order.symbol,
        side=order.side,
        price=order.price if price is None else Decimal(price),
        quantity=Decimal(quantity),
        fee=None if fee is None else Decimal(fee),
        fee_asset=fee_asset,
        maker=True,
        exchange_time_ns=NOW_NS,
        exchange_order_id=order.exchange_order_id,
    )


def update(
    order: Order,
    status: OrderStatus,
    filled: str | Decimal = "0",
    *,
    fill: Execution | None = None,
    average: str | None = None,
    reason: EndReason = EndReason.NONE,
    exchange_order_id: str = "",
    source: UpdateSource = UpdateSource.STREAM,
) -> OrderUpdate:
    """What the exchange tells of an order."""
    return OrderUpdate(
        account="main",
        symbol=order.symbol,
        client_oid=order.client_oid,
        exchange_order_id=exchange_order_id or order.exchange_order_id or "4711",
        side=order.side,
        status=status,
        end_reason=reason,
        price=order.price,
        quantity=order.quantity,
        filled_quantity=Decimal(filled),
        average_price=None if average is None else Decimal(average),
        execution=fill,
        source=source,
        exchange_time_ns=NOW_NS,
        receive_time_ns=NOW_NS,
    )


def filled(order: Order, execution_id: str, *, price: str | None = None) -> OrderUpdate:
    """The event that an order was filled whole at once."""
    fill = execution(order, execution_id, order.quantity, price=price)
    return update(order, OrderStatus.FILLED, order.quantity, fill=fill)


def foreign(exchange_order_id: str = "999", client_oid: str = "web_manual") -> OrderUpdate:
    """An update of an order that somebody placed by hand."""
    return OrderUpdate(
        account="main",
        symbol="BTCUSDT",
        client_oid=client_oid,
        exchange_order_id=exchange_order_id,
        side=Side.SELL,
        status=OrderStatus.NEW,
        end_reason=EndReason.NONE,
        price=Decimal(101),
        quantity=Decimal(3),
        filled_quantity=Decimal(0),
        average_price=None,
        execution=None,
        source=UpdateSource.STREAM,
        exchange_time_ns=NOW_NS,
        receive_time_ns=NOW_NS,
    )


def lost_order(bot_id: str, slot_price: int, *, epoch: int) -> Order:
    """An order that opens a long slot, as a ledger of that epoch has made it."""
    price = Decimal(slot_price)
    return Order(
        client_oid=grid_order_id(
            bot_id=bot_id,
            epoch=epoch,
            slot_price=price,
            side=Side.BUY,
            purpose=Purpose.OPEN,
            cycle=0,
        ),
        bot_id=bot_id,
        symbol="BTCUSDT",
        side=Side.BUY,
        purpose=Purpose.OPEN,
        price=price,
        quantity=Decimal("0.01"),
        slot_price=price,
        cycle=0,
        reduce_only=False,
        post_only=True,
        batch_id="",
        created_ns=0,
        deadline_ns=0,
        updated_ns=0,
        exchange_order_id=f"lost-{slot_price}",
    )


def forced(
    quantity: str,
    *,
    price: str = "90",
    side: Side = Side.SELL,
    execution_id: str = "forced-1",
    fee: str = "0.3",
) -> OrderUpdate:
    """The exchange closes by force, by one execution."""
    fill = Execution(
        execution_id=execution_id,
        client_oid="autoclose-1",
        symbol="BTCUSDT",
        side=side,
        price=Decimal(price),
        quantity=Decimal(quantity),
        fee=Decimal(fee),
        fee_asset="USDT",
        maker=False,
        exchange_time_ns=NOW_NS,
        exchange_order_id="666",
    )
    return replace(
        foreign("666", "autoclose-1"),
        side=side,
        status=OrderStatus.FILLED,
        price=Decimal(price),
        quantity=Decimal(quantity),
        filled_quantity=Decimal(quantity),
        average_price=Decimal(price),
        execution=fill,
        forced=Forced.LIQUIDATION,
    )


def as_travelled(order: Order) -> Order:
    """An order as it comes over the wire: without the ids and the quote of its executions."""
    return replace(order, execution_ids=frozenset(), executed_quote=Decimal(0))
