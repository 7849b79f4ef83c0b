"""A change of a grid's book under construction: everything that one commit will write."""

from decimal import Decimal
from typing import Final

from opensqt.core.grid.book import (
    BatchRecord,
    GridBook,
    GridChange,
    GridIdentity,
    Slot,
    Standing,
)
from opensqt.core.grid.fills import CountedFill, Holding, repriced
from opensqt.core.grid.invariants import change_problem
from opensqt.core.grid.table import SlotEvent, step
from opensqt.core.numbers import ZERO, plain
from opensqt.core.orders import EndReason, Execution, Order, OrderStatus, Purpose
from opensqt.core.values import replace

BACKOFF_FIRST_NS: Final = 250_000_000
BACKOFF_MAX_NS: Final = 30_000_000_000
"""A slot whose order was refused waits 0.25 s, doubling up to 30 s, before its next order."""
REASON_LENGTH_MAX: Final = 200
"""Characters that are kept of why a grid is halted, or an order ended."""


class Draft:
    """A change under construction: collects what one commit will write."""

    def __init__(self, book: GridBook, now_ns: int) -> None:
        self._book = book
        self._revision = book.revision + 1
        self.now_ns = now_ns
        self.orders = dict(book.orders)
        self._slots: dict[Decimal, Slot] = {}
        self._touched: dict[str, Order] = {}
        self._executions: list[Execution] = []
        self._totals = book.totals
        self._standing = (book.standing, book.standing_reason)
        self._strays = book.strays

    @property
    def identity(self) -> GridIdentity:
        """The grid's."""
        return self._book.identity

    @property
    def standing(self) -> Standing:
        """Whether the grid may trade, as it stands in this draft."""
        return self._standing[0]

    def slots(self) -> list[Slot]:
        """Every slot as it stands in this draft, by price."""
        return [slot for _, slot in sorted({**self._book.slots, **self._slots}.items())]

    def slot(self, price: Decimal) -> Slot:
        """The slot as it stands in this draft; a level that was never used is FREE and EMPTY."""
        return self._slots.get(price) or self._book.slots.get(price) or Slot(price=price)

    def reserve(self, order: Order) -> None:
        """Give a FREE slot its new order."""
        slot = self.slot(order.slot_price)
        self._set(slot, SlotEvent.RESERVED, order=order)
        self._note(order)

    def adopt(self, order: Order) -> None:
        """Take over an order that this ledger did not make; its slot follows when it is put."""
        self.orders[order.client_oid] = order

    def put(self, order: Order) -> None:
        """Write an order as it now stands, and move its slot accordingly.

        An order that rests while its slot has another one strays: it is watched, its fills count,
        and it becomes the slot's own as soon as the other one has ended.
        """
        strays = self._book.find_strays() if self._strays is None else self._strays
        self._strays = strays - {order.client_oid}
        self._note(order)
        slot = self.slot(order.slot_price)
        if slot.order is not None and slot.order.client_oid == order.client_oid:
            self._follow(slot, order)
        elif order.status.resting and slot.order is None:
            self._set(slot, SlotEvent.REVIVED, order=order)
        elif order.status.resting:
            self._strays |= {order.client_oid}

    def rivals(self) -> str:
        """Which slot has more than one live order; empty when none has."""
        for _, order in sorted(self.orders.items()):
            own = self.slot(order.slot_price).order
            if not order.status.terminal and own and own.client_oid != order.client_oid:
                return (
                    f"slot {plain(order.slot_price)} has two live orders, "
                    f"{own.client_oid} and {order.client_oid}"
                )
        return ""

    def fill(self, order: Order, counted: CountedFill) -> None:
        """Add what newly filled to the slot's holding and to the totals."""
        if not counted.quantity and counted.execution is None:
            return
        slot = self.slot(order.slot_price)
        slot, corrected = repriced(slot, order, counted)
        held = Holding.after(slot, order, counted)
        realised = corrected + held.realised
        self._slots[slot.price] = replace(
            slot,
            position_qty=held.quantity,
            entry_cost=held.cost,
            exit_price=held.exit_price,
            rejections=0,
            revision=self._revision,
        )
        totals = self._totals
        realised_pnl = totals.realised_pnl + realised
        if (execution := counted.execution) is None:
            self._totals = replace(totals, realised_pnl=realised_pnl)
        else:
            in_quote = not execution.fee or execution.fee_asset == self._book.identity.quote
            known_fee = execution.fee if in_quote else None
            self._totals = replace(
                totals,
                realised_pnl=realised_pnl,
                fills=totals.fills + 1,
                buys=totals.buys + (order.side.sign > 0),
                sells=totals.sells + (order.side.sign < 0),
                fees=totals.fees + (known_fee or ZERO),
                fees_unknown=totals.fees_unknown + (known_fee is None),
            )
            self._executions.append(
                replace(
                    execution,
                    realised_pnl=realised if order.purpose is Purpose.CLOSE else None,
                )
            )

    def halt(self, reason: str) -> None:
        """Halt the grid; the first reason stays.

        One that was not compared yet stays RECONCILING until it is, since closing would not be
        safe either: the exchange may have an order that closes the same.
        """
        standing, known = self._standing
        if not known:
            reconciling = standing is Standing.RECONCILING
            self.stand(Standing.RECONCILING if reconciling else Standing.HALTED, reason)

    def stand(self, standing: Standing, reason: str = "") -> None:
        """Say whether the grid may trade from here on; `reason` is for a person."""
        self._standing = (standing, reason[:REASON_LENGTH_MAX])

    def commit(
        self, *, placed: int = 0, batch: BatchRecord | None = None
    ) -> tuple[GridBook, GridChange | None]:
        """The book after the change, and the change; None when nothing changed."""
        stood = (self._book.standing, self._book.standing_reason)
        if not self._touched and batch is None and self._standing == stood:
            return self._book, None
        standing, standing_reason = self._standing
        slots = tuple(self._slots.values())
        assert all(slot.revision == self._revision for slot in slots)
        problem = change_problem(slots, self._touched.values())
        assert not problem, problem
        totals = self._totals
        if placed:
            totals = replace(totals, orders=totals.orders + placed)
        after = GridBook(
            identity=self._book.identity,
            revision=self._revision,
            slots={**self._book.slots, **{s.price: s for s in slots}},
            orders=self.orders,
            totals=totals,
            batches={**self._book.batches, **({batch.batch_id: batch} if batch else {})},
            standing=standing,
            standing_reason=standing_reason,
            strays=self._strays,
        )
        change = GridChange(
            bot_id=self._book.identity.bot_id,
            revision=self._revision,
            slots=slots,
            orders=tuple(self._touched.values()),
            executions=tuple(self._executions),
            totals=totals,
            commit_time_ns=self.now_ns,
            batch=batch,
            standing=standing,
            standing_reason=standing_reason,
        )
        return after, change

    def _follow(self, slot: Slot, order: Order) -> None:
        if order.status.terminal:
            refused = _refused(order)
            rejections = slot.rejections + 1 if refused else 0
            wait_ns = (
                min(BACKOFF_FIRST_NS << min(rejections - 1, 16), BACKOFF_MAX_NS) if refused else 0
            )
            self._slots[slot.price] = replace(
                slot,
                status=step(slot, SlotEvent.ENDED),
                order=None,
                cycle=slot.cycle + 1,
                rejections=rejections,
                blocked_until_ns=self.now_ns + wait_ns if refused else 0,
                revision=self._revision,
            )
            self._bind_stray(slot.price, self._strays or frozenset())
        elif order.status.resting:
            self._set(slot, SlotEvent.CONFIRMED, order=order)
        else:
            self._set(slot, SlotEvent.DOUBTED, order=order)

    def _bind_stray(self, price: Decimal, strays: frozenset[str]) -> None:
        here = sorted(oid for oid in strays if self.orders[oid].slot_price == price)
        if here:
            self._strays = strays - {here[0]}
            self._set(self.slot(price), SlotEvent.REVIVED, order=self.orders[here[0]])

    def _set(self, slot: Slot, event: SlotEvent, *, order: Order) -> None:
        self._slots[slot.price] = replace(
            slot, status=step(slot, event), order=order, revision=self._revision
        )

    def _note(self, order: Order) -> None:
        self.orders[order.client_oid] = order
        self._touched[order.client_oid] = order


def _refused(order: Order) -> bool:
    """The exchange did not want the order: the same one, placed again at once, would fare alike."""
    if order.status is OrderStatus.CANCELED:
        # Some exchanges reject by cancelling; what a person cancelled is not fought over either.
        return not order.cancel_requested and order.end_reason is not EndReason.CANCEL_REQUESTED
    return order.status in (OrderStatus.REJECTED, OrderStatus.NOT_PLACED, OrderStatus.EXPIRED)
