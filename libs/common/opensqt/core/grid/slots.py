"""`SlotManager`: how requests and exchange events change a grid's slots.

What a slot holds changes only by fills, each counted once; its status only by the table.
"""

from dataclasses import replace

from opensqt.core.actions import ActionBatch, Cancel, Place
from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import BatchRecord, GridBook, Slot, SlotStatus, Standing
from opensqt.core.grid.draft import Draft
from opensqt.core.grid.fills import count_fill
from opensqt.core.grid.results import Applied, Outcome, PlacementResult, Reservation
from opensqt.core.identifiers import grid_order_id
from opensqt.core.numbers import plain
from opensqt.core.orders import EndReason, Order, OrderStatus, Purpose, next_status


class SlotManager:
    """Applies requests and exchange events to one grid's book; every answer is a new book."""

    def __init__(self, book: GridBook) -> None:
        self._book = book

    def reserve(
        self, batch: ActionBatch, *, deadline_ns: int, now_ns: int, request_id: str = ""
    ) -> Outcome[Reservation]:
        """Commit a batch's intents: all of them or none.

        Raises:
            Refusal: STALE_REVISION when the book has moved on, ILLEGAL_TRANSITION when a slot
                does not allow the action, VALUE_NOT_ALLOWED for a price off the grid,
                BOT_NOT_TRADING for an order that the grid's standing does not allow,
                BOT_DIFFERS for a decision on a grid of another epoch,
                REQUEST_ID_REUSED when the request brought another batch before.
        """
        book = self._book
        for known in book.batches.values():
            if request_id and known.request_id == request_id and known.batch_id != batch.batch_id:
                raise Refusal(
                    RefusalReason.REQUEST_ID_REUSED,
                    field="request_id",
                    value=request_id,
                    allowed=f"a new id; this one brought batch {known.batch_id}",
                )
        if known_batch := book.batches.get(batch.batch_id):
            return Outcome(book=book, change=None, value=self._repeated(known_batch))
        if batch.epoch != book.identity.epoch:
            raise _other_epoch("batch.epoch", batch.epoch, book)
        if batch.state_revision != book.revision:
            raise Refusal(
                RefusalReason.STALE_REVISION,
                field="batch.state_revision",
                value=batch.state_revision,
                allowed=str(book.revision),
            )
        draft = Draft(book, now_ns)
        to_place: list[Order] = []
        to_cancel: list[Order] = []
        for index, action in enumerate(batch.actions):
            where = f"batch.actions[{index}]"
            match action:
                case Place():
                    order = self._intent(draft, action, batch, deadline_ns, f"{where}.place")
                    to_place.append(order)
                case Cancel():
                    canceled = self._cancel(draft, action, f"{where}.cancel")
                    to_cancel.append(canceled)
        record = BatchRecord(
            batch_id=batch.batch_id,
            revision=book.revision + 1,
            placed=tuple(o.client_oid for o in to_place),
            canceled=tuple(o.client_oid for o in to_cancel),
            request_id=request_id,
        )
        after, change = draft.commit(placed=len(to_place), batch=record)
        return Outcome(
            book=after,
            change=change,
            value=Reservation(
                revision=after.revision,
                to_place=tuple(to_place),
                to_cancel=tuple(to_cancel),
                repeated=False,
            ),
        )

    def record(self, results: tuple[PlacementResult, ...], *, now_ns: int) -> Outcome[int]:
        """Record what the exchange answered. What tells nothing new changes nothing.

        Raises:
            Refusal: ORDER_UNKNOWN for an order that is not in the book.
        """
        draft = Draft(self._book, now_ns)
        for index, result in enumerate(results):
            order = draft.orders.get(result.client_oid)
            if order is None:
                raise Refusal(
                    RefusalReason.ORDER_UNKNOWN,
                    field=f"results[{index}].client_oid",
                    value=result.client_oid,
                    allowed=f"orders of bot {self._book.identity.bot_id}",
                )
            changed = replace(
                _reported(order, result.status, result.end_reason, result.end_text),
                exchange_order_id=order.exchange_order_id or result.exchange_order_id,
            )
            if changed != order:
                draft.put(replace(changed, updated_ns=now_ns))
        after, change = draft.commit()
        return Outcome(book=after, change=change, value=after.revision)

    def apply(self, update: OrderUpdate, *, now_ns: int) -> Outcome[Applied]:
        """Apply what is known of an order. Duplicates, repeats and late events change nothing."""
        book = self._book
        order = book.orders.get(update.client_oid)
        if order is None:
            return self._put_aside("not an order of this grid")
        counted = count_fill(order, update)
        if doubt := _contradiction(book.identity.account, order, update, counted.order):
            return self._put_aside(doubt)
        draft = Draft(book, now_ns)
        said = update.status
        if not counted.order.remaining:
            said = OrderStatus.FILLED  # whether or not somebody says so
        elif said is OrderStatus.NEW and counted.order.filled_quantity:
            said = OrderStatus.PARTIALLY_FILLED
        changed = replace(
            _reported(counted.order, said, update.end_reason),
            exchange_order_id=order.exchange_order_id or update.exchange_order_id,
        )
        if changed == order:
            value = Applied(revision=book.revision, changed=False)
            return Outcome(book=book, change=None, value=value)
        draft.fill(order, counted)
        draft.put(replace(changed, updated_ns=now_ns))
        after, change = draft.commit()
        return Outcome(
            book=after, change=change, value=Applied(revision=after.revision, changed=True)
        )

    def confirm(self, *, epoch: int, now_ns: int) -> Outcome[int]:
        """Let a RECONCILING grid trade: all that the exchange has of it is in the book.

        Raises:
            Refusal: BOT_DIFFERS when the grid is of another epoch than the one that was compared.
        """
        book = self._book
        if epoch != book.identity.epoch:
            raise _other_epoch("epoch", epoch, book)
        if book.standing is not Standing.RECONCILING:
            return Outcome(book=book, change=None, value=book.revision)
        return self._stand(Standing.TRADING, "", now_ns)

    def halt(self, reason: str, *, now_ns: int) -> Outcome[int]:
        """Open nothing more until a person resumes the grid; the first reason stays."""
        book = self._book
        if book.standing is Standing.HALTED:
            return Outcome(book=book, change=None, value=book.revision)
        return self._stand(Standing.HALTED, reason, now_ns)

    def resume(self, *, now_ns: int) -> Outcome[int]:
        """End a halt: the grid is compared with the exchange once more, and then trades.

        Whatever halted it may have left the book behind, and a grid can be halted before it was
        ever compared; so what follows a halt is what follows a registration.
        """
        book = self._book
        if book.standing is not Standing.HALTED:
            return Outcome(book=book, change=None, value=book.revision)
        return self._stand(Standing.RECONCILING, "", now_ns)

    def _stand(self, standing: Standing, reason: str, now_ns: int) -> Outcome[int]:
        draft = Draft(self._book, now_ns)
        draft.stand(standing, reason)
        after, change = draft.commit()
        return Outcome(book=after, change=change, value=after.revision)

    def _put_aside(self, reason: str) -> Outcome[Applied]:
        book = self._book
        value = Applied(revision=book.revision, changed=False, quarantined=reason)
        return Outcome(book=book, change=None, value=value)

    def _repeated(self, known: BatchRecord) -> Reservation:
        orders = self._book.orders
        return Reservation(
            revision=known.revision,
            to_place=tuple(orders[oid] for oid in known.placed if oid in orders),
            to_cancel=tuple(orders[oid] for oid in known.canceled if oid in orders),
            repeated=True,
        )

    def _intent(
        self, draft: Draft, action: Place, batch: ActionBatch, deadline_ns: int, where: str
    ) -> Order:
        identity = self._book.identity
        if action.slot_price <= 0 or not identity.lattice.contains(action.slot_price):
            raise Refusal(
                RefusalReason.VALUE_NOT_ALLOWED,
                field=f"{where}.slot_price",
                value=plain(action.slot_price),
                allowed=f"{plain(identity.anchor)} plus multiples of {plain(identity.interval)}",
            )
        if allowed := _not_trading(self._book.standing, action):
            raise Refusal(
                RefusalReason.BOT_NOT_TRADING,
                field=where,
                value=self._book.standing,
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
            batch_id=batch.batch_id,
            created_ns=draft.now_ns,
            deadline_ns=deadline_ns,
            updated_ns=draft.now_ns,
        )
        draft.reserve(order)
        return order

    def _cancel(self, draft: Draft, action: Cancel, where: str) -> Order:
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


