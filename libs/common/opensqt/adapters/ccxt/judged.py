"""What a request to place or to cancel came to, whichever exchange it went to."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from opensqt.adapters.ccxt.answers import Proof, classify
from opensqt.adapters.ccxt.raw_client import AnswerError
from opensqt.adapters.ccxt.requests import UNREADABLE, NoAnswerError, NotSentError
from opensqt.core.events import OrderUpdate
from opensqt.core.grid.results import PlacementResult
from opensqt.core.numbers import parse_decimal
from opensqt.core.orders import EndReason, Order, OrderStatus
from opensqt.ports import CancelAnswer, CancelOutcome

_CANCEL_OUTCOMES: Final = {
    Proof.REFUSED: CancelOutcome.REFUSED,
    Proof.NO_SUCH_ORDER: CancelOutcome.GONE,
    Proof.NOT_OPEN: CancelOutcome.GONE,
    Proof.UNKNOWN: CancelOutcome.UNKNOWN,
}


class ContradictionError(ValueError):
    """A success that is about another order than the one that was sent: what differs."""


def agree(what: str, answered: object, sent: object) -> None:
    """Check a field of an answer.

    Raises:
        ContradictionError: It is not what was sent.
    """
    if answered != sent:
        raise ContradictionError(f"answered with another {what}")


def agree_if_told(what: str, answered: Any, sent: object) -> None:
    """Check a number, given as text, which the answer may leave out; raises as `agree`."""
    if answered is not None:
        agree(what, parse_decimal(answered, name=what), sent)


async def judge_placing(
    order: Order, exchange: str, sending: Awaitable[Any], read: Callable[[Any], str]
) -> PlacementResult:
    """Send an order, and say what the answer proves.

    NOT_PLACED only when the request certainly never left; REJECTED only when the exchange says so
    in words that its table knows; NEW only when the answer is about this very order; everything
    else is UNKNOWN.

    Args:
        order: The order.
        exchange: Name of the table.
        sending: Sends it, once.
        read: Takes the exchange's order id from a success, which it compares with the order.
    """
    try:
        exchange_order_id = read(await sending)
    except NotSentError as error:
        return _placed(order, OrderStatus.NOT_PLACED, error.reason, str(error))
    except NoAnswerError as error:
        return _placed(order, OrderStatus.UNKNOWN, EndReason.NONE, str(error))
    except AnswerError as error:
        verdict = classify(exchange, error.answer)
        rejected = verdict.proof is Proof.REFUSED
        status = OrderStatus.REJECTED if rejected else OrderStatus.UNKNOWN
        return _placed(order, status, verdict.reason, str(error))
    except ContradictionError as error:
        return _placed(order, OrderStatus.UNKNOWN, EndReason.NONE, str(error))
    except UNREADABLE as error:
        text = f"answer not as documented: {error!r}"
        return _placed(order, OrderStatus.UNKNOWN, EndReason.NONE, text)
    if not exchange_order_id:
        return _placed(order, OrderStatus.UNKNOWN, EndReason.NONE, "answered without an id")
    return PlacementResult(
        client_oid=order.client_oid, status=OrderStatus.NEW, exchange_order_id=exchange_order_id
    )


async def judge_canceling(
    exchange: str, sending: Awaitable[Any], read: Callable[[Any], OrderUpdate | None]
) -> CancelAnswer:
    """Send a cancel, and say what the answer proves.

    Args:
        exchange: Name of the table.
        sending: Sends it.
        read: Takes how the order ended from a success, which it compares with the order; None when
            the exchange has only taken the request, and the order's end is yet to be seen.
    """
    try:
        update = read(await sending)
    except NotSentError as error:
        return CancelAnswer(outcome=CancelOutcome.REFUSED, text=str(error))
    except (NoAnswerError, ContradictionError) as error:
        return CancelAnswer(outcome=CancelOutcome.UNKNOWN, text=str(error))
    except AnswerError as error:
        outcome = _CANCEL_OUTCOMES[classify(exchange, error.answer).proof]
        return CancelAnswer(outcome=outcome, text=str(error))
    except UNREADABLE as error:
        text = f"answer not as documented: {error!r}"
        return CancelAnswer(outcome=CancelOutcome.UNKNOWN, text=text)
    if update is None:
        return CancelAnswer(outcome=CancelOutcome.UNKNOWN, text="taken, and not yet carried out")
    if not update.status.terminal:
        return CancelAnswer(
            outcome=CancelOutcome.UNKNOWN, text=f"answered with status {update.status}"
        )
    return CancelAnswer(outcome=CancelOutcome.CANCELED, update=update)


def _placed(order: Order, status: OrderStatus, reason: EndReason, text: str) -> PlacementResult:
    return PlacementResult(
        client_oid=order.client_oid, status=status, end_reason=reason, end_text=text
    )
