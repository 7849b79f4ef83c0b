"""`Agenda`: what of a grid's book a decision has to look at, kept from change to change.

Of a big book little is ever open to question: the openings that rest, for the windows move; the
holdings that have no exit; what must go whatever the market does. Finding these among all slots and
orders takes longer than the decision itself. An agenda follows from its book alone, and says which
book that is, so it cannot be out of date; whether it was kept or made anew makes no difference.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal

from opensqt.core.grid.book import GridBook, GridChange, Slot, SlotStatus
from opensqt.core.grid.lattice import Lattice
from opensqt.core.orders import Order, Purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Agenda:
    """What is to be decided on in a book."""

    book: GridBook
    lattice: Lattice
    """The grid's levels."""
    taken: AbstractSet[int]
    """The levels whose slots have an order or hold something."""
    openings: Mapping[str, Order]
    """The opening orders that rest, and are to be held against the windows."""
    misfits: Mapping[str, Order]
    """The orders that rest and are to go: beside their slot's own, or closing more than it holds.
    An order whose cancel was asked for is neither here nor among the openings."""
    holdings: Mapping[Decimal, Slot]
    """The slots that hold something and have no order, by price; not always in the book's order."""
    back_offs: Mapping[int, int]
    """Until when slots wait whose last order was refused, in ns, by level."""
    loose: frozenset[str]
    """Ids of the live orders that no slot has for its own."""

    @classmethod
    def of(cls, book: GridBook) -> "Agenda":
        """The agenda of a book, from a look at everything in it."""
        nothing = cls(
            book=book,
            lattice=book.identity.lattice,
            taken=frozenset(),
            openings={},
            misfits={},
            holdings={},
            back_offs={},
            loose=frozenset(),
        )
        return nothing._revised(book, book.slots.values(), book.orders)

    def after(self, book: GridBook, change: GridChange) -> "Agenda":
        """The agenda of the book that a change has led to from this one's."""
        # What an order is depends on itself and its slot. So besides those that changed, look at
        # the own orders of the slots that changed, and at those that are no slot's own.
        oids = {order.client_oid for order in change.orders} | self.loose
        for slot in change.slots:
            before = self.book.slots.get(slot.price)
            oids |= {each.order.client_oid for each in (before, slot) if each and each.order}
        return self._revised(book, change.slots, oids)

    def waiting(self) -> list[Slot]:
        """The holdings that have no order, in the order of the book's slots."""
        if len(self.holdings) < 2:  # one has no order to be in
            return list(self.holdings.values())
        return [slot for price, slot in self.book.slots.items() if price in self.holdings]

    def wakes_ns(self, now_ns: int) -> int | None:
        """When the next back-off of a slot ends, which no event tells; None when none is on."""
        if not self.back_offs:
            return None
        ends = (until_ns for until_ns in self.back_offs.values() if until_ns > now_ns)
        return min(ends, default=None)

    def _revised(self, book: GridBook, slots: Iterable[Slot], oids: Iterable[str]) -> "Agenda":
        """The agenda of `book`, which differs from this one's in these slots and orders alone."""
        taken, openings, misfits = set(self.taken), dict(self.openings), dict(self.misfits)
        holdings, back_offs = dict(self.holdings), dict(self.back_offs)
        loose = set(self.loose)
        for slot in slots:
            price, level = slot.price, self.lattice.nearest(slot.price)
            holds, free = bool(slot.position_qty), slot.status is SlotStatus.FREE
            if holds or not free:
                taken.add(level)
            else:
                taken.discard(level)
            if holds and free:
                holdings[price] = slot
            else:
                holdings.pop(price, None)
            if slot.blocked_until_ns:
                back_offs[level] = slot.blocked_until_ns
            else:
                back_offs.pop(level, None)
        for oid in oids:
            openings.pop(oid, None)
            misfits.pop(oid, None)
            loose.discard(oid)
            order = book.orders.get(oid)
            if order is None or order.status.terminal:
                continue
            slot_of_it = book.slots.get(order.slot_price)
            own = None if slot_of_it is None else slot_of_it.order
            if own is None or own.client_oid != oid:
                loose.add(oid)
            if order.cancel_requested or not order.status.resting:
                continue
            if _misfit(order, slot_of_it):
                misfits[oid] = order
            elif order.purpose is Purpose.OPEN:
                openings[oid] = order
        return Agenda(
            book=book,
            lattice=self.lattice,
            taken=taken,
            openings=openings,
            misfits=misfits,
            holdings=holdings,
            back_offs=back_offs,
            loose=frozenset(loose),
        )


def _misfit(order: Order, slot: Slot | None) -> bool:
    """Whether a resting order is one too many for its slot, or closes more than that holds.

    Other closing orders are kept wherever they rest, since an exit never hurts; after a forced
    close it might.
    """
    if slot is None:
        return order.purpose is Purpose.CLOSE
    if slot.order is not None and slot.order.client_oid != order.client_oid:
        return True
    return order.purpose is Purpose.CLOSE and order.remaining > -slot.position_qty * order.side.sign
