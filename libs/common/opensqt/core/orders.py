"""Orders: the life of an order as a table, and the order itself.

Everything that changes an order's status goes through `next_status`. The table holds what really
happens, not what should: fills outrun acknowledgements, answers get lost, events come late.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from opensqt.core.numbers import ZERO


class Side(StrEnum):
    """Which way an order trades the base asset."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """What the side does to a position: +1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1


class Purpose(StrEnum):
    """What an order does for the slot or leg that owns it."""

    OPEN = "OPEN"
    CLOSE = "CLOSE"


class OrderStatus(StrEnum):
    """Where an order stands."""

    PENDING = "PENDING"
    """The intent is committed; nothing is known of the exchange yet."""
    UNKNOWN = "UNKNOWN"
    """Sent, with no answer that can be relied upon: it may or may not exist."""
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    NOT_PLACED = "NOT_PLACED"
    """Proven never to have reached the exchange."""

    @property
    def terminal(self) -> bool:
        """The order has ended; it never reopens, though fills may still come to light."""
        return self in TERMINAL

    @property
    def resting(self) -> bool:
        """The exchange has confirmed that the order is open."""
        return self in _RESTING


class EndReason(StrEnum):
    """Why an order ended without being filled whole."""

    NONE = "NONE"
    CANCEL_REQUESTED = "CANCEL_REQUESTED"
    POST_ONLY_WOULD_TAKE = "POST_ONLY_WOULD_TAKE"
    REDUCE_ONLY_REJECTED = "REDUCE_ONLY_REJECTED"
    INSUFFICIENT_MARGIN = "INSUFFICIENT_MARGIN"
    FILTER = "FILTER"
    RATE_LIMIT = "RATE_LIMIT"
    DUPLICATE_ID = "DUPLICATE_ID"
    EXCHANGE_UNAVAILABLE = "EXCHANGE_UNAVAILABLE"
    AUTHENTICATION = "AUTHENTICATION"
    NEVER_ARRIVED = "NEVER_ARRIVED"
    SELF_TRADE_PREVENTION = "SELF_TRADE_PREVENTION"
    FORCED = "FORCED"
    OTHER = "OTHER"
    TIMESTAMP = "TIMESTAMP"


TERMINAL: Final = frozenset(
    {
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.EXPIRED,
        OrderStatus.REJECTED,
        OrderStatus.NOT_PLACED,
    }
)

_RESTING: Final = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)

_S = OrderStatus

_LIVE_ON_EXCHANGE: Final = (_S.NEW, _S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED, _S.EXPIRED)

STATUS_TABLE: Final[dict[tuple[OrderStatus, OrderStatus], OrderStatus]] = {
    # Known -> reported: becomes. A pair that is absent tells nothing new, and changes nothing.
    # PENDING and UNKNOWN learn whatever the exchange says: a fill can outrun the acknowledgement.
    **{(known, said): said for known in (_S.PENDING, _S.UNKNOWN) for said in _LIVE_ON_EXCHANGE},
    (_S.PENDING, _S.UNKNOWN): _S.UNKNOWN,
    (_S.PENDING, _S.REJECTED): _S.REJECTED,
    (_S.PENDING, _S.NOT_PLACED): _S.NOT_PLACED,
    (_S.UNKNOWN, _S.REJECTED): _S.REJECTED,
    (_S.UNKNOWN, _S.NOT_PLACED): _S.NOT_PLACED,
    # A resting order only moves forward; an acknowledgement that comes after a fill says nothing.
    (_S.NEW, _S.PARTIALLY_FILLED): _S.PARTIALLY_FILLED,
    (_S.NEW, _S.FILLED): _S.FILLED,
    (_S.NEW, _S.CANCELED): _S.CANCELED,
    (_S.NEW, _S.EXPIRED): _S.EXPIRED,
    # Some exchanges accept a post-only order first and reject it on the stream (Bybit).
    (_S.NEW, _S.REJECTED): _S.REJECTED,
    (_S.PARTIALLY_FILLED, _S.FILLED): _S.FILLED,
    (_S.PARTIALLY_FILLED, _S.CANCELED): _S.CANCELED,
    (_S.PARTIALLY_FILLED, _S.EXPIRED): _S.EXPIRED,
    # Cancelled or expired, and then the last fills come to light: the race was lost.
    (_S.CANCELED, _S.FILLED): _S.FILLED,
    (_S.EXPIRED, _S.FILLED): _S.FILLED,
    # We gave it up as never placed, and it shows on the exchange after all: the exchange is right,
    # and the order is taken back into the books.
    **{(_S.NOT_PLACED, said): said for said in _LIVE_ON_EXCHANGE},
    # A rejected order that traded was not rejected. A late "new" proves nothing (see Bybit above).
    (_S.REJECTED, _S.PARTIALLY_FILLED): _S.PARTIALLY_FILLED,
    (_S.REJECTED, _S.FILLED): _S.FILLED,
}


def next_status(known: OrderStatus, said: OrderStatus) -> OrderStatus:
    """The status of an order that was `known` and is reported as `said`; `known` if nothing new."""
    return STATUS_TABLE.get((known, said), known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One fill. Prices in quote per base, quantities in base."""

    execution_id: str
    """Unique within the symbol on its exchange."""
    client_oid: str
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal | None
    """Fee paid in `fee_asset`, negative for a rebate; None when the exchange did not say."""
    fee_asset: str
    maker: bool
    exchange_time_ns: int
    realised_pnl: Decimal | None = None
    """Profit of a closing execution for its slot, before fees; None on an opening one."""
    slot_price: Decimal | None = None
    exchange_order_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order: the intent as it was committed, and what is known of it on the exchange."""

    client_oid: str
    bot_id: str
    symbol: str
    side: Side
    purpose: Purpose
    price: Decimal
    quantity: Decimal
    slot_price: Decimal
    cycle: int
    reduce_only: bool
    post_only: bool
    batch_id: str
    created_ns: int
    deadline_ns: int
    """When the request to place it expires on the exchange."""
    updated_ns: int
    exit_price: Decimal | None = None
    """Where the position that an opening order builds is to be closed."""
    status: OrderStatus = OrderStatus.PENDING
    filled_quantity: Decimal = ZERO
    """Cumulative; never decreases, never above `quantity`."""
    filled_quote: Decimal = ZERO
    """Quote paid or received for `filled_quantity`, before fees."""
    executed_quantity: Decimal = ZERO
    """What the counted executions add up to; below `filled_quantity` while some are still due."""
    executed_quote: Decimal = ZERO
    """Quote of the counted executions; the rest of `filled_quote` is at inferred prices."""
    exchange_order_id: str = ""
    cancel_requested: bool = False
    end_reason: EndReason = EndReason.NONE
    end_text: str = ""
    execution_ids: frozenset[str] = frozenset()
    """Executions already counted, which makes counting a fill idempotent."""

    @property
    def remaining(self) -> Decimal:
        """What may still fill."""
        return self.quantity - self.filled_quantity

    @property
    def settled(self) -> bool:
        """Its result is proven, and no cancel is in doubt."""
        if self.status.terminal:
            return True
        return self.status.resting and not self.cancel_requested
