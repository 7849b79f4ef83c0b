"""Reports: what is said of an order, held against what is known of it."""

from opensqt.core.events import OrderUpdate
from opensqt.core.grid.draft import REASON_LENGTH_MAX
from opensqt.core.numbers import plain
from opensqt.core.orders import EndReason, Order, OrderStatus, next_status
from opensqt.core.values import replace


def reported(
    order: Order,
    said: OrderStatus,
    reason: EndReason,
    text: str = "",
    *,
    exchange_order_id: str,
    now_ns: int,
) -> Order:
    """The order once it is reported; the very same if that tells nothing new.

    Why it ended belongs to the end that counts, and what the exchange first called it is its name.
    """
    status = next_status(order.status, said)
    name = order.exchange_order_id or exchange_order_id
    if status is order.status:
        if name == order.exchange_order_id:
            return order
        return replace(order, exchange_order_id=name, updated_ns=now_ns)
    if not status.terminal or status is OrderStatus.FILLED:
        reason, text = EndReason.NONE, ""
    elif reason is EndReason.NONE and status is OrderStatus.CANCELED and order.cancel_requested:
        reason = EndReason.CANCEL_REQUESTED
    return replace(
        order,
        status=status,
        end_reason=reason,
        end_text=text[:REASON_LENGTH_MAX],
        exchange_order_id=name,
        updated_ns=now_ns,
    )


def contradiction(account: str, order: Order, update: OrderUpdate, counted: Order) -> str:
    """Why an update cannot be about the order as we committed it; empty when it can."""
    if update.account != account:
        return f"the grid trades on account {account}, not {update.account}"
    if update.symbol != order.symbol or update.side is not order.side:
        return f"we ordered {order.side} {order.symbol}, not {update.side} {update.symbol}"
    ours, theirs = order.exchange_order_id, update.exchange_order_id
    if ours and theirs and ours != theirs:
        return f"the exchange calls our order {ours}; {theirs} is another one under the same id"
    if update.quantity is not None and update.quantity != order.quantity:
        return f"we ordered {plain(order.quantity)}, not {plain(update.quantity)}"
    if (fill := update.execution) is not None:
        if (fill.symbol, fill.side) != (order.symbol, order.side):
            return f"executed {fill.side} {fill.symbol}, not {order.side} {order.symbol}"
        if fill.quantity <= 0 or fill.price <= 0:
            return f"executed {plain(fill.quantity)} at {plain(fill.price)}"
    most = max(update.filled_quantity, counted.executed_quantity)
    if most > order.quantity:
        return f"filled {plain(most)} of {plain(order.quantity)}"
    if update.status is OrderStatus.FILLED and counted.remaining:
        return f"FILLED with {plain(counted.filled_quantity)} of {plain(order.quantity)}"
    return ""
