"""Intents: what an action asks of a slot, and the order that is committed before it is sent."""

from opensqt.core.actions import Cancel, Place
from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.grid.book import Slot, SlotStatus, Standing
from opensqt.core.grid.draft import Draft
from opensqt.core.identifiers import grid_order_id
from opensqt.core.numbers import plain
from opensqt.core.orders import Order, Purpose
from opensqt.core.values import replace


def intend(draft: Draft, action: Place, *, batch_id: str, deadline_ns: int, where: str) -> Order:
    """Reserve the slot of an order, and make the order.

    Raises:
        Refusal: VALUE_NOT_ALLOWED for a price off the grid, BOT_NOT_TRADING for what the grid's
            standing does not allow, ILLEGAL_TRANSITION for what the slot does not; at `where`.
    """
    identity = draft.identity
    if action.slot_price <= 0 or not identity.lattice.contains(action.slot_price):
        raise Refusal(
            RefusalReason.VALUE_NOT_ALLOWED,
            field=f"{where}.slot_price",
            value=plain(action.slot_price),
            allowed=f"{plain(identity.anchor)} plus multiples of {plain(identity.interval)}",
        )
    if allowed := _not_trading(draft.standing, action):
        raise Refusal(
            RefusalReason.BOT_NOT_TRADING,
            field=where,
            value=draft.standing,
            allowed=allowed,
        )
    slot = draft.slot(action.slot_price)
    if problem := _objection(slot, action):
        raise Refusal(
            RefusalReason.ILLEGAL_TRANSITION, field=where, value=slot.status, allowed=problem
        )
    order = Order(
        client_oid=grid_order_id(
            bot_id=identity.bot_id,
            epoch=identity.epoch,
            slot_price=slot.price,
            side=action.side,
            purpose=action.purpose,
            cycle=slot.cycle,
        ),
        bot_id=identity.bot_id,
        symbol=identity.symbol,
        side=action.side,
        purpose=action.purpose,
        price=action.price,
        quantity=action.quantity,
        slot_price=slot.price,
        cycle=slot.cycle,
        reduce_only=action.reduce_only,
        post_only=action.post_only,
        exit_price=action.exit_price,
        batch_id=batch_id,
        created_ns=draft.now_ns,
        deadline_ns=deadline_ns,
        updated_ns=draft.now_ns,
    )
    draft.reserve(order)
    return order


def mark_cancel(draft: Draft, action: Cancel, *, where: str) -> Order:
    """Mark an order that its cancel was asked for.

    Raises:
        Refusal: ILLEGAL_TRANSITION when it has ended; at `where`.
    """
    order = draft.orders.get(action.client_oid)
    if order is None or order.status.terminal:
        raise Refusal(
            RefusalReason.ILLEGAL_TRANSITION,
            field=f"{where}.client_oid",
            value=action.client_oid,
            allowed="an order that has not ended",
        )
    marked = replace(order, cancel_requested=True, updated_ns=draft.now_ns)
    draft.put(marked)
    return marked


def _not_trading(standing: Standing, action: Place) -> str:
    """What a grid's standing allows, if it does not allow the order; empty when it does."""
    if standing is Standing.RECONCILING:
        return "cancels, until the grid has been compared with the exchange"
    if standing is Standing.HALTED and action.purpose is Purpose.OPEN:
        return "closings and cancels, until a person resumes the grid"
    return ""


def _objection(slot: Slot, action: Place) -> str:
    """Why the slot does not take the order; empty when it does."""
    if slot.status is not SlotStatus.FREE:
        return "a slot that is FREE"
    if action.quantity <= 0 or action.price <= 0:
        return "a positive price and quantity"
    if action.purpose is Purpose.OPEN:
        if slot.position_qty:
            return f"opening only while EMPTY; the slot holds {plain(slot.position_qty)}"
        return "" if action.exit_price is not None else "an opening order with an exit price"
    if slot.position_qty * action.side.sign >= 0:
        return f"closing against what the slot holds, {plain(slot.position_qty)}"
    if action.quantity != abs(slot.position_qty):
        return f"closing exactly {plain(abs(slot.position_qty))}"
    return ""
