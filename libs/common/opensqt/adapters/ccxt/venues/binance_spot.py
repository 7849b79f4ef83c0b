"""Binance spot: placing, cancelling and looking up."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from opensqt.adapters.ccxt.judged import agree, agree_if_told
from opensqt.adapters.ccxt.order_payloads import order_status
from opensqt.adapters.ccxt.venues.desk import Call, Desk, Sighting, end_reason
from opensqt.core.events import OrderUpdate
from opensqt.core.numbers import plain
from opensqt.core.orders import EndReason, Order

_ENDS: Final[Mapping[str, EndReason]] = {
    "CANCELED": EndReason.CANCEL_REQUESTED,
    "EXPIRED_IN_MATCH": EndReason.SELF_TRADE_PREVENTION,
}


class BinanceSpotDesk(Desk):
    """Spot knows no reduce-only: what sells more than is held is refused for lack of balance."""

    def placing(self, order: Order) -> Call:
        """A LIMIT_MAKER is refused when it would take."""
        kind = {"type": "LIMIT_MAKER"} if order.post_only else {"type": "LIMIT"}
        if not order.post_only:
            kind["timeInForce"] = "GTC"
        return Call(
            method=self._client.privatePostOrder,
            params={
                "symbol": order.symbol,
                "side": order.side.value,
                **kind,
                "quantity": plain(order.quantity),
                "price": plain(order.price),
                "newClientOrderId": order.client_oid,
                "newOrderRespType": "ACK",
            },
        )

    def placed(self, order: Order, answer: Any) -> str:
        """An ACK names the order; longer answers show its terms too."""
        agree("id", answer["clientOrderId"], order.client_oid)
        agree("symbol", answer["symbol"], order.symbol)
        agree("side", answer.get("side", order.side.value), order.side.value)
        agree_if_told("quantity", answer.get("origQty"), order.quantity)
        agree_if_told("price", answer.get("price"), order.price)
        return str(answer.get("orderId") or "")

    def canceling(self, order: Order) -> Call:
        """By the client order id."""
        return Call(
            method=self._client.privateDeleteOrder,
            params={"symbol": order.symbol, "origClientOrderId": order.client_oid},
        )

    def canceled(self, order: Order, answer: Any) -> OrderUpdate | None:
        """The cancel has an id of its own; ours is `origClientOrderId`."""
        agree("id", answer["origClientOrderId"], order.client_oid)
        return None

    def finding(self, symbol: str, client_oid: str) -> Sequence[Call]:
        """By the client order id, whether open or ended."""
        params = {"symbol": symbol, "origClientOrderId": client_oid}
        return (Call(method=self._client.privateGetOrder, params=params),)

    def found(self, client_oid: str, answer: Any) -> Sighting | None:
        """One order."""
        agree("id", answer["clientOrderId"], client_oid)
        status = order_status(answer["status"])
        return Sighting(
            client_oid=client_oid,
            exchange_order_id=str(answer["orderId"]),
            status=status,
            end_reason=end_reason(status, _ENDS.get(str(answer["status"]), EndReason.OTHER)),
        )
