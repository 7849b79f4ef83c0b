"""Adoption: an order that a lost ledger has made becomes an order of this one.

Its id says which slot it is of, and whether it opens or closes; the exchange says the rest. Only
what was made before this ledger began is adopted. An order of ours that is younger than the ledger
and not in it was made by another ledger that is alive, or is missing because this one is an old
copy: then nobody knows what else is missing, and a person has to look.
"""

from dataclasses import dataclass
from typing import Final

from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import Direction, GridBook, GridIdentity, Standing
from opensqt.core.identifiers import GridOrderId, bot_tag, parse_order_id
from opensqt.core.numbers import ZERO, plain
from opensqt.core.orders import Order, OrderStatus, Purpose, Side

_OTHER_WAY: Final = {Side.BUY: Direction.SHORT, Side.SELL: Direction.LONG}
"""Grids that never open by this side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAdopted:
    """Why an order is left alone."""

    reason: str
    halts: bool
    """It is of this grid, so the book may be wrong."""


def adopted(identity: GridIdentity, update: OrderUpdate, *, now_ns: int) -> Order | NotAdopted:
    """The order of an update as if this ledger had made it, with nothing known of it yet."""
    parsed = parse_order_id(update.client_oid)
    where = (update.account, update.symbol)
    if (
        parsed is None
        or parsed.bot_tag != bot_tag(identity.bot_id)
        or where != (identity.account, identity.symbol)
    ):
        return NotAdopted(reason="not an order of this grid", halts=False)
    if reason := _objection(identity, parsed, update):
        return NotAdopted(reason=f"an id of bot {identity.bot_id}, {reason}", halts=True)
    away = identity.interval * parsed.side.sign
    opens = parsed.purpose is Purpose.OPEN
    at = parsed.slot_price if opens else parsed.slot_price - away
    made_ns = update.exchange_time_ns or now_ns
    return Order(
        client_oid=update.client_oid,
        bot_id=identity.bot_id,
        symbol=identity.symbol,
        side=parsed.side,
        purpose=parsed.purpose,
        price=at if update.price is None or update.price <= 0 else update.price,
        quantity=update.filled_quantity if update.quantity is None else update.quantity,
        slot_price=parsed.slot_price,
        cycle=parsed.cycle,
        reduce_only=not opens and identity.direction is not Direction.NEUTRAL,
        post_only=False,  # nobody knows any more, and nothing depends on it
        batch_id="",
        created_ns=made_ns,
        deadline_ns=made_ns,
        updated_ns=now_ns,
        exit_price=parsed.slot_price + away if opens else None,
        status=OrderStatus.UNKNOWN,
    )


def overtaken(book: GridBook, order: Order, update: OrderUpdate) -> bool:
    """Whether what is said of an adopted order is known to be over.

    A slot has a new order only after a comparison has found nothing that the book lacks. An order
    that was seen resting before that, and has filled nothing, had ended by then: the news took
    long. Should it be there all the same, the next comparison says so again.
    """
    slot = book.slots.get(order.slot_price)
    if book.standing is Standing.RECONCILING or slot is None or slot.order is None:
        return False
    rests = update.status.resting and not update.filled_quantity
    return rests and update.receive_time_ns < slot.order.created_ns


def _objection(identity: GridIdentity, parsed: GridOrderId, update: OrderUpdate) -> str:
    if parsed.epoch >= identity.epoch:
        return "of an order that this ledger has never made"
    if not identity.lattice.contains(parsed.slot_price):
        return f"and {plain(parsed.slot_price)} is no level of its grid"
    if parsed.purpose is Purpose.OPEN and identity.direction is _OTHER_WAY[parsed.side]:
        return f"which opens by {parsed.side}, as a {identity.direction} grid never does"
    if update.side is not parsed.side:
        return f"which says {parsed.side}, not {update.side}"
    if not (update.status.resting or update.status.terminal):
        return f"in status {update.status}, which no exchange tells"
    quantity = update.quantity
    if quantity is None and update.status is OrderStatus.FILLED:
        quantity = update.filled_quantity
    if quantity is None or quantity <= ZERO:
        return "whose quantity is not said"
    return ""
