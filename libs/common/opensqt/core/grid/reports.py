"""Reports: what is said of an order, held against what is known of it."""

from dataclasses import replace

from opensqt.core.events import OrderUpdate
from opensqt.core.grid.draft import REASON_LENGTH_MAX
from opensqt.core.numbers import plain
from opensqt.core.orders import EndReason, Order, OrderStatus, next_status


def reported(order: Order, said: OrderStatus, reason: EndReason, text: str = "") -> Order:
    """The order once its status is reported; why it ended belongs to the end that counts."""
    status = next_status(order.status, said)
    if status is order.status:
        return order
    if not status.terminal or status is OrderStatus.FILLED:
        return replace(order, status=status, end_reason=EndReason.NONE, end_text="")
    if reason is EndReason.NONE and status is OrderStatus.CANCELED and order.cancel_requested:
        reason = EndReason.CANCEL_REQUESTED
    return replace(order, status=status, end_reason=reason, end_text=text[:REASON_LENGTH_MAX])


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
