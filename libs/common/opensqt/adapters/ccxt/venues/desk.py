"""What the desks of all exchanges do alike: send once, judge by the table, look up until sure."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from opensqt.adapters.ccxt.answers import Proof, classify
from opensqt.adapters.ccxt.judged import ContradictionError, judge_canceling, judge_placing
from opensqt.adapters.ccxt.raw_client import AnswerError, RawClient
from opensqt.adapters.ccxt.requests import (
    UNREADABLE,
    Method,
    NoAnswerError,
    NotSentError,
    Requests,
)
from opensqt.core.events import OrderUpdate
from opensqt.core.grid.results import PlacementResult
from opensqt.core.orders import EndReason, Order, OrderStatus
from opensqt.ports import CancelAnswer, DependencyError

BUY_SELL: Final = {"BUY": "buy", "SELL": "sell"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request that is ready to be signed."""

    method: Method
    params: Mapping[str, Any]
    among: bool = False
    """A look-up that answers with many orders, of which one may be the one that is meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """An order as a look-up shows it."""

    client_oid: str
    exchange_order_id: str
    status: OrderStatus
    end_reason: EndReason


class Desk(ABC):
    """Places, cancels and looks up the orders of one account.

    Args:
        client: The exchange's client.
        requests: Sends what the desk asks for, with `client`.
    """

    def __init__(self, client: RawClient, requests: Requests) -> None:
        self._client: Any = client  # ccxt makes its methods at run time
        self._requests = requests
        self._exchange = client.exchange

    async def place(self, order: Order) -> PlacementResult:
        """Send an order under its client order id, expiring at its deadline; does not raise."""
        call = self.placing(order)
        sending = self._requests.signed(
            "place", call.method, call.params, deadline_ns=order.deadline_ns
        )
        return await judge_placing(order, self._exchange, sending, lambda a: self.placed(order, a))

    async def cancel(self, order: Order) -> CancelAnswer:
        """Cancel an order by its client order id; does not raise."""
        call = self.canceling(order)
        sending = self._requests.signed("cancel", call.method, call.params)
        return await judge_canceling(self._exchange, sending, lambda a: self.canceled(order, a))

    async def find_order(self, symbol: str, client_oid: str) -> Sighting | None:
        """Where an order stands; None when every look-up says that there is none.

        Raises:
            DependencyError: No answer that can be relied upon.
        """
        for call in self.finding(symbol, client_oid):
            try:
                answer = await self._requests.signed("find", call.method, call.params)
                look = self.found_among if call.among else self.found
                found = look(client_oid, answer)
            except AnswerError as error:
                if classify(self._exchange, error.answer).proof is not Proof.NO_SUCH_ORDER:
                    raise DependencyError(f"look-up of an order: {error}") from None
                found = None
            except (NotSentError, NoAnswerError, ContradictionError) as error:
                raise DependencyError(f"look-up of an order: {error}") from None
            except UNREADABLE as error:
                raise DependencyError(
                    f"look-up of an order: not as documented: {error!r}"
                ) from None
            if found is not None:
                return found
        return None

    @abstractmethod
    def placing(self, order: Order) -> Call:
        """The request that places `order`."""

    @abstractmethod
    def placed(self, order: Order, answer: Any) -> str:
        """The exchange's order id, from a success.

        Raises:
            ContradictionError: The answer is about another order.
            LookupError, TypeError, ValueError: The answer is not as documented.
        """

    @abstractmethod
    def canceling(self, order: Order) -> Call:
        """The request that cancels `order`."""

    @abstractmethod
    def canceled(self, order: Order, answer: Any) -> OrderUpdate | None:
        """How the order ended, as far as a success tells; raises as `placed`."""

    @abstractmethod
    def finding(self, symbol: str, client_oid: str) -> Sequence[Call]:
        """The look-ups that prove an order's absence together, in the order of asking."""

    @abstractmethod
    def found(self, client_oid: str, answer: Any) -> Sighting | None:
        """The order, from a look-up; None when it is not in there; raises as `placed`."""

    def found_among(self, _client_oid: str, _answer: Any) -> Sighting | None:
        """The order, from a look-up that answers with many; as `found`."""
        raise ValueError("this exchange is not asked for many orders")


def end_reason(status: OrderStatus, told: EndReason) -> EndReason:
    """Why an order ended: what is told, unless it is open or filled."""
    if not status.terminal or status is OrderStatus.FILLED:
        return EndReason.NONE
    return told
