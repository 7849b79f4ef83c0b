"""Bybit v5, USDT perpetuals: placing, cancelling and looking up.

Source: Bybit's v5 API documentation: "Place Order", "Cancel Order", "Get Open & Closed Orders",
"Get Order History", "Get Bybit Server Time" and "Authentication".
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import ccxt.pro

from opensqt.adapters.ccxt.answers.bybit import REJECT_REASONS
from opensqt.adapters.ccxt.judged import agree
from opensqt.adapters.ccxt.raw_client import Expiry, Fault, Params, RawClient, text_of
from opensqt.adapters.ccxt.venues.desk import Call, Desk, Sighting, end_reason
from opensqt.core.events import OrderUpdate
from opensqt.core.numbers import plain
from opensqt.core.orders import EndReason, Order, OrderStatus

ONE_WAY: Final = 0
"""`positionIdx` of one-way mode; in hedge mode the exchange refuses it."""

STATUSES: Final[Mapping[str, OrderStatus]] = {
    "Created": OrderStatus.NEW,
    "New": OrderStatus.NEW,
    "PartiallyFilled": OrderStatus.PARTIALLY_FILLED,
    "Filled": OrderStatus.FILLED,
    "Cancelled": OrderStatus.CANCELED,
    "PartiallyFilledCanceled": OrderStatus.CANCELED,
    "Rejected": OrderStatus.REJECTED,
    "Deactivated": OrderStatus.CANCELED,
}


class BybitClient(RawClient, ccxt.pro.bybit):  # type: ignore[misc]  # ccxt has no types
    """Errors are `retCode` other than 0, with 200; expiry is the header X-BAPI-RECV-WINDOW."""

    exchange: ClassVar[str] = "bybit"
    hosts: ClassVar[frozenset[str]] = frozenset({"api.bybit.com", "stream.bybit.com"})

    def fault_in(self, body: Any) -> Fault | None:
        """Whatever has no `retCode` is not an answer of Bybit's."""
        code = text_of(body.get("retCode")) if isinstance(body, dict) else ""
        if code == "0":
            return None
        return Fault(code=code, text=text_of(body.get("retMsg")) if code else "")

    def expiring_params(self, params: Params, expiry: Expiry) -> Params:
        """The client takes the header from its options while it signs, which never waits."""
        self.options["recvWindow"] = expiry.window_ms
        return params

    async def exchange_time_ms(self) -> int:
        """The time on the exchange's clock."""
        return int((await self.publicGetV5MarketTime())["result"]["timeNano"]) // 1_000_000


class BybitDesk(Desk):
    """A success means that the request was taken; what became of it is told by look-ups."""

    def placing(self, order: Order) -> Call:
        """A post-only order that would take is accepted, and ends with a `rejectReason`."""
        return Call(
            method=self._client.privatePostV5OrderCreate,
            params={
                "category": "linear",
                "symbol": order.symbol,
                "side": order.side.value.capitalize(),
                "orderType": "Limit",
                "qty": plain(order.quantity),
                "price": plain(order.price),
                "timeInForce": "PostOnly" if order.post_only else "GTC",
                "orderLinkId": order.client_oid,
                "reduceOnly": order.reduce_only,
                "positionIdx": ONE_WAY,
            },
        )

    def placed(self, order: Order, answer: Any) -> str:
        """Both ids, and nothing else."""
        agree("id", answer["result"]["orderLinkId"], order.client_oid)
        return str(answer["result"].get("orderId") or "")

    def canceling(self, order: Order) -> Call:
        """By the client order id."""
        return Call(
            method=self._client.privatePostV5OrderCancel,
            params={"category": "linear", "symbol": order.symbol, "orderLinkId": order.client_oid},
        )

    def canceled(self, order: Order, answer: Any) -> OrderUpdate | None:
        """Taken."""
        agree("id", answer["result"]["orderLinkId"], order.client_oid)
        return None

    def finding(self, symbol: str, client_oid: str) -> Sequence[Call]:
        """Open orders and the latest 500 that ended; then the history."""
        params = {"category": "linear", "symbol": symbol, "orderLinkId": client_oid}
        return (
            Call(method=self._client.privateGetV5OrderRealtime, params=params),
            Call(method=self._client.privateGetV5OrderHistory, params=params),
        )

    def found(self, client_oid: str, answer: Any) -> Sighting | None:
        """A list of at most one."""
        found = answer["result"]["list"]
        if not found:
            return None
        row = found[0]
        agree("id", row["orderLinkId"], client_oid)
        status = STATUSES[row["orderStatus"]]
        told = REJECT_REASONS.get(row.get("rejectReason", ""), EndReason.OTHER)
        return Sighting(
            client_oid=client_oid,
            exchange_order_id=str(row["orderId"]),
            status=status,
            end_reason=end_reason(status, told),
        )
