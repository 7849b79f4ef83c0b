"""The exchange's private side, as far as a read-only key sees it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from opensqt.adapters.ccxt.account_stream import AccountStream
from opensqt.adapters.ccxt.answers import Proof, classify
from opensqt.adapters.ccxt.client import AnswerError
from opensqt.adapters.ccxt.history import ROWS_MAX, whole_history
from opensqt.adapters.ccxt.order_payloads import queried_execution
from opensqt.adapters.ccxt.payloads import Payload, PayloadError, rows
from opensqt.adapters.ccxt.position_payloads import queried_position
from opensqt.adapters.ccxt.requests import Method, NoAnswerError, NotSentError
from opensqt.adapters.ccxt.side import EXCHANGE, Side, reading, running
from opensqt.core.events import OrderUpdate, Position, UpdateSource
from opensqt.core.orders import Execution
from opensqt.ports import AccountEvent, DependencyError

AHEAD_MS: Final = 60_000
"""How far beyond our idea of the exchange's time we ask, since that idea may be behind."""


class AccountSide(Side):
    """Implements `ports.AccountFeed`."""

    async def account_events(self) -> AsyncIterator[AccountEvent]:
        """Order and position events, whole and in order, with the stream's ups and downs."""
        stream = AccountStream(
            self._client,
            self._wiring.account,
            clock=self._wiring.clock,
            metrics=self._wiring.metrics,
            create_key=self._create_listen_key,
            keep_key=self._keep_listen_key,
        )
        async with running(stream.run, stream.inbox.close):
            async for event in stream.inbox:
                yield event

    async def find_order(self, symbol: str, client_oid: str) -> OrderUpdate | None:
        """Where an order stands; None when the exchange says that it has no such order.

        Raises:
            DependencyError: No answer that can be relied upon.
        """
        row = await self._find({"symbol": symbol, "origClientOrderId": client_oid})
        if row is None:
            return None
        with reading("order"):
            asked = _asked_for(row, symbol, "clientOrderId", client_oid)
            return self._update(asked, UpdateSource.QUERY)

    async def find_order_by_exchange_id(
        self, symbol: str, exchange_order_id: str
    ) -> OrderUpdate | None:
        """As `find_order`, by the exchange's own id."""
        row = await self._find({"symbol": symbol, "orderId": exchange_order_id})
        if row is None:
            return None
        with reading("order"):
            found = self._updates("find", [_asked_for(row, symbol, "orderId", exchange_order_id)])
            return found[0] if found else None

    async def _find(self, params: Mapping[str, Any]) -> Payload | None:
        try:
            row = await self._wiring.requests.signed(
                "find", self._client.fapiPrivateGetOrder, params
            )
        except AnswerError as error:
            if classify(EXCHANGE, error.answer).proof is Proof.NO_SUCH_ORDER:
                return None
            raise DependencyError(f"look-up of an order: {error}") from None
        except (NotSentError, NoAnswerError) as error:
            raise DependencyError(f"look-up of an order: {error}") from None
        if not isinstance(row, Mapping):  # and least of all is it proof that there is none
            raise DependencyError(f"look-up of an order: not as documented: {row!r:.100}")
        return row

    async def open_orders(self, symbol: str) -> tuple[OrderUpdate, ...]:
        """Every open order of the account on `symbol`, ours or not.

        Raises:
            DependencyError: No answer that can be relied upon.
        """
        method = self._client.fapiPrivateGetOpenOrders
        answer = await self._wiring.ask("openOrders", method, {"symbol": symbol})
        with reading("openOrders"):
            return self._updates("openOrders", answer)

    async def orders_since(self, symbol: str, since_ns: int) -> tuple[OrderUpdate, ...]:
        """Every order that was made from `since_ns` on, as far as the exchange remembers.

        Raises:
            DependencyError: No answer that can be relied upon.
        """
        found = await self._history(
            "allOrders", self._client.fapiPrivateGetAllOrders, symbol, since_ns, key="orderId"
        )
        with reading("allOrders"):
            return self._updates("allOrders", list(found))

    async def executions_since(self, symbol: str, since_ns: int) -> tuple[Execution, ...]:
        """Every execution from `since_ns` on, oldest first; `client_oid` is empty.

        Raises:
            DependencyError: No answer that can be relied upon.
        """
        found = await self._history(
            "userTrades", self._client.fapiPrivateGetUserTrades, symbol, since_ns, key="id"
        )
        with reading("userTrades"):
            now_ns = self._wiring.clock.now_ns()
            return tuple(queried_execution(row, receive_time_ns=now_ns) for row in found)

    async def _history(
        self, name: str, method: Method, symbol: str, since_ns: int, *, key: str
    ) -> tuple[Payload, ...]:
        async def ask(start_ms: int, end_ms: int) -> Sequence[Payload]:
            params = {
                "symbol": symbol,
                "startTime": start_ms,
                "endTime": end_ms,
                "limit": ROWS_MAX,
            }
            return rows(await self._wiring.ask(name, method, params))

        until_ms = self._wiring.requests.exchange_now_ms + AHEAD_MS
        with reading(name):
            return await whole_history(
                ask, since_ms=since_ns // 1_000_000, until_ms=until_ms, key=key
            )

    async def position(self, symbol: str) -> Position:
        """The account's position.

        Raises:
            DependencyError: No answer that can be relied upon, or the account is in hedge mode.
        """
        method = self._client.fapiPrivateV3GetPositionRisk
        answer = await self._wiring.ask("positionRisk", method, {"symbol": symbol})
        with reading("positionRisk"):
            return queried_position(symbol, rows(answer))

    async def hedge_mode(self) -> bool:
        """Whether the account keeps long and short positions apart; orders here assume it does not.

        Raises:
            DependencyError: No answer that can be relied upon.
        """
        answer = await self._wiring.ask(
            "positionMode", self._client.fapiPrivateGetPositionSideDual, {}
        )
        with reading("positionMode"):
            return {"true": True, "false": False}[str(answer["dualSidePosition"]).lower()]

    async def _create_listen_key(self) -> str:
        answer = await self._wiring.ask(
            "listenKey", self._client.fapiPrivatePostListenKey, {}, signed=False
        )
        with reading("listenKey"):
            return str(answer["listenKey"])

    async def _keep_listen_key(self) -> None:
        await self._wiring.ask("keepKey", self._client.fapiPrivatePutListenKey, {}, signed=False)


def _asked_for(row: Payload, symbol: str, key: str, value: str) -> Payload:
    """The row, if it is the order that was asked for.

    Raises:
        PayloadError: It is another one.
    """
    if (str(row["symbol"]), str(row[key])) != (symbol, value):
        raise PayloadError(f"asked for {symbol} {key} {value}, told of {row['symbol']} {row[key]}")
    return row
