"""`SlotManager`: how requests and exchange events change a grid's slots.

What a slot holds changes only by fills, each counted once; its status only by the table.
"""

from decimal import Decimal

from opensqt.core.actions import ActionBatch, Cancel, Place
from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.events import OrderUpdate
from opensqt.core.grid.adoption import NotAdopted, adopted, overtaken
from opensqt.core.grid.book import BatchRecord, GridBook, Standing
from opensqt.core.grid.draft import Draft
from opensqt.core.grid.fills import count_fill
from opensqt.core.grid.forced import close_by_force
from opensqt.core.grid.intents import intend, mark_cancel
from opensqt.core.grid.reports import contradiction, reported
from opensqt.core.grid.results import Applied, Outcome, PlacementResult, Reservation, Taken
from opensqt.core.orders import Order, OrderStatus
from opensqt.core.values import replace


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
                    order = intend(
                        draft,
                        action,
                        batch_id=batch.batch_id,
                        deadline_ns=deadline_ns,
                        where=f"{where}.place",
                    )
                    to_place.append(order)
                case Cancel():
                    to_cancel.append(mark_cancel(draft, action, where=f"{where}.cancel"))
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
            changed = reported(
                order,
                result.status,
                result.end_reason,
                result.end_text,
                exchange_order_id=result.exchange_order_id,
                now_ns=now_ns,
            )
            if changed is not order:
                draft.put(changed)
        after, change = draft.commit()
        return Outcome(book=after, change=change, value=after.revision)

    def apply(self, update: OrderUpdate, *, now_ns: int) -> Outcome[Applied]:
        """Apply what is known of an order. Duplicates, repeats and late events change nothing.

        An order that is not in the book is adopted if a ledger that was lost has made it.
        """
        book = self._book
        draft = Draft(book, now_ns)
        order = book.orders.get(update.client_oid)
        if order is None:
            found = adopted(book.identity, update, now_ns=now_ns)
            if isinstance(found, NotAdopted):
                return self._put_aside(found.reason, halts=found.halts)
            order = found
            if overtaken(book, order, update):
                value = Applied(revision=book.revision, changed=False)
                return Outcome(book=book, change=None, value=value)
            draft.adopt(order)
        counted = count_fill(order, update)
        if doubt := contradiction(book.identity.account, order, update, counted.order):
            # What another account says of an order that is called like ours says nothing of ours.
            return self._put_aside(doubt, halts=update.account == book.identity.account)
        said = update.status
        if not counted.order.remaining:
            said = OrderStatus.FILLED  # whether or not somebody says so
        elif said is OrderStatus.NEW and counted.order.filled_quantity:
            said = OrderStatus.PARTIALLY_FILLED
        changed = reported(
            counted.order,
            said,
            update.end_reason,
            exchange_order_id=update.exchange_order_id,
            now_ns=now_ns,
        )
        if changed is order:
            value = Applied(revision=book.revision, changed=False)
            return Outcome(book=book, change=None, value=value)
        draft.fill(order, counted)
        draft.put(replace(changed, updated_ns=now_ns) if changed is counted.order else changed)
        if (
            update.client_oid not in book.orders
            and book.standing is Standing.TRADING  # while RECONCILING, confirming it judges
            and (doubt := draft.rivals())
        ):
            draft.halt(doubt)
        after, change = draft.commit()
        return Outcome(
            book=after, change=change, value=Applied(revision=after.revision, changed=True)
        )

    def force(
        self, update: OrderUpdate, *, offered: Decimal, elsewhere: Decimal, now_ns: int
    ) -> Outcome[Taken]:
        """Take over what the exchange closed by force, and halt. Repeating it changes nothing.

        Args:
            update: Of the forced order, with an execution.
            offered: How much of the execution no other grid has taken, in base.
            elsewhere: What grids that are asked after this one hold against it, in base.
            now_ns: The time.
        """
        book = self._book
        draft = Draft(book, now_ns)
        taken = close_by_force(draft, update, offered=offered, elsewhere=elsewhere)
        after, change = draft.commit()
        value = Taken(revision=after.revision, quantity=taken)
        return Outcome(book=after, change=change, value=value)

    def confirm(self, *, epoch: int, now_ns: int) -> Outcome[int]:
        """Let a RECONCILING grid trade: all that the exchange has of it is in the book.

        It is halted instead if something has come to light meanwhile that halts it, or if a slot
        has more than one live order: two ledgers have placed orders for it.

        Raises:
            Refusal: BOT_DIFFERS when the grid is of another epoch than the one that was compared.
        """
        book = self._book
        if epoch != book.identity.epoch:
            raise _other_epoch("epoch", epoch, book)
        if book.standing is not Standing.RECONCILING:
            return Outcome(book=book, change=None, value=book.revision)
        doubt = book.standing_reason or Draft(book, now_ns).rivals()
        return self._stand(Standing.HALTED if doubt else Standing.TRADING, doubt, now_ns)

    def halt(self, reason: str, *, now_ns: int) -> Outcome[int]:
        """Open nothing more until a person resumes the grid; the first reason stays."""
        draft = Draft(self._book, now_ns)
        draft.halt(reason)
        after, change = draft.commit()
        return Outcome(book=after, change=change, value=after.revision)

    def doubt(self, reason: str, *, now_ns: int) -> Outcome[int]:
        """Place nothing until the grid was compared with the exchange; it is halted then."""
        book = self._book
        if book.standing is Standing.RECONCILING:
            return self.halt(reason, now_ns=now_ns)
        return self._stand(Standing.RECONCILING, book.standing_reason or reason, now_ns)

    def resume(self, *, now_ns: int) -> Outcome[int]:
        """End a halt: the grid is compared with the exchange once more, and then trades.

        Whatever halted it may have left the book behind, and a grid can be halted before it was
        ever compared; so what follows a halt is what follows a registration.
        """
        book = self._book
        if not book.standing_reason:
            return Outcome(book=book, change=None, value=book.revision)
        return self._stand(Standing.RECONCILING, "", now_ns)

    def _stand(self, standing: Standing, reason: str, now_ns: int) -> Outcome[int]:
        draft = Draft(self._book, now_ns)
        draft.stand(standing, reason)
        after, change = draft.commit()
        return Outcome(book=after, change=change, value=after.revision)

    def _put_aside(self, reason: str, *, halts: bool) -> Outcome[Applied]:
        book = self._book
        value = Applied(revision=book.revision, changed=False, quarantined=reason, halts=halts)
        return Outcome(book=book, change=None, value=value)

    def _repeated(self, known: BatchRecord) -> Reservation:
        orders = self._book.orders
        return Reservation(
            revision=known.revision,
            to_place=tuple(orders[oid] for oid in known.placed if oid in orders),
            to_cancel=tuple(orders[oid] for oid in known.canceled if oid in orders),
            repeated=True,
        )


def _other_epoch(field: str, value: int, book: GridBook) -> Refusal:
    return Refusal(
        RefusalReason.BOT_DIFFERS,
        field=field,
        value=value,
        allowed=f"{book.identity.epoch}, that of the grid as it is registered",
    )
