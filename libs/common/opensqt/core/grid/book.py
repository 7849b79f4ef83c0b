"""What a grid knows at one revision: its identity, its slots, its live orders, its totals.

Values only. How they change is in `slots`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from opensqt.core.grid.lattice import Lattice
from opensqt.core.numbers import ZERO
from opensqt.core.orders import TERMINAL, Execution, Order
from opensqt.core.values import replace


class Direction(StrEnum):
    """Which way a grid builds its position."""

    LONG = "LONG"
    SHORT = "SHORT"
    NEUTRAL = "NEUTRAL"


class SlotStatus(StrEnum):
    """Whether a slot has an order."""

    FREE = "FREE"
    PENDING = "PENDING"
    LOCKED = "LOCKED"


class PositionStatus(StrEnum):
    """Whether a slot holds a position."""

    EMPTY = "EMPTY"
    FILLED = "FILLED"


class Standing(StrEnum):
    """Whether a grid may trade, as the ledger keeps it; a restart of nothing changes it."""

    RECONCILING = "RECONCILING"
    """Registered, and what the exchange already has of it is not in the book yet: a ledger that was
    lost leaves orders and holdings behind. Nothing is placed."""
    TRADING = "TRADING"
    HALTED = "HALTED"
    """Stopped by a person, by a forced order, or by an exchange that contradicts the book: nothing
    is opened until a person resumes it. Closing and cancelling go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridIdentity:
    """The part of a grid that never changes once it is registered."""

    bot_id: str
    account: str
    symbol: str
    quote: str
    """The asset that profit and fees are counted in."""
    direction: Direction
    anchor: Decimal
    interval: Decimal
    epoch: int

    @property
    def lattice(self) -> Lattice:
        """The grid's levels."""
        return Lattice(anchor=self.anchor, interval=self.interval)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One level of the grid, addressed by its own price, always."""

    price: Decimal
    status: SlotStatus = SlotStatus.FREE
    order: Order | None = None
    """The live order; None when FREE."""
    position_qty: Decimal = ZERO
    """Signed quantity held, in base: negative is short."""
    entry_cost: Decimal = ZERO
    """Quote paid (long) or received (short) for what is held, before fees; never negative."""
    exit_price: Decimal | None = None
    """Where the position is to be closed; set by the order that opened it."""
    cycle: int = 0
    """Grows with every order of this slot that ended; part of the next order's id."""
    blocked_until_ns: int = 0
    """No new order before this time."""
    rejections: int = 0
    """Orders refused in a row."""
    revision: int = 0
    """The state revision at which the slot last changed."""

    @property
    def position_status(self) -> PositionStatus:
        """EMPTY or FILLED: whether anything is held, long or short."""
        return PositionStatus.FILLED if self.position_qty else PositionStatus.EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class GridTotals:
    """Profit and loss of a grid from its own executions, in quote."""

    realised_pnl: Decimal = ZERO
    """Of closed positions, before fees."""
    fees: Decimal = ZERO
    fills: int = 0
    buys: int = 0
    sells: int = 0
    orders: int = 0
    fees_unknown: int = 0
    """Executions whose fee is unknown or in another asset; they are not in `fees`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """A batch that was committed: what makes repeating it harmless."""

    batch_id: str
    revision: int
    placed: tuple[str, ...]
    canceled: tuple[str, ...]
    request_id: str = ""
    """The request that brought it; empty when it had no id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridBook:
    """A whole grid at one revision.

    `orders` has every live order, and those ended ones that the caller asked for; `batches` only
    those that it asked for. What is not asked for stays in the store.
    """

    identity: GridIdentity
    revision: int = 0
    slots: Mapping[Decimal, Slot] = field(default_factory=lambda: MappingProxyType({}))
    orders: Mapping[str, Order] = field(default_factory=lambda: MappingProxyType({}))
    totals: GridTotals = field(default_factory=GridTotals)
    batches: Mapping[str, BatchRecord] = field(default_factory=lambda: MappingProxyType({}))
    standing: Standing = Standing.RECONCILING
    standing_reason: str = ""
    """Why it is HALTED, for a person; of a RECONCILING grid: why it will be, once confirmed."""
    strays: frozenset[str] | None = field(default=None, compare=False, repr=False)
    """Ids of orders that rest while their slot has another one; None when nobody has looked yet.

    Follows from `orders` and `slots`. Kept, since looking through all orders whenever one ends
    would take longer than the rest of the change, in a big book.
    """

    @property
    def position(self) -> Decimal:
        """What the slots hold together, in base; negative is short."""
        return sum((slot.position_qty for slot in self.slots.values()), ZERO)

    def trimmed(self) -> "GridBook":
        """The book without what it only has because somebody asked: ended orders and batches."""
        ended = [oid for oid, order in self.orders.items() if order.status in TERMINAL]
        if not ended and not self.batches:
            return self
        live = dict(self.orders)
        for oid in ended:
            del live[oid]
        return replace(self, orders=live, batches={})

    def find_strays(self) -> frozenset[str]:
        """What `strays` is, from a look at every order."""
        bound = {slot.order.client_oid for slot in self.slots.values() if slot.order}
        resting = {oid for oid, order in self.orders.items() if order.status.resting}
        return frozenset(resting - bound)

    def wakes_ns(self, now_ns: int) -> int | None:
        """When the next back-off of a slot ends, which no event tells; None when none is on."""
        blocked = (slot.blocked_until_ns for slot in self.slots.values())
        return min((until_ns for until_ns in blocked if until_ns > now_ns), default=None)

    def live_orders(self) -> tuple[Order, ...]:
        """Every order that has not ended, by client order id."""
        return tuple(o for _, o in sorted(self.orders.items()) if not o.status.terminal)


@dataclass(frozen=True, slots=True, kw_only=True)
class GridChange:
    """What one commit changed; the values are those after it."""

    bot_id: str
    revision: int
    slots: tuple[Slot, ...]
    orders: tuple[Order, ...]
    executions: tuple[Execution, ...]
    totals: GridTotals
    commit_time_ns: int
    batch: BatchRecord | None = None
    standing: Standing = Standing.TRADING
    standing_reason: str = ""


def apply_change(book: GridBook, change: GridChange) -> GridBook:
    """The book after `change`, as a watcher builds it.

    Raises:
        ValueError: The change is not the next one: something was missed.
    """
    if change.revision != book.revision + 1:
        raise ValueError(f"at revision {book.revision}, cannot apply revision {change.revision}")
    orders = dict(book.orders)
    for order in change.orders:
        if order.status.terminal:
            orders.pop(order.client_oid, None)
        else:
            orders[order.client_oid] = order
    return GridBook(
        identity=book.identity,
        revision=change.revision,
        slots={**book.slots, **{slot.price: slot for slot in change.slots}},
        orders=orders,
        totals=change.totals,
        standing=change.standing,
        standing_reason=change.standing_reason,
    )
