"""The exchange's trading side: every request is sent once, and judged by what its answer proves."""

from typing import Any, Final

from opensqt.adapters.ccxt.answers import Proof, classify
from opensqt.adapters.ccxt.judged import agree, agree_if_told, judge_canceling, judge_placing
from opensqt.adapters.ccxt.raw_client import AnswerError
from opensqt.adapters.ccxt.requests import NoAnswerError, NotSentError
from opensqt.adapters.ccxt.side import EXCHANGE, Side
from opensqt.core.events import OrderUpdate, UpdateSource
from opensqt.core.grid.results import PlacementResult
from opensqt.core.numbers import plain
from opensqt.core.orders import EndReason, Order
from opensqt.ports import CancelAnswer, DependencyError

NEVER_WAS: Final = "neverwas"
"""A client order id that is not ours to give: those begin with a kind and end with a checksum."""


class OrderSide(Side):
    """Implements `ports.OrderGateway`, and of `ports.AccountChecks` what needs a trading key."""

    async def place(self, order: Order) -> PlacementResult:
        """Send an order under its client order id, expiring at its deadline."""
        params = {
            "symbol": order.symbol,
            "side": order.side.value,
            "type": "LIMIT",
            "timeInForce": "GTX" if order.post_only else "GTC",
            "quantity": plain(order.quantity),
            "price": plain(order.price),
            "newClientOrderId": order.client_oid,
            "newOrderRespType": "ACK",
        }
        if order.reduce_only:
            params["reduceOnly"] = "true"
        sending = self._wiring.requests.signed(
            "place", self._client.fapiPrivatePostOrder, params, deadline_ns=order.deadline_ns
        )
        return await judge_placing(order, EXCHANGE, sending, lambda row: _order_id(order, row))

    async def cancel(self, order: Order) -> CancelAnswer:
        """Cancel an order by its client order id."""
        sending = self._wiring.requests.signed(
            "cancel",
            self._client.fapiPrivateDeleteOrder,
            {"symbol": order.symbol, "origClientOrderId": order.client_oid},
        )
        return await judge_canceling(EXCHANGE, sending, lambda row: self._ended(order, row))

    async def trading_refusal(self, symbol: str) -> str:
        """Why the exchange does not let the key trade, in its words; empty when it does.

        A cancel of an order that never was needs the permission to trade, and changes nothing.

        Raises:
            DependencyError: No answer that can be relied upon.
        """
        params = {"symbol": symbol, "origClientOrderId": NEVER_WAS}
        try:
            await self._wiring.requests.signed(
                "mayTrade", self._client.fapiPrivateDeleteOrder, params
            )
        except AnswerError as error:
            verdict = classify(EXCHANGE, error.answer)
            if verdict.proof in (Proof.NO_SUCH_ORDER, Proof.NOT_OPEN):
                return ""
            if verdict.reason is EndReason.AUTHENTICATION:
                return str(error)
            raise DependencyError(f"{EXCHANGE} mayTrade: {error}") from None
        except (NotSentError, NoAnswerError) as error:
            raise DependencyError(f"{EXCHANGE} mayTrade: {error}") from None
        raise DependencyError(f"{EXCHANGE} mayTrade: cancelled an order that never was")

    def _ended(self, order: Order, row: Any) -> OrderUpdate:
        update = self._update(row, UpdateSource.ANSWER)
        agree("id", update.client_oid, order.client_oid)
        agree("symbol", update.symbol, order.symbol)
        agree("side", update.side, order.side)
        return update


def _order_id(order: Order, row: Any) -> str:
    agree("id", row.get("clientOrderId"), order.client_oid)
    agree("symbol", row.get("symbol", order.symbol), order.symbol)
    agree("side", row.get("side", order.side.value), order.side.value)
    agree_if_told("quantity", row.get("origQty"), order.quantity)
    agree_if_told("price", row.get("price"), order.price)
    return str(row.get("orderId") or "")
