"""What must be true of every commit of the ledger, and of what it says of the exchange.

Invariants 3, 4, 6, 7, 8, 15 and 17. The ledger may be behind the exchange, since news takes time;
it must never be ahead of it.
"""

from decimal import Decimal
from typing import Final

from opensqt.core.grid.book import GridBook, GridChange, Slot, SlotStatus, Standing, apply_change
from opensqt.core.numbers import ZERO, plain
from opensqt.core.orders import Execution, Order, OrderStatus, Purpose
from simulation.observer import ViolationError
from simulation.referee.facts import Facts, Ledger, fields, is_forced, is_share

_S = OrderStatus

REOPENINGS: Final = {
    # What a terminal status may become, because the exchange has shown otherwise: it filled after
    # all. (That it was given up too early is caught where it is given up.)
    _S.CANCELED: (_S.FILLED,),
    _S.EXPIRED: (_S.FILLED,),
    _S.REJECTED: (_S.PARTIALLY_FILLED, _S.FILLED),
    _S.NOT_PLACED: (_S.NEW, _S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED, _S.EXPIRED),
    _S.FILLED: (),
}

SLOT_STEPS: Final = {
    (SlotStatus.FREE, SlotStatus.PENDING),
    (SlotStatus.PENDING, SlotStatus.LOCKED),
    (SlotStatus.PENDING, SlotStatus.FREE),
    (SlotStatus.LOCKED, SlotStatus.FREE),
    (SlotStatus.FREE, SlotStatus.LOCKED),
}
"""Adopting an order that is found open is the last of them."""


