"""Actions: what a strategy decides. A decision is data; carrying it out is somebody else's work."""

from dataclasses import dataclass
from decimal import Decimal

from opensqt.core.orders import Purpose, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Place one limit order for a slot."""

    slot_price: Decimal
    """The slot's own price: its address, whatever the order's price is."""
    side: Side
    purpose: Purpose
    price: Decimal
    quantity: Decimal
    reduce_only: bool
    post_only: bool
    exit_price: Decimal | None = None
    """Where the position that this order opens shall be closed; None on a closing order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Cancel a slot's order; a slot that has another order by then is left alone."""

    slot_price: Decimal
    client_oid: str


Action = Place | Cancel


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionBatch:
    """One decision of one bot at one revision of its state."""

    bot_id: str
    epoch: int
    """Of the grid that was decided on: the revisions of a ledger made anew begin again."""
    state_revision: int
    actions: tuple[Action, ...]
    price_time_ns: int
    """When the price that the decision was made on was received."""

    @property
    def batch_id(self) -> str:
        """The same for every repetition of the decision, so that repeating it does nothing."""
        return f"{self.bot_id}:{self.epoch}:{self.state_revision}"
