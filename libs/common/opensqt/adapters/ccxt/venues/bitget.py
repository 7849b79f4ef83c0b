"""Bitget v2, USDT futures: placing, cancelling and looking up.

Source: Bitget's API documentation: "Place Order", "Cancel Order" and "Get Order Detail" of futures,
"Get ServerTime" and "Signature".
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import ccxt.pro

from opensqt.adapters.ccxt.judged import agree
from opensqt.adapters.ccxt.raw_client import Expiry, Fault, RawClient, text_of
from opensqt.adapters.ccxt.venues.desk import BUY_SELL, Call, Desk, Sighting, end_reason
from opensqt.core.events import OrderUpdate
from opensqt.core.numbers import plain
from opensqt.core.orders import EndReason, Order, OrderStatus

GOOD_FOR_MS: Final = 30_000
"""A request is refused when it comes more than 30 s after its timestamp. There is no window of its
own for a futures order, so the timestamp is set back to make the request expire sooner."""

STATUSES: Final[Mapping[str, OrderStatus]] = {
    "live": OrderStatus.NEW,
    "new": OrderStatus.NEW,
    "partially_filled": OrderStatus.PARTIALLY_FILLED,
    "filled": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED,
}

_PRODUCT: Final = {"productType": "USDT-FUTURES", "marginCoin": "USDT"}


class BitgetClient(RawClient, ccxt.pro.bitget):  # type: ignore[misc]  # ccxt has no types
    """Errors are `code` other than "00000"; expiry is 30 s after the timestamp."""

    exchange: ClassVar[str] = "bitget"
    hosts: ClassVar[frozenset[str]] = frozenset({"api.bitget.com", "ws.bitget.com"})

    def fault_in(self, body: Any) -> Fault | None:
        """Whatever has no `code` is not an answer of Bitget's."""
        code = text_of(body.get("code")) if isinstance(body, dict) else ""
        if code == "00000":
            return None
        return Fault(code=code, text=text_of(body.get("msg")) if code else "")

    def stamp_of(self, expiry: Expiry) -> int:
        """As long ago as it takes to expire in time."""
        return expiry.stamp_ms - max(0, GOOD_FOR_MS - expiry.window_ms)

    async def exchange_time_ms(self) -> int:
        """The time on the exchange's clock."""
        return int((await self.publicCommonGetV2PublicTime())["data"]["serverTime"])


class BitgetDesk(Desk):
    """A success means that the request was taken; what became of it is told by look-ups."""

    def placing(self, order: Order) -> Call:
        """In one-way mode an order has neither `tradeSide` nor a position's side."""
        return Call(
            method=self._client.privateMixPostV2MixOrderPlaceOrder,
            params={
                **_PRODUCT,
                "symbol": order.symbol,
                "marginMode": "crossed",
                "size": plain(order.quantity),
                "price": plain(order.price),
                "side": BUY_SELL[order.side],
                "orderType": "limit",
                "force": "post_only" if order.post_only else "gtc",
                "clientOid": order.client_oid,
                "reduceOnly": "YES" if order.reduce_only else "NO",
            },
        )

    def placed(self, order: Order, answer: Any) -> str:
        """Both ids, and nothing else."""
        agree("id", answer["data"]["clientOid"], order.client_oid)
        return str(answer["data"].get("orderId") or "")

    def canceling(self, order: Order) -> Call:
        """By the client order id."""
        return Call(
            method=self._client.privateMixPostV2MixOrderCancelOrder,
            params={**_PRODUCT, "symbol": order.symbol, "clientOid": order.client_oid},
        )

    def canceled(self, order: Order, answer: Any) -> OrderUpdate | None:
        """Taken."""
        agree("id", answer["data"]["clientOid"], order.client_oid)
        return None

    def finding(self, symbol: str, client_oid: str) -> Sequence[Call]:
        """By the client order id, whether open or ended."""
        params = {
            "symbol": symbol,
            "productType": _PRODUCT["productType"],
            "clientOid": client_oid,
        }
        return (Call(method=self._client.privateMixGetV2MixOrderDetail, params=params),)

    def found(self, client_oid: str, answer: Any) -> Sighting | None:
        """One order."""
        row = answer["data"]
        agree("id", row["clientOid"], client_oid)
        status = STATUSES[row["state"]]
        return Sighting(
            client_oid=client_oid,
            exchange_order_id=str(row["orderId"]),
            status=status,
            end_reason=end_reason(status, EndReason.OTHER),
        )
