"""What the slot manager is told and what it answers, as values."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Generic, TypeVar

from opensqt.core.grid.book import GridBook, GridChange
from opensqt.core.orders import EndReason, Order, OrderStatus

T = TypeVar("T")

OF_NO_GRID: Final = "not an order of any grid"
"""Why an update was put aside of which no grid was registered; once one is, it may be of that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementResult:
    """What is known of one request to place an order."""

    client_oid: str
    status: OrderStatus
    """NEW, REJECTED, NOT_PLACED or UNKNOWN."""
    exchange_order_id: str = ""
    end_reason: EndReason = EndReason.NONE
    end_text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """The committed intents of a batch."""

    revision: int
    to_place: tuple[Order, ...]
    to_cancel: tuple[Order, ...]
    repeated: bool
    """The batch had been committed before; its orders may have been sent already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of an order update."""

    revision: int
    changed: bool
    quarantined: str = ""
    """Why the update was left alone: the order is not ours, or it contradicts the intent."""
    halts: bool = False
    """What was left alone shows that the book may be wrong; only the ledger itself is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a grid has taken over of an execution that the exchange forced."""

    revision: int
    quantity: Decimal
    """In base; also when it was taken over before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[T]):
    """A decision of the slot manager: what to commit (None: nothing), and what to answer."""

    book: GridBook
    change: GridChange | None
    value: T
