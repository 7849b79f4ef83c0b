"""What must be true once everything is mended, told and settled.

Invariants 2, 6, 9, 15, 16, 18, 48 and 49, and what the harness itself demands.
"""

from collections import defaultdict
from collections.abc import Coroutine
from decimal import Decimal
from typing import Any, Final, TypeVar

from opensqt.core.exchange.orders import Order as ExchangeOrder
from opensqt.core.grid.book import GridBook, SlotStatus, Standing, apply_change
from opensqt.core.grid.results import OF_NO_GRID
from opensqt.core.numbers import ZERO, plain
from simulation.observer import HARNESS, ViolationError
from simulation.plan import FaultKind
from simulation.referee.facts import Facts, Ledger, cash, is_forced, signed

T = TypeVar("T")

HALTING: Final = frozenset({FaultKind.FORCED, FaultKind.OTHER_BOT_ORDER})
"""What stops a bot until a person has looked."""
GATE_CLOSING: Final = frozenset({FaultKind.GATE_TRIP, FaultKind.MANUAL_ORDER, *HALTING})
"""What closes the gate: a person, or a position that is not ours."""

EVERYTHING: Final = 1_000_000


class RestChecks:
    """Checks the whole at rest.

    Args:
        facts: What was seen in the run.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def at_rest(self) -> None:
        """Everything is mended and has come to rest."""
        ledger = self._facts.ledger
        if ledger is None:
            raise ViolationError(HARNESS, "the ledger was never written to")
        self._standing(ledger)
        self._orders(ledger)
        self._slots(ledger)
        self._intents(ledger)
        self._strangers(ledger)
        self._replay(ledger)
        self._money(ledger)
        if left := self._facts.world.settle_tasks():
            raise ViolationError(18, f"{left} settle tasks are left")

    def _standing(self, ledger: Ledger) -> None:
        """Nothing but what should, has stopped the bot; and what should, has (49)."""
        book, kinds = ledger.book, {fault.kind for fault in self._facts.world.plan.faults}
        if book.standing is Standing.RECONCILING:
            raise ViolationError(HARNESS, "the grid was never confirmed")
        halted = book.standing is Standing.HALTED
        if halted and not kinds & HALTING:
            raise ViolationError(HARNESS, f"the bot is halted for nothing: {book.standing_reason}")
        if not ledger.was_halted and any(
            is_forced(o) and o.executed for o in self._facts.account.orders.values()
        ):
            raise ViolationError(49, "a position was closed by force, and the bot was not halted")
        gate = self._facts.gate
        if gate is not None and not gate.open and not kinds & GATE_CLOSING:
            raise ViolationError(HARNESS, f"the gate is closed for nothing: {gate.reason}")

    def _orders(self, ledger: Ledger) -> None:
        """Every order of ours on the exchange is in the ledger as it is there (2, 9)."""
        for theirs in self._facts.account.orders.values():
            if not self._facts.ours(theirs):
                continue
            oid = theirs.client_order_id
            mine = ledger.orders.get(oid)
            if mine is None:
                if theirs.open:
                    raise ViolationError(9, f"{oid} is open, and the ledger has never heard", oid)
                if theirs.executed:
                    raise ViolationError(
                        2, f"{oid} has filled, and the ledger has never heard", oid
                    )
                continue
            if not mine.filled_quantity == mine.executed_quantity == theirs.executed:
                raise ViolationError(
                    2,
                    f"{oid} has {plain(theirs.executed)} filled on the exchange, "
                    f"{plain(mine.filled_quantity)} in the ledger, "
                    f"{plain(mine.executed_quantity)} by executions",
                    oid,
                )
            if theirs.open is mine.status.terminal:
                raise ViolationError(9, f"{oid} is {theirs.status}, and {mine.status} to us", oid)

    def _slots(self, ledger: Ledger) -> None:
        """No slot waits; each owns its open order and holds what its fills make (2, 9, 18)."""
        fills: defaultdict[Decimal, Decimal] = defaultdict(Decimal)
        for theirs in self._facts.account.orders.values():
            parsed = self._facts.parsed(theirs.client_order_id)
            if parsed is not None and theirs.client_order_id in ledger.orders:
                fills[parsed.slot_price] += signed(theirs)
        for execution in ledger.forced.values():
            assert execution.slot_price is not None
            fills[execution.slot_price] += execution.quantity * execution.side.sign
        for slot in ledger.book.slots.values():
            name, order = f"slot {plain(slot.price)}", slot.order
            oid = order.client_oid if order is not None else ""
            if slot.status is SlotStatus.PENDING or (order and order.cancel_requested):
                raise ViolationError(18, f"{name} still waits for {oid}: {order}", oid)
            if slot.position_qty != fills[slot.price]:
                raise ViolationError(
                    2,
                    f"{name} holds {plain(slot.position_qty)}, "
                    f"its fills on the exchange make {plain(fills[slot.price])}",
                    oid,
                )
        owned = {s.order.client_oid for s in ledger.book.slots.values() if s.order is not None}
        for theirs in self._facts.account.open_orders.values():
            oid = theirs.client_order_id
            if self._facts.ours(theirs) and oid not in owned:
                raise ViolationError(9, f"{oid} is open, and no slot has it", oid)

    def _intents(self, ledger: Ledger) -> None:
        """Every intent has come to an order of the exchange, or to nothing for good (18)."""
        for oid, mine in ledger.orders.items():
            absent = self._facts.account.find(mine.symbol, client_order_id=oid) is None
            if absent and not mine.status.terminal:
                raise ViolationError(18, f"{oid} is {mine.status}, and was never placed", oid)

    def _strangers(self, ledger: Ledger) -> None:
        """What is not ours is put aside, and nothing of ours is (9, 48)."""
        rows = at_once(self._facts.world.store.quarantined(limit=EVERYTHING, before=0))
        aside = {
            (item.update.client_oid, item.update.exchange_order_id): item.reason for _, item in rows
        }
        for theirs in self._facts.account.orders.values():
            oid = theirs.client_order_id
            noted = (oid, str(theirs.order_id)) in aside
            if self._facts.ours(theirs) or oid in ledger.orders or is_forced(theirs):
                continue
            if not noted and (theirs.open or theirs.executed):
                raise ViolationError(9 if theirs.open else 48, f"nobody noticed {oid}", oid)
        kinds = {fault.kind for fault in self._facts.world.plan.faults}
        for (oid, _), reason in sorted(aside.items()):
            # What came before its grid was registered anew was put aside, and taken up later.
            if oid in ledger.orders and OF_NO_GRID not in reason and not kinds & HALTING:
                raise ViolationError(HARNESS, f"{oid} is ours, and was put aside: {reason}", oid)

    def _replay(self, ledger: Ledger) -> None:
        """The stored changes, folded, are the stored book (15)."""
        store, bot_id = self._facts.world.store, self._facts.world.bot_id
        stored = at_once(store.load(bot_id))
        folded = GridBook(identity=stored.identity)
        for change in at_once(store.changes_after(bot_id, 0, EVERYTHING)):
            folded = apply_change(folded, change)
        if folded != stored:
            raise ViolationError(15, "folding the stored changes gives another book")
        if ledger.book != stored:
            raise ViolationError(15, "the stored book is not the one that was committed")

    def _money(self, ledger: Ledger) -> None:
        """Profit less fees and what is tied up in slots is the wallet's, to the last digit (16)."""
        account, totals = self._facts.account, ledger.book.totals
        if totals.fees_unknown:
            raise ViolationError(16, f"{totals.fees_unknown} fills without a known fee")
        tied = sum(
            (s.entry_cost.copy_sign(s.position_qty) for s in ledger.book.slots.values()), ZERO
        )
        ours = totals.realised_pnl - totals.fees - tied
        cost = sum((position.cost for position in account.positions.values()), ZERO)
        theirs = account.wallet - account.deposit - account.funding - cost
        if self._others():
            theirs = self._of_the_ledger(ledger)
        elif unbooked := self._unbooked(ledger):
            raise ViolationError(49, f"{plain(unbooked)} were closed by force and never booked")
        if ours != theirs:
            raise ViolationError(
                16,
                f"profit {plain(totals.realised_pnl)} - fees {plain(totals.fees)} "
                f"- tied up {plain(tied)} is {plain(ours)}; the wallet says {plain(theirs)}, "
                f"{plain(theirs - ours)} more",
            )

    def _others(self) -> bool:
        return any(o.executed for o in self._facts.account.orders.values() if not self._known(o))

    def _known(self, order: ExchangeOrder) -> bool:
        return self._facts.ours(order) or is_forced(order)

    def _unbooked(self, ledger: Ledger) -> Decimal:
        """What was closed by force and is in no slot: beside strangers it may be theirs."""
        done = sum((signed(o) for o in self._facts.account.orders.values() if is_forced(o)), ZERO)
        return done - sum((e.quantity * e.side.sign for e in ledger.forced.values()), ZERO)

    def _of_the_ledger(self, ledger: Ledger) -> Decimal:
        """What the fills that the ledger has to count have brought, after fees."""
        account = self._facts.account
        total = ZERO
        mine = set()
        for order in account.orders.values():
            if order.client_order_id in ledger.orders:
                mine.add(order.order_id)
                total += cash(order)
        total -= sum((fill.fee for fill in account.fills if fill.order_id in mine), ZERO)
        for execution in ledger.forced.values():
            total -= execution.price * execution.quantity * execution.side.sign
            total -= execution.fee or ZERO
        return total


def at_once(question: Coroutine[Any, Any, T]) -> T:
    """The answer of a memory store, which never waits for anything."""
    try:
        question.send(None)
    except StopIteration as answer:
        value: T = answer.value
        return value
    question.close()
    raise AssertionError("the store waited")