class LedgerChecks:
    """Checks commits.

    Args:
        facts: What was seen so far; the ledgers in it are kept here.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def committed(self, before: GridBook, after: GridBook, change: GridChange) -> None:
        """A change is in the store."""
        ledger = self._facts.ledgers.get(before.identity.epoch)
        if ledger is None:
            ledger = Ledger(book=GridBook(identity=before.identity))
            self._facts.ledgers[before.identity.epoch] = ledger
        self._follows(ledger, before, change)
        self._intents(before, change)
        for order in change.orders:
            self._order(ledger, order)
        for execution in change.executions:
            if is_share(execution.client_oid):
                self._forced(ledger, execution)
        for slot in change.slots:
            self._slot(ledger, before.slots.get(slot.price) or Slot(price=slot.price), slot, after)
        ledger.book = apply_change(ledger.book, change)
        if ledger.book.slots != after.slots or ledger.book.totals != after.totals:
            raise ViolationError(15, f"folding revision {change.revision} gives another book")
        if change.standing is not Standing.HALTED:
            ledger.halted_ns = None
        elif ledger.halted_ns is None:
            ledger.halted_ns = change.commit_time_ns
            ledger.halts += 1
            ledger.was_halted = True

    def _follows(self, ledger: Ledger, before: GridBook, change: GridChange) -> None:
        """Every commit is the next one of its ledger, decided on the one before it (7)."""
        if not ledger.book.revision == before.revision == change.revision - 1:
            raise ViolationError(
                7,
                f"revision {change.revision} was decided on {before.revision}, "
                f"the ledger is at {ledger.book.revision}",
            )
        if change.batch is None:
            return
        decided = self._facts.decided.get(change.batch.batch_id)
        if not decided:
            raise ViolationError(8, f"batch {change.batch.batch_id} is nobody's decision")
        revisions = {batch.state_revision for batch in decided}
        if before.revision not in revisions:
            raise ViolationError(
                7,
                f"batch {change.batch.batch_id} was decided at revision {min(revisions)} "
                f"and committed at {before.revision}",
                next(iter(change.batch.placed), ""),
            )

    def _intents(self, before: GridBook, change: GridChange) -> None:
        """What a batch places was decided, under an id that no intent ever had (1, 8, 17)."""
        if change.batch is None:
            return
        orders = {order.client_oid: order for order in change.orders}
        for oid in change.batch.placed:
            order = orders[oid]
            if oid in self._facts.intents:
                raise ViolationError(1, f"{oid} is the id of two intents", oid)
            if not self._facts.decisions_on(order):
                raise ViolationError(
                    8, f"{oid} is committed as nobody decided it: {fields(order)}", oid
                )
            stands = before.standing
            if stands is Standing.RECONCILING or (
                stands is Standing.HALTED and order.purpose is Purpose.OPEN
            ):
                raise ViolationError(17, f"{oid} is committed while the bot is {stands}", oid)
            self._facts.intents[oid] = order

    def _order(self, ledger: Ledger, order: Order) -> None:
        oid = order.client_oid
        known = ledger.orders.get(oid)
        filled, status = ZERO, _S.PENDING
        if known is not None:
            filled, status = known.filled_quantity, known.status
        if status.terminal and order.status is not status:
            allowed = REOPENINGS[status]
            if order.status not in allowed:
                raise ViolationError(4, f"{oid} was {status} and became {order.status}", oid)
        if not filled <= order.filled_quantity <= order.quantity:
            raise ViolationError(
                3,
                f"{oid} had {plain(filled)} filled and now has {plain(order.filled_quantity)} "
                f"of {plain(order.quantity)} in the ledger",
                oid,
            )
        if not is_share(oid):
            self._not_ahead(order)
        ledger.orders[oid] = order
        added = (order.filled_quantity - filled) * order.side.sign
        ledger.held[order.slot_price] = ledger.held.get(order.slot_price, ZERO) + added

    def _not_ahead(self, order: Order) -> None:
        """The ledger says nothing of an order that the exchange has not done."""
        oid, says = order.client_oid, order.status
        theirs = self._facts.account.find(order.symbol, client_order_id=oid)
        if theirs is None:
            if says.resting or order.filled_quantity:
                raise ViolationError(3, f"{oid} is {says}, and the exchange has no such order", oid)
            return
        counted = max(order.filled_quantity, order.executed_quantity)
        if counted > theirs.executed:
            raise ViolationError(
                3,
                f"{oid} has {plain(counted)} filled in the ledger, "
                f"{plain(theirs.executed)} on the exchange",
                oid,
            )
        if says in (_S.NOT_PLACED, _S.REJECTED):
            raise ViolationError(
                4, f"{oid} is {says}, and the exchange has it {theirs.status}", oid
            )
        if says.terminal and theirs.open:
            raise ViolationError(4, f"{oid} is {says}, and open on the exchange", oid)

    def _forced(self, ledger: Ledger, share: Execution) -> None:
        """A share of what the exchange closed by force, of an execution that took place (3)."""
        oid = share.client_oid
        if oid in ledger.forced:
            raise ViolationError(3, f"{oid} was booked twice", oid)
        ledger.forced[oid] = share
        booked = sum(
            (s.quantity for s in ledger.forced.values() if s.execution_id == share.execution_id),
            ZERO,
        )
        done = sum(
            (
                fill.quantity
                for fill in self._facts.account.fills
                if str(fill.trade_id) == share.execution_id
                and is_forced(self._facts.account.orders[fill.order_id])
            ),
            ZERO,
        )
        if booked > done:
            raise ViolationError(
                3, f"{oid}: {plain(booked)} booked of an execution of {plain(done)}", oid
            )

    def _slot(self, ledger: Ledger, was: Slot, slot: Slot, after: GridBook) -> None:
        name = f"slot {plain(slot.price)}"
        oid = slot.order.client_oid if slot.order else was.order.client_oid if was.order else ""
        if was.status is not slot.status and (was.status, slot.status) not in SLOT_STEPS:
            raise ViolationError(7, f"{name} went from {was.status} to {slot.status}", oid)
        if slot.cycle < was.cycle:
            raise ViolationError(7, f"{name} went from cycle {was.cycle} to {slot.cycle}", oid)
        if was.order is not None:
            left = was.order.client_oid
            stays = slot.order is not None and slot.order.client_oid == left
            if not stays and not ledger.orders[left].status.terminal:
                raise ViolationError(
                    5, f"{name} was freed of {left}, which is {ledger.orders[left].status}", left
                )
        held = ledger.held.get(slot.price, ZERO)
        if slot.position_qty != held:
            raise ViolationError(
                6,
                f"{name} holds {plain(slot.position_qty)}, its fills add up to {plain(held)}",
                oid,
            )
        # After a closing by force, which an exit may have crossed, a slot may hold the other way.
        trades = after.standing is Standing.TRADING and not ledger.was_halted
        if trades and not _on_its_side(slot, after):
            raise ViolationError(6, f"{name} holds {plain(slot.position_qty)}", oid)


def _on_its_side(slot: Slot, book: GridBook) -> bool:
    held: Decimal = slot.position_qty
    match book.identity.direction:
        case "LONG":
            return held >= ZERO
        case "SHORT":
            return held <= ZERO
        case _:
            return True
