"""Binance USD-M futures as the `Exchange` port."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from typing import Any, Final

import aiohttp
import structlog

from opensqt.adapters.ccxt.account_stream import AccountStream
from opensqt.adapters.ccxt.answers import Proof, classify
from opensqt.adapters.ccxt.client import AnswerError, BinanceUsdmClient
from opensqt.adapters.ccxt.egress import open_session
from opensqt.adapters.ccxt.market_stream import MarketStream
from opensqt.adapters.ccxt.payloads import (
    instrument,
    queried_candle,
    queried_execution,
    queried_order,
    queried_position,
    trades_now,
)
from opensqt.adapters.ccxt.requests import Method, NoAnswerError, NotSentError, Requests
from opensqt.core.events import Candle, OrderUpdate, Position, UpdateSource
from opensqt.core.grid.results import PlacementResult
from opensqt.core.instrument import Instrument
from opensqt.core.numbers import plain
from opensqt.core.orders import EndReason, Execution, Order, OrderStatus
from opensqt.ports import (
    AccountEvent,
    CancelAnswer,
    CancelOutcome,
    Clock,
    DependencyError,
    MarketEvent,
)
from opensqt.runtime.config_models import ExchangeConfig
from opensqt.runtime.metrics import Metrics

EXCHANGE: Final = "binanceusdm"
TRADES_PER_PAGE: Final = 1000
TRADES_SPAN_MS: Final = 7 * 24 * 3600 * 1000
"""userTrades answers for at most a week from its start time."""
PAGES_MAX: Final = 200
KLINES_MAX: Final = 1500

_log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def open_binance_usdm(
    config: ExchangeConfig, *, account: str, clock: Clock, metrics: Metrics
) -> AsyncIterator["BinanceUsdmExchange"]:
    """The exchange, with its clock compared now and then, closed at the end.

    Args:
        config: Keys, and the endpoint that stands in for the exchange, if any.
        account: Our name of the account that the keys belong to.
        clock: Tells the time.
        metrics: Where requests and events are counted.
    """
    exchange = BinanceUsdmExchange(config, account=account, clock=clock, metrics=metrics)
    try:
        await exchange.start()
        yield exchange
    finally:
        await exchange.close()


class BinanceUsdmExchange:
    """Implements `ports.Exchange`; made in a running event loop, by `open_binance_usdm`."""

    def __init__(
        self, config: ExchangeConfig, *, account: str, clock: Clock, metrics: Metrics
    ) -> None:
        self._account = account
        self._clock = clock
        self._metrics = metrics
        self._session: aiohttp.ClientSession = open_session(config.endpoint)
        self._client = BinanceUsdmClient(
            session=self._session,
            api_key=config.api_key.get_secret_value() if config.api_key else "",
            api_secret=config.api_secret.get_secret_value() if config.api_secret else "",
            timeout_ms=config.request_timeout_ms,
        )
        self._requests = Requests(
            self._client,
            exchange=EXCHANGE,
            clock=clock,
            recv_window_ms=config.recv_window_ms,
            metrics=metrics,
        )
        self._clock_task: asyncio.Task[None] | None = None

    @property
    def limits_used(self) -> Mapping[str, int]:
        """What the exchange last said is used of its limits, such as ``ORDER-COUNT-1M``."""
        return self._requests.used

    @property
    def held_until_ns(self) -> int:
        """Until when the exchange has told us to be silent; nothing is sent before."""
        return self._requests.held_until_ns

    async def start(self) -> None:
        """Compare the clocks, and go on doing so."""
        await self._requests.compare_clocks(self._client.fapiPublicGetTime)
        self._clock_task = asyncio.create_task(
            self._requests.keep_clock(self._client.fapiPublicGetTime)
        )

    async def close(self) -> None:
        """Close its connections."""
        if self._clock_task is not None:
            self._clock_task.cancel()
            await asyncio.gather(self._clock_task, return_exceptions=True)
        await self._client.close()
        await self._session.close()

    async def ping(self) -> None:
        """Answer if the exchange does.

        Raises:
            DependencyError: It does not.
        """
        await self._ask("ping", self._client.fapiPublicGetPing, {}, signed=False)

    # --- market --------------------------------------------------------------------------------

    async def instruments(self) -> tuple[Instrument, ...]:
        """Every perpetual that trades now, by symbol.

        Raises:
            DependencyError: The exchange does not answer.
        """
        method = self._client.fapiPublicGetExchangeInfo
        answer = await self._ask("exchangeInfo", method, {}, signed=False)
        found = []
        for row in answer["symbols"]:
            if trades_now(row):
                try:
                    found.append(instrument(row))
                except (KeyError, ValueError) as error:
                    _log.warning(
                        "instrument_unreadable", symbol=row.get("symbol"), error=str(error)
                    )
        return tuple(sorted(found, key=lambda item: item.symbol))

    async def candles(self, symbol: str, *, limit: int) -> tuple[Candle, ...]:
        """The latest one-minute candles, oldest first; the last one may not be closed.

        Raises:
            DependencyError: The exchange does not answer.
        """
        params = {"symbol": symbol, "interval": "1m", "limit": min(limit, KLINES_MAX)}
        rows = await self._ask("klines", self._client.fapiPublicGetKlines, params, signed=False)
        now_ms = self._requests.exchange_now_ms
        with _read("klines"):
            return tuple(queried_candle(symbol, row, now_ms=now_ms) for row in rows)

    async def market_events(self, symbol: str) -> AsyncIterator[MarketEvent]:
        """Prices, funding and candles as they come; reconnects by itself, for ever."""
        stream = MarketStream(
            self._client,
            symbol,
            clock=self._clock,
            metrics=self._metrics,
            funding_interval=self._funding_interval,
        )
        async with _running(stream.run, stream.inbox.close):
            async for event in stream.inbox:
                yield event

    async def _funding_interval(self, symbol: str) -> int | None:
        """Hours between two settlements, if the exchange lists them for this symbol."""
        method = self._client.fapiPublicGetFundingInfo
        try:
            rows = await self._ask("fundingInfo", method, {}, signed=False)
            hours = {row["symbol"]: row["fundingIntervalHours"] for row in rows}
            return int(hours[symbol]) if symbol in hours else None
        except (DependencyError, KeyError, TypeError, ValueError) as error:
            _log.warning("funding_interval_unknown", symbol=symbol, error=str(error))
            return None

    # --- account -------------------------------------------------------------------------------

    async def account_events(self) -> AsyncIterator[AccountEvent]:
        """Order and position events, whole and in order, with the stream's ups and downs."""
        stream = AccountStream(
            self._client,
            self._account,
            clock=self._clock,
            metrics=self._metrics,
            create_key=self._create_listen_key,
            keep_key=self._keep_listen_key,
        )
        async with _running(stream.run, stream.inbox.close):
            async for event in stream.inbox:
                yield event

    async def find_order(self, symbol: str, client_oid: str) -> OrderUpdate | None:
        """Where an order stands; None when the exchange says that it has no such order.

        Raises:
            DependencyError: No answer that can be relied upon.
        """
        return await self._find({"symbol": symbol, "origClientOrderId": client_oid})

    async def find_order_by_exchange_id(
        self, symbol: str, exchange_order_id: str
    ) -> OrderUpdate | None:
        """As `find_order`, by the exchange's own id."""
        return await self._find({"symbol": symbol, "orderId": exchange_order_id})

    async def _find(self, params: Mapping[str, Any]) -> OrderUpdate | None:
        try:
            row = await self._requests.signed("find", self._client.fapiPrivateGetOrder, params)
        except AnswerError as error:
            if classify(EXCHANGE, error.answer).proof is Proof.NO_SUCH_ORDER:
                return None
            raise DependencyError(f"look-up of an order: {error}") from None
        except (NotSentError, NoAnswerError) as error:
            raise DependencyError(f"look-up of an order: {error}") from None
        with _read("order"):
            return self._update(row, UpdateSource.QUERY)

    async def open_orders(self, symbol: str) -> tuple[OrderUpdate, ...]:
        """Every open order of the account on `symbol`, ours or not.

        Raises:
            DependencyError: No answer that can be relied upon.
        """
        method = self._client.fapiPrivateGetOpenOrders
        rows = await self._ask("openOrders", method, {"symbol": symbol})
        with _read("openOrders"):
            return tuple(self._update(row, UpdateSource.QUERY) for row in rows)

    async def executions_since(self, symbol: str, since_ns: int) -> tuple[Execution, ...]:
        """Every execution from `since_ns` on, oldest first; `client_oid` is empty.

        Raises:
            DependencyError: No answer that can be relied upon.
        """
        found: dict[int, Execution] = {}
        start_ms = since_ns // 1_000_000
        next_id: int | None = None
        for _ in range(PAGES_MAX):
            params: dict[str, Any] = {"symbol": symbol, "limit": TRADES_PER_PAGE}
            if next_id is not None:
                params["fromId"] = next_id
            else:
                params |= {"startTime": start_ms, "endTime": start_ms + TRADES_SPAN_MS}
            rows = await self._ask("userTrades", self._client.fapiPrivateGetUserTrades, params)
            with _read("userTrades"):
                found |= {int(row["id"]): queried_execution(row) for row in rows}
            if len(rows) >= TRADES_PER_PAGE:
                # From here on by id, which neither skips nor repeats trades of one millisecond.
                next_id = max(found) + 1
            elif next_id is None and start_ms + TRADES_SPAN_MS < self._requests.exchange_now_ms:
                start_ms += TRADES_SPAN_MS
            else:
                return tuple(execution for _, execution in sorted(found.items()))
        raise DependencyError(f"{symbol}: more than {PAGES_MAX} pages of executions")

    async def position(self, symbol: str) -> Position:
        """The account's position.

        Raises:
            DependencyError: No answer that can be relied upon, or the account is in hedge mode.
        """
        method = self._client.fapiPrivateV3GetPositionRisk
        rows = await self._ask("positionRisk", method, {"symbol": symbol})
        with _read("positionRisk"):
            return queried_position(symbol, rows)

    async def hedge_mode(self) -> bool:
        """Whether the account keeps long and short positions apart; orders here assume it does not.

        Raises:
            DependencyError: No answer that can be relied upon.
        """
        answer = await self._ask("positionMode", self._client.fapiPrivateGetPositionSideDual, {})
        with _read("positionMode"):
            return {"true": True, "false": False}[str(answer["dualSidePosition"]).lower()]

    async def _create_listen_key(self) -> str:
        answer = await self._ask(
            "listenKey", self._client.fapiPrivatePostListenKey, {}, signed=False
        )
        with _read("listenKey"):
            return str(answer["listenKey"])

    async def _keep_listen_key(self) -> None:
        await self._ask("keepKey", self._client.fapiPrivatePutListenKey, {}, signed=False)

    # --- orders --------------------------------------------------------------------------------

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
            row = await self._requests.signed(
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
            row = await self._requests.signed("cancel", self._client.fapiPrivateDeleteOrder, params)
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

    # --- asking --------------------------------------------------------------------------------

    async def _ask(
        self, name: str, method: Method, params: Mapping[str, Any], *, signed: bool = True
    ) -> Any:
        """Send a request that changes nothing.

        Raises:
            DependencyError: No answer that can be relied upon.
        """
        send = self._requests.signed if signed else self._requests.plain
        try:
            return await send(name, method, params)
        except (NotSentError, NoAnswerError, AnswerError) as error:
            raise DependencyError(f"{EXCHANGE} {name}: {error}") from None

    def _update(self, row: Mapping[str, Any], source: UpdateSource) -> OrderUpdate:
        return queried_order(
            row, account=self._account, source=source, receive_time_ns=self._clock.now_ns()
        )


_CANCEL_OUTCOMES: Final = {
    Proof.REFUSED: CancelOutcome.REFUSED,
    Proof.NO_SUCH_ORDER: CancelOutcome.GONE,
    Proof.UNKNOWN: CancelOutcome.UNKNOWN,
}


def _placed(order: Order, status: OrderStatus, reason: EndReason, text: str) -> PlacementResult:
    return PlacementResult(
        client_oid=order.client_oid, status=status, end_reason=reason, end_text=text
    )


@contextlib.contextmanager
def _read(what: str) -> Iterator[None]:
    """Turn whatever goes wrong with a payload into an answer that cannot be relied upon."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise DependencyError(f"{EXCHANGE} {what}: not as documented: {error!r}") from None


@contextlib.asynccontextmanager
async def _running(
    work: Callable[[], Coroutine[Any, Any, None]], close: Callable[[], None]
) -> AsyncIterator[None]:
    """Run a stream while its events are taken; its end is a fault, and is not kept secret."""
    task = asyncio.create_task(work())
    task.add_done_callback(lambda _: close())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
