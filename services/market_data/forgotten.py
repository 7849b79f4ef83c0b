"""Orders that ended while nobody looked, and so long ago that the exchange has forgotten them.

Exchanges keep an order that ended without a fill for days only (Binance USD-M: 3 days; Binance's
notes on querying orders), one that filled for months. So whoever was away for longer than that
finds orders in the ledger that the exchange denies. They ended without a fill; otherwise the
exchange would show them.

An order that this process has seen open, or that the ledger has heard of since, cannot have been
forgotten: an exchange that denies it contradicts itself, and a person has to look.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from opensqt.core.events import OrderUpdate, UpdateSource
from opensqt.core.orders import EndReason, Order, OrderStatus
from opensqt.ports import Clock

LOOKS_MIN: Final = 3
LASTS_NS: Final = 60 * 10**9
"""So often, and for so long, the exchange must deny an order before that is believed."""


@dataclass(frozen=True, slots=True)
class _Denied:
    since_ns: int
    looks: int


class ForgottenOrders:
    """Watches which orders the exchange denies.

    Args:
        account: Whose orders they are.
        clock: Tells the time.
        after_ns: How long the exchange remembers an order that ended without a fill.
    """

    def __init__(self, account: str, *, clock: Clock, after_ns: int) -> None:
        self._account = account
        self._clock = clock
        self._after_ns = after_ns
        self._denied: dict[str, _Denied] | None = None
        """None until the first look: only what is denied from then on, every time, counts."""

    def look(self, missing: Iterable[Order]) -> tuple[OrderUpdate, ...]:
        """What became of the orders that a comparison missed, as far as that is certain."""
        now_ns = self._clock.now_ns()
        orders = [order for order in missing if self._may_be_forgotten(order, now_ns)]
        first, before = self._denied is None, self._denied or {}
        self._denied = {
            order.client_oid: _Denied(known.since_ns, known.looks + 1)
            if known
            else _Denied(now_ns, 1)
            for order in orders
            if (known := before.get(order.client_oid)) or first
        }
        return tuple(
            self._ended(order, now_ns)
            for order in orders
            if (denied := self._denied.get(order.client_oid))
            and denied.looks >= LOOKS_MIN
            and now_ns - denied.since_ns >= LASTS_NS
        )

    def _may_be_forgotten(self, order: Order, now_ns: int) -> bool:
        return not order.filled_quantity and now_ns - order.updated_ns > self._after_ns

    def _ended(self, order: Order, now_ns: int) -> OrderUpdate:
        return OrderUpdate(
            account=self._account,
            symbol=order.symbol,
            client_oid=order.client_oid,
            exchange_order_id=order.exchange_order_id,
            side=order.side,
            status=OrderStatus.CANCELED,
            end_reason=EndReason.OTHER,
            price=order.price,
            quantity=order.quantity,
            filled_quantity=order.filled_quantity,
            average_price=None,
            execution=None,
            source=UpdateSource.QUERY,
            exchange_time_ns=now_ns,
            receive_time_ns=now_ns,
        )