def _other_epoch(field: str, value: int, book: GridBook) -> Refusal:
    return Refusal(
        RefusalReason.BOT_DIFFERS,
        field=field,
        value=value,
        allowed=f"{book.identity.epoch}, that of the grid as it is registered",
    )


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


def _reported(order: Order, said: OrderStatus, reason: EndReason, text: str = "") -> Order:
    """The order once its status is reported; why it ended belongs to the end that counts."""
    status = next_status(order.status, said)
    if status is order.status:
        return order
    if not status.terminal or status is OrderStatus.FILLED:
        return replace(order, status=status, end_reason=EndReason.NONE, end_text="")
    if reason is EndReason.NONE and status is OrderStatus.CANCELED and order.cancel_requested:
        reason = EndReason.CANCEL_REQUESTED
    return replace(order, status=status, end_reason=reason, end_text=text[:200])


def _contradiction(account: str, order: Order, update: OrderUpdate, counted: Order) -> str:
    """Why an update cannot be about the order as we committed it; empty when it can."""
    if update.account != account:
        return f"the grid trades on account {account}, not {update.account}"
    if update.symbol != order.symbol or update.side is not order.side:
        return f"we ordered {order.side} {order.symbol}, not {update.side} {update.symbol}"
    if update.quantity is not None and update.quantity != order.quantity:
        return f"we ordered {plain(order.quantity)}, not {plain(update.quantity)}"
    most = max(update.filled_quantity, counted.executed_quantity)
    if most > order.quantity:
        return f"filled {plain(most)} of {plain(order.quantity)}"
    if update.status is OrderStatus.FILLED and counted.remaining:
        return f"FILLED with {plain(counted.filled_quantity)} of {plain(order.quantity)}"
    return ""
