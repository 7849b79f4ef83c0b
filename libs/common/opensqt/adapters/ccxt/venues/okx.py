"""OKX v5, USDT swaps: placing, cancelling and looking up.

Source: OKX's v5 API documentation: "Place order", "Cancel order", "Order details", "Get system
time" and, for `expTime`, "Request effective deadline". Sizes are in contracts.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import ccxt.pro

from opensqt.adapters.ccxt.answers.okx import CANCEL_SOURCES
from opensqt.adapters.ccxt.judged import agree
from opensqt.adapters.ccxt.raw_client import Expiry, Fault, RawClient, text_of
from opensqt.adapters.ccxt.venues.desk import BUY_SELL, Call, Desk, Sighting, end_reason
from opensqt.core.events import OrderUpdate
from opensqt.core.numbers import plain
from opensqt.core.orders import EndReason, Order, OrderStatus

STATUSES: Final[Mapping[str, OrderStatus]] = {
    "live": OrderStatus.NEW,
    "partially_filled": OrderStatus.PARTIALLY_FILLED,
    "filled": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED,
    "mmp_canceled": OrderStatus.CANCELED,
}


class OkxClient(RawClient, ccxt.pro.okx):  # type: ignore[misc]  # ccxt has no types
    """Errors are `data[0].sCode`, or `code`, other than "0"; expiry is the header expTime."""

    exchange: ClassVar[str] = "okx"
    hosts: ClassVar[frozenset[str]] = frozenset({"www.okx.com", "ws.okx.com"})

    def fault_in(self, body: Any) -> Fault | None:
        """The order's own code goes before that of the whole request."""
        if not isinstance(body, dict):
            return Fault(code="", text="")
        data = body.get("data")
        first = data[0] if isinstance(data, list) and data and isinstance(data[0], dict) else {}
        code, order_code = text_of(body.get("code")), text_of(first.get("sCode"))
        if code == "0":
            contradiction = order_code not in ("", "0")
            return Fault(code="", text=f"success with {order_code}") if contradiction else None
        if order_code not in ("", "0"):
            return Fault(code=order_code, text=text_of(first.get("sMsg")))
        return Fault(code=code, text=text_of(body.get("msg")))

    def expiring_headers(self, expiry: Expiry) -> Mapping[str, str]:
        """Placing and amending are void from then on; other requests do not read it."""
        return {"expTime": str(expiry.until_ms)}

    async def exchange_time_ms(self) -> int:
        """The time on the exchange's clock."""
        return int((await self.publicGetPublicTime())["data"][0]["ts"])


class OkxDesk(Desk):
    """A success means that the request was taken; what became of it is told by look-ups."""

    def placing(self, order: Order) -> Call:
        """A post-only order that would take is accepted, and ends with a `cancelSource`."""
        return Call(
            method=self._client.privatePostTradeOrder,
            params={
                "instId": order.symbol,
                "tdMode": "cross",
                "side": BUY_SELL[order.side],
                "ordType": "post_only" if order.post_only else "limit",
                "sz": plain(order.quantity),
                "px": plain(order.price),
                "clOrdId": order.client_oid,
                "reduceOnly": order.reduce_only,
            },
        )

    def placed(self, order: Order, answer: Any) -> str:
        """Both ids, and a code of its own for the order."""
        (row,) = answer["data"]
        agree("code than success", row["sCode"], "0")
        agree("id", row["clOrdId"], order.client_oid)
        return str(row.get("ordId") or "")

    def canceling(self, order: Order) -> Call:
        """By the client order id."""
        return Call(
            method=self._client.privatePostTradeCancelOrder,
            params={"instId": order.symbol, "clOrdId": order.client_oid},
        )

    def canceled(self, order: Order, answer: Any) -> OrderUpdate | None:
        """Taken."""
        (row,) = answer["data"]
        agree("id", row["clOrdId"], order.client_oid)
        return None

    def finding(self, symbol: str, client_oid: str) -> Sequence[Call]:
        """By the client order id, whether open or ended."""
        params = {"instId": symbol, "clOrdId": client_oid}
        return (Call(method=self._client.privateGetTradeOrder, params=params),)

    def found(self, client_oid: str, answer: Any) -> Sighting | None:
        """One order, the latest of that id."""
        (row,) = answer["data"]
        agree("id", row["clOrdId"], client_oid)
        status = STATUSES[row["state"]]
        told = CANCEL_SOURCES.get(text_of(row.get("cancelSource")), EndReason.OTHER)
        return Sighting(
            client_oid=client_oid,
            exchange_order_id=str(row["ordId"]),
            status=status,
            end_reason=end_reason(status, told),
        )
