"""Deliberate defects: what the referee must catch, or it proves nothing.

Each is a mistake that somebody could make in the product's code, made at run time by replacing a
piece of it. Where the product has a second line of defence against the same mistake, the defect
takes it away too: it is the referee that is put to the test here, not the defence.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final
from unittest import mock

from opensqt.core.actions import ActionBatch
from opensqt.core.errors import Refusal
from opensqt.core.events import OrderUpdate, UpdateSource
from opensqt.core.grid import slots
from opensqt.core.grid.book import GridChange
from opensqt.core.grid.fills import CountedFill, count_fill
from opensqt.core.grid.reports import reported
from opensqt.core.grid.results import Applied, Outcome, PlacementResult, Reservation
from opensqt.core.grid.slots import SlotManager
from opensqt.core.numbers import ZERO
from opensqt.core.orders import EndReason, Order, OrderStatus
from opensqt.ports import (
    CancelAnswer,
    CancelOutcome,
    DependencyError,
    OrderGateway,
    PositionManager,
)
from services.execution.order_executor import OrderExecutor
from services.execution.sending import Sending


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """A mistake."""

    name: str
    mistake: str
    """What somebody would have done."""
    pieces: tuple[tuple[Any, str, Any], ...]
    """What is replaced: owner, name, and by what."""


_on: Final[list[str]] = []


def current() -> str:
    """The defect that is switched on; empty when none is."""
    return _on[-1] if _on else ""


@contextmanager
def switched_on(name: str) -> Iterator[None]:
    """Make a mistake while the context is open.

    Raises:
        KeyError: There is no defect of that name.
    """
    with ExitStack() as stack:
        for owner, piece, instead in DEFECTS[name].pieces:
            stack.enter_context(mock.patch.object(owner, piece, instead))
        _on.append(name)
        stack.callback(_on.remove, name)
        yield


# --- no intent before send -----------------------------------------------------------------------


async def _send_then_reserve(self: Any, batch: ActionBatch) -> Reservation:
    """The commit saves a round trip if it runs beside the sending."""
    admitted = await self._admit(batch)
    now_ns = self._clock.now_ns()
    deadline_ns = now_ns + self._placing_ns
    book = await self._positions.grid(batch.bot_id)
    guess = SlotManager(book).reserve(admitted, deadline_ns=deadline_ns, now_ns=now_ns).value
    self._sending.begin(batch.bot_id, guess)
    reservation: Reservation = await self._positions.reserve(admitted, deadline_ns=deadline_ns)
    return reservation


# --- resend on timeout ---------------------------------------------------------------------------

_place: Final = Sending._place  # noqa: SLF001 - what a defect replaces


async def _place_again(self: Any, order: Order) -> PlacementResult:
    """No answer: surely it did not arrive."""
    result = await _place(self, order)
    if result.status is not OrderStatus.UNKNOWN:
        return result
    fresh = self._clock.now_ns() + (order.deadline_ns - order.created_ns)
    return await _place(self, replace(order, deadline_ns=fresh))


# --- fill not deduplicated -----------------------------------------------------------------------


_count: Final = count_fill


def _count_always(order: Order, update: OrderUpdate) -> CountedFill:
    """Whatever an event reports is new."""
    return _count(replace(order, execution_ids=frozenset()), update)


# --- partial fill dropped on cancel --------------------------------------------------------------

_apply: Final = SlotManager.apply


def _drop_on_cancel(self: SlotManager, update: OrderUpdate, *, now_ns: int) -> Outcome[Applied]:
    """Cancelled means that nothing has happened."""
    outcome = _apply(self, update, now_ns=now_ns)
    order, change = outcome.book.orders.get(update.client_oid), outcome.change
    if change is None or order is None or order.status is not OrderStatus.CANCELED:
        return outcome
    slot = outcome.book.slots[order.slot_price]
    held = slot.position_qty - order.filled_quantity * order.side.sign
    cost = slot.entry_cost + order.filled_quote if held else ZERO
    as_before = replace(slot, position_qty=held, entry_cost=cost)
    slots = {**outcome.book.slots, slot.price: as_before}
    touched = (*(s for s in change.slots if s.price != slot.price), as_before)
    return Outcome(
        book=replace(outcome.book, slots=slots),
        change=replace(change, slots=touched),
        value=outcome.value,
    )


# --- ack overwrites fill -------------------------------------------------------------------------

_reported: Final = reported


def _as_acknowledged(order: Order, said: OrderStatus, *args: Any, **more: Any) -> Order:
    """The answer to the request is the freshest news there is."""
    if said is OrderStatus.NEW:
        heard = _reported(order, said, *args, **more)
        return replace(heard, status=said, filled_quantity=ZERO, filled_quote=ZERO)
    return _reported(order, said, *args, **more)


# --- slot freed on failed cancel -----------------------------------------------------------------


async def _freed_anyway(self: Any, order: Order) -> None:
    """The cancel was sent, so the order is gone."""
    gateway: OrderGateway = self._gateway
    positions: PositionManager = self._positions
    try:
        async with asyncio.timeout(self._answer_s):
            answer = await gateway.cancel(order)
    except TimeoutError:
        answer = CancelAnswer(outcome=CancelOutcome.UNKNOWN)
    if answer.outcome is CancelOutcome.GONE:
        return  # left to be settled
    with contextlib.suppress(DependencyError, Refusal):
        book = await positions.grid(order.bot_id)
        await positions.apply(answer.update or _gone(order, book.identity.account))


def _gone(order: Order, account: str) -> OrderUpdate:
    return OrderUpdate(
        account=account,
        symbol=order.symbol,
        client_oid=order.client_oid,
        exchange_order_id=order.exchange_order_id,
        side=order.side,
        status=OrderStatus.CANCELED,
        end_reason=EndReason.CANCEL_REQUESTED,
        price=order.price,
        quantity=order.quantity,
        filled_quantity=order.filled_quantity,
        average_price=None,
        execution=None,
        source=UpdateSource.ANSWER,
        exchange_time_ns=order.updated_ns,
        receive_time_ns=order.updated_ns,
    )


# --- stale revision accepted ---------------------------------------------------------------------

_reserve: Final = SlotManager.reserve


def _reserve_anyway(self: SlotManager, batch: ActionBatch, **how: Any) -> Outcome[Reservation]:
    """The slots are checked one by one anyway."""
    now = self._book
    then = SlotManager(replace(now, revision=batch.state_revision))
    outcome: Outcome[Reservation] = _reserve(then, batch, **how)
    change = outcome.change
    if change is None:
        return outcome
    revision = now.revision + 1
    touched = tuple(replace(slot, revision=revision) for slot in change.slots)
    assert change.batch is not None
    record = replace(change.batch, revision=revision)
    renumbered: GridChange = replace(change, revision=revision, slots=touched, batch=record)
    book = replace(
        outcome.book,
        revision=revision,
        slots={**now.slots, **{slot.price: slot for slot in touched}},
        batches={**now.batches, record.batch_id: record},
    )
    value = replace(outcome.value, revision=revision)
    return Outcome(book=book, change=renumbered, value=value)


_ALL: Final = (
    Defect(
        name="no-intent-before-send",
        mistake="orders are sent while their intents are being committed, not after",
        pieces=((OrderExecutor, "_reserve", _send_then_reserve),),
    ),
    Defect(
        name="resend-on-timeout",
        mistake="an order without an answer is sent again",
        pieces=((Sending, "_place", _place_again),),
    ),
    Defect(
        name="fill-not-deduplicated",
        mistake="an execution counts as often as it is told",
        pieces=((slots, "count_fill", _count_always),),
    ),
    Defect(
        name="partial-fill-dropped-on-cancel",
        mistake="a cancelled order counts as if it had not filled at all",
        pieces=((SlotManager, "apply", _drop_on_cancel),),
    ),
    Defect(
        name="ack-overwrites-fill",
        mistake="the answer to a placement overwrites what the stream has told before it",
        pieces=((slots, "reported", _as_acknowledged),),
    ),
    Defect(
        name="slot-freed-on-failed-cancel",
        mistake="a cancel without an answer frees the slot",
        pieces=((Sending, "_cancel", _freed_anyway),),
    ),
    Defect(
        name="stale-revision-accepted",
        mistake="a decision is carried out though the grid has changed since",
        pieces=((SlotManager, "reserve", _reserve_anyway),),
    ),
)

DEFECTS: Final = {defect.name: defect for defect in _ALL}
