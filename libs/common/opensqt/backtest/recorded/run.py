"""What a run did: every order that a bot decided, and every fill, exactly; whatever made it.

A backtest, a simulation, a paper run and a production ledger all come down to this, so that any two
of them can be held against each other (`diff`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from opensqt.core.numbers import ZERO
from opensqt.core.orders import Side


class RunPurpose(StrEnum):
    """What an order was for."""

    OPEN = "OPEN"
    CLOSE = "CLOSE"
    FORCED = "FORCED"
    """The exchange made it: a liquidation."""


class RunEnd(StrEnum):
    """How an order stands at the end of a run."""

    OPEN = "OPEN"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REFUSED = "REFUSED"
    """The exchange did not take it, or never had it."""
    ON_ITS_WAY = "ON_ITS_WAY"
    """It was decided, and the run ended before anything was known of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFill:
    """One execution. Price in quote per base, quantity in base, fee in quote."""

    time_ns: int
    price: Decimal
    quantity: Decimal
    maker: bool
    fee: Decimal | None
    """Paid; negative: received; None: unknown."""
    execution_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOrder:
    """One order. Prices in quote per base, quantities in base."""

    bot: str
    symbol: str
    slot_price: Decimal | None
    """The slot that owns it; None for an order that the exchange made itself."""
    side: Side
    purpose: RunPurpose
    cycle: int
    price: Decimal | None
    """None for an order that the exchange made itself."""
    quantity: Decimal
    end: RunEnd
    filled: Decimal = ZERO
    client_oid: str = ""
    decided_ns: int | None = None
    """When it was decided, by the clock of who did."""
    placed_ns: int | None = None
    """When the exchange took it, by the exchange's clock."""
    ended_ns: int | None = None
    fills: tuple[RunFill, ...] = ()

    @property
    def first_ns(self) -> int | None:
        """The first time that is known of it."""
        return next((t for t in (self.decided_ns, self.placed_ns) if t is not None), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run did."""

    source: str
    """Where it comes from, for people."""
    orders: tuple[RunOrder, ...]
    """In the order in which they were decided."""
    assumed: Mapping[str, str] = field(default_factory=dict)
    """What was assumed or is otherwise worth knowing, by name."""
    start_ns: int | None = None
    end_ns: int | None = None

    @property
    def fills(self) -> int:
        """How many fills there were."""
        return sum(len(order.fills) for order in self.orders)
