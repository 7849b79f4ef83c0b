"""The exchange's trading side: every request is sent once, and judged by what its answer proves."""

from typing import Final

from opensqt.adapters.ccxt.answers import Proof, classify
from opensqt.adapters.ccxt.client import AnswerError
from opensqt.adapters.ccxt.requests import NoAnswerError, NotSentError
from opensqt.adapters.ccxt.side import EXCHANGE, Side
from opensqt.core.events import UpdateSource
from opensqt.core.grid.results import PlacementResult
from opensqt.core.numbers import plain
from opensqt.core.orders import EndReason, Order, OrderStatus
from opensqt.ports import CancelAnswer, CancelOutcome

_CANCEL_OUTCOMES: Final = {
    Proof.REFUSED: CancelOutcome.REFUSED,
    Proof.NO_SUCH_ORDER: CancelOutcome.GONE,
    Proof.UNKNOWN: CancelOutcome.UNKNOWN,
}


class OrderSide(Side):
    """Implements `ports.OrderGateway`."""

    async def place(self, order: Order) -> PlacementResult:
        """Send an order under its client order id, expiring at its deadline.

        NOT_PLACED only when the request certainly never left; REJECTED only when the exchange says
        so in words that `answers.TABLE` knows; everything else is UNKNOWN.
        """
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
        method = self._client.fapiPrivatePostOrder
        try:
            row = await self._wiring.requests.signed(
                "place", method, params, deadline_ns=order.deadline_ns
            )
        except NotSentError as error:
            return _placed(order, OrderStatus.NOT_PLACED, error.reason, str(error))
        except NoAnswerError as error:
            return _placed(order, OrderStatus.UNKNOWN, EndReason.NONE, str(error))
        except AnswerError as error:
            verdict = classify(EXCHANGE, error.answer)
            refused = verdict.proof is Proof.REFUSED
            status = OrderStatus.REJECTED if refused else OrderStatus.UNKNOWN
            return _placed(order, status, verdict.reason, str(error))
        if not isinstance(row, dict) or row.get("clientOrderId") != order.client_oid:
            return _placed(order, OrderStatus.UNKNOWN, EndReason.NONE, "answered with another id")
        exchange_order_id = str(row.get("orderId") or "")
        if not exchange_order_id:
            return _placed(order, OrderStatus.UNKNOWN, EndReason.NONE, "answered without an id")
        return PlacementResult(
            client_oid=order.client_oid,
            status=OrderStatus.NEW,
            exchange_order_id=exchange_order_id,
        )

    async def cancel(self, order: Order) -> CancelAnswer:
        """Cancel an order by its client order id."""
        params = {"symbol": order.symbol, "origClientOrderId": order.client_oid}
        try:
            row = await self._wiring.requests.signed(
                "cancel", self._client.fapiPrivateDeleteOrder, params
            )
            update = self._update(row, UpdateSource.ANSWER)
        except NotSentError as error:
            return CancelAnswer(outcome=CancelOutcome.REFUSED, text=str(error))
        except NoAnswerError as error:
            return CancelAnswer(outcome=CancelOutcome.UNKNOWN, text=str(error))
        except AnswerError as error:
            outcome = _CANCEL_OUTCOMES[classify(EXCHANGE, error.answer).proof]
            return CancelAnswer(outcome=outcome, text=str(error))
        except (KeyError, TypeError, ValueError) as error:
            return CancelAnswer(
                outcome=CancelOutcome.UNKNOWN, text=f"answer not as documented: {error!r}"
            )
        if update.client_oid != order.client_oid or not update.status.terminal:
            return CancelAnswer(
                outcome=CancelOutcome.UNKNOWN, text=f"answered with status {update.status}"
            )
        return CancelAnswer(outcome=CancelOutcome.CANCELED, update=update)


def _placed(order: Order, status: OrderStatus, reason: EndReason, text: str) -> PlacementResult:
    return PlacementResult(
        client_oid=order.client_oid, status=status, end_reason=reason, end_text=text
    )
