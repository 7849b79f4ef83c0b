"""Forced orders: what the exchange itself has closed, taken out of the slots.

Nobody intended a forced order and no slot has it, so what it closed is shared out: first among the
slots that hold what it closed, the worst entry first; what is left, among openings that are live in
the book and beyond whose price the exchange has traded: it cannot have done so without filling
them, so their fills were closed before we heard of them, and will find the slot holding just as
much the other way. Whatever is beyond that was not the grid's.

Each share is an order of its own that is filled, so that a slot always holds what its orders
filled. The grid's first one stands for the execution: its presence says that it was taken over.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Final

from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import GridBook, Slot
from opensqt.core.grid.draft import Draft
from opensqt.core.grid.fills import COST_STEP, CountedFill
from opensqt.core.identifiers import bot_tag
from opensqt.core.numbers import EXACT, ZERO, divide, plain, round_to
from opensqt.core.orders import EndReason, Execution, Order, OrderStatus, Purpose, Side

_SHARE: Final = "forced-"


def forced_order_id(bot_id: str, execution_id: str, part: int = 0) -> str:
    """The id of a grid's share of a forced execution; never one that is sent to an exchange."""
    return f"{_SHARE}{bot_tag(bot_id)}-{execution_id}-{part}"


def is_forced_share(client_oid: str) -> bool:
    """Tell whether an id is that of a grid's share of a forced execution."""
    return client_oid.startswith(_SHARE)


def held_against(book: GridBook, side: Side) -> Decimal:
    """What a grid holds that an order of `side` would close, in base."""
    return sum((_closable(slot, side) for slot in book.slots.values()), ZERO)


def closable_against(book: GridBook, execution: Execution) -> Decimal:
    """The most that a grid can have lost to a forced execution, in base.

    What it holds, and what its live openings have filled without our hearing of it yet.
    """
    openings = (order.remaining for order in _openings(book.orders.values(), execution))
    return held_against(book, execution.side) + sum(openings, ZERO)


def may_have_opened(book: GridBook, side: Side) -> bool:
    """Whether a live order may have opened what an order of `side` would close, unheard of yet."""
    return any(
        order.purpose is Purpose.OPEN and order.side is not side and not order.status.terminal
        for order in book.orders.values()
    )


def close_by_force(
    draft: Draft, update: OrderUpdate, *, offered: Decimal, elsewhere: Decimal
) -> Decimal:
    """Take over as much of an execution as is the grid's, and halt; how much that is, in base.

    Args:
        draft: What to change.
        update: Of the forced order, with the execution.
        offered: How much of the execution no other grid has taken.
        elsewhere: What grids that are asked after this one hold.
    """
    execution = update.execution
    assert execution is not None
    bot_id = draft.identity.bot_id
    known = draft.orders.get(forced_order_id(bot_id, execution.execution_id))
    if known is not None:
        return known.quantity if known.filled_quantity else ZERO
    shares = [*_of_holdings(draft, update.side, offered)]
    beyond = offered - sum((quantity for _, quantity in shares), ZERO) - elsewhere
    shares += _of_openings(draft, execution, max(beyond, ZERO))
    taken = sum((quantity for _, quantity in shares), ZERO)
    before = execution.quantity - offered
    for part, (slot_price, quantity) in enumerate(shares):
        whole = taken if part == 0 else quantity
        share = _share(execution, slot_price, quantity, before)
        before += quantity
        _take(draft, update, share, whole=whole, part=part)
    if not shares:
        nearest = draft.identity.lattice.price(draft.identity.lattice.nearest(execution.price))
        nothing = _share(execution, nearest, ZERO, before)
        _take(draft, update, nothing, whole=offered or execution.quantity, part=0)
    what = f"{update.forced}: {update.side} {plain(execution.quantity)} {update.symbol}"
    draft.halt(f"{what} at {plain(execution.price)}")
    return taken


def _closable(slot: Slot, side: Side) -> Decimal:
    return max(ZERO, -slot.position_qty * side.sign)


def _of_holdings(draft: Draft, side: Side, left: Decimal) -> Iterator[tuple[Decimal, Decimal]]:
    held = [slot for slot in draft.slots() if _closable(slot, side)]
    # A sale closes longs, of which the dearest is the worst; a purchase closes shorts.
    held.sort(key=lambda slot: side.sign * divide(slot.entry_cost, abs(slot.position_qty)))
    for slot in held:
        quantity = min(left, _closable(slot, side))
        if quantity:
            yield slot.price, quantity
        left -= quantity


def _of_openings(
    draft: Draft, execution: Execution, left: Decimal
) -> Iterator[tuple[Decimal, Decimal]]:
    live = sorted(_openings(draft.orders.values(), execution), key=lambda order: order.client_oid)
    live.sort(key=lambda order: order.price, reverse=execution.side is Side.SELL)
    for order in live:
        quantity = min(left, order.remaining)
        if quantity:
            yield order.slot_price, quantity
        left -= quantity


def _openings(orders: Iterable[Order], execution: Execution) -> Iterator[Order]:
    """Live openings of what the execution closed, at prices that it has traded beyond."""
    for order in orders:
        opens = order.purpose is Purpose.OPEN and order.side is not execution.side
        beyond = (order.price - execution.price) * order.side.sign > 0
        if opens and beyond and not order.status.terminal:
            yield order


def _share(
    execution: Execution, slot_price: Decimal, quantity: Decimal, before: Decimal
) -> Execution:
    """A part of an execution; the parts' fees add up to its fee."""
    fee = execution.fee
    if fee is not None:
        fee = _until(fee, before + quantity, execution) - _until(fee, before, execution)
    return replace(execution, quantity=quantity, fee=fee, slot_price=slot_price, realised_pnl=None)


def _until(fee: Decimal, quantity: Decimal, execution: Execution) -> Decimal:
    return round_to(divide(EXACT.multiply(fee, quantity), execution.quantity), COST_STEP)


def _take(
    draft: Draft, update: OrderUpdate, share: Execution, *, whole: Decimal, part: int
) -> None:
    assert share.slot_price is not None
    client_oid = forced_order_id(draft.identity.bot_id, share.execution_id, part)
    quote = share.price * share.quantity
    filled = share.quantity == whole
    order = Order(
        client_oid=client_oid,
        bot_id=draft.identity.bot_id,
        symbol=update.symbol,
        side=update.side,
        purpose=Purpose.CLOSE,
        price=share.price,
        quantity=whole,
        slot_price=share.slot_price,
        cycle=draft.slot(share.slot_price).cycle,
        reduce_only=True,
        post_only=False,
        batch_id="",
        created_ns=share.exchange_time_ns,
        deadline_ns=share.exchange_time_ns,
        updated_ns=draft.now_ns,
        status=OrderStatus.FILLED if filled else OrderStatus.CANCELED,
        filled_quantity=share.quantity,
        filled_quote=quote,
        executed_quantity=share.quantity,
        executed_quote=quote,
        exchange_order_id=update.exchange_order_id,
        end_reason=EndReason.NONE if filled else EndReason.FORCED,
        execution_ids=frozenset({share.execution_id}),
    )
    draft.put(order)
    if share.quantity:
        owned = replace(share, client_oid=client_oid)
        draft.fill(
            order,
            CountedFill(
                order=order, quantity=share.quantity, quote=quote, correction=ZERO, execution=owned
            ),
        )
