"""Gate v4, USDT futures: placing, cancelling and looking up.

Source: Gate's v4 API documentation: "Create a futures order", "Cancel a single order", "Get a
single order", "List futures orders" and "Get server current time". Sizes are in contracts, negative
to sell. Client order ids are the `text`, after "t-".
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import ccxt.pro

from opensqt.adapters.ccxt.judged import agree, agree_if_told
from opensqt.adapters.ccxt.raw_client import Expiry, Fault, RawClient, text_of
from opensqt.adapters.ccxt.venues.desk import Call, Desk, Sighting, end_reason
from opensqt.core.events import OrderUpdate
from opensqt.core.numbers import plain
from opensqt.core.orders import EndReason, Order, OrderStatus

SETTLE: Final = {"settle": "usdt"}
PREFIX: Final = "t-"
FINISHED_MAX: Final = 100
"""Ended orders that a look-up goes through. An order that ended without a fill is gone from there
after ten minutes; for the slot that makes no difference to one that never was."""

ENDS: Final[Mapping[str, tuple[OrderStatus, EndReason]]] = {
    "filled": (OrderStatus.FILLED, EndReason.NONE),
    "cancelled": (OrderStatus.CANCELED, EndReason.CANCEL_REQUESTED),
    "liquidated": (OrderStatus.CANCELED, EndReason.FORCED),
    "auto_deleveraged": (OrderStatus.CANCELED, EndReason.FORCED),
    "reduce_only": (OrderStatus.CANCELED, EndReason.REDUCE_ONLY_REJECTED),
    "position_closed": (OrderStatus.CANCELED, EndReason.REDUCE_ONLY_REJECTED),
    "stp": (OrderStatus.CANCELED, EndReason.SELF_TRADE_PREVENTION),
    "ioc": (OrderStatus.EXPIRED, EndReason.OTHER),
}
"""`finish_as`."""


class GateClient(RawClient, ccxt.pro.gate):  # type: ignore[misc]  # ccxt has no types
    """Errors are a `label`; expiry is the header X-Gate-Exptime."""

    exchange: ClassVar[str] = "gate"
    hosts: ClassVar[frozenset[str]] = frozenset({"api.gateio.ws", "fx-ws.gateio.ws"})

    def fault_in(self, body: Any) -> Fault | None:
        """Its words are `message`, or `detail`."""
        if not isinstance(body, dict) or "label" not in body:
            return None
        words = body.get("message") or body.get("detail")
        return Fault(code=text_of(body["label"]), text=text_of(words))

    def expiring_headers(self, expiry: Expiry) -> Mapping[str, str]:
        """In milliseconds, whereas the timestamp of the signature is in seconds."""
        return {"X-Gate-Exptime": str(expiry.until_ms)}

    async def exchange_time_ms(self) -> int:
        """The time on the exchange's clock."""
        return int((await self.publicSpotGetTime())["server_time"])


class GateDesk(Desk):
    """Answers show the whole order."""

    def placing(self, order: Order) -> Call:
        """Pending-or-cancelled ("poc") is post-only."""
        return Call(
            method=self._client.privateFuturesPostSettleOrders,
            params={
                **SETTLE,
                "contract": order.symbol,
                "size": plain(order.quantity * order.side.sign),
                "price": plain(order.price),
                "tif": "poc" if order.post_only else "gtc",
                "text": PREFIX + order.client_oid,
                "reduce_only": order.reduce_only,
            },
        )

    def placed(self, order: Order, answer: Any) -> str:
        """The order as it was made."""
        agree("id", answer["text"], PREFIX + order.client_oid)
        agree("symbol", answer.get("contract", order.symbol), order.symbol)
        agree_if_told("quantity", _text(answer.get("size")), order.quantity * order.side.sign)
        agree_if_told("price", answer.get("price"), order.price)
        return text_of(answer.get("id") or "")

    def canceling(self, order: Order) -> Call:
        """By the client order id."""
        return Call(
            method=self._client.privateFuturesDeleteSettleOrdersOrderId,
            params={**SETTLE, "order_id": PREFIX + order.client_oid},
        )

    def canceled(self, order: Order, answer: Any) -> OrderUpdate | None:
        """The order as it ended."""
        agree("id", answer["text"], PREFIX + order.client_oid)
        return None

    def finding(self, symbol: str, client_oid: str) -> Sequence[Call]:
        """By the client order id, which works for a minute after the end; then among the ended."""
        return (
            Call(
                method=self._client.privateFuturesGetSettleOrdersOrderId,
                params={**SETTLE, "order_id": PREFIX + client_oid},
            ),
            Call(
                method=self._client.privateFuturesGetSettleOrders,
                params={
                    **SETTLE,
                    "contract": symbol,
                    "status": "finished",
                    "limit": FINISHED_MAX,
                },
                among=True,
            ),
        )

    def found(self, client_oid: str, answer: Any) -> Sighting | None:
        """One order."""
        agree("id", answer["text"], PREFIX + client_oid)
        return _sighting(client_oid, answer)

    def found_among(self, client_oid: str, answer: Any) -> Sighting | None:
        """The latest that have ended."""
        if not isinstance(answer, list):
            raise TypeError("not a list of orders")
        ours = [row for row in answer if row["text"] == PREFIX + client_oid]
        if not ours and len(answer) >= FINISHED_MAX:
            raise ValueError("too many orders have ended to be sure that it is not among them")
        return _sighting(client_oid, ours[0]) if ours else None


def _sighting(client_oid: str, row: Any) -> Sighting:
    if row["status"] == "open":
        partial = row["left"] != row["size"]
        status = OrderStatus.PARTIALLY_FILLED if partial else OrderStatus.NEW
        told = EndReason.NONE
    else:
        status, told = ENDS[row["finish_as"]]
    return Sighting(
        client_oid=client_oid,
        exchange_order_id=text_of(row["id"]),
        status=status,
        end_reason=end_reason(status, told),
    )


def _text(size: Any) -> str | None:
    """Sizes come as text or as a whole number."""
    return None if size is None else str(size)
