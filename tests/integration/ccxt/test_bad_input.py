"""What must not be believed: raw payloads of look-ups and streams, through ccxt and the adapter."""

import contextlib
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from opensqt.adapters.ccxt import BinanceUsdmExchange
from opensqt.core.events import Forced, OrderUpdate
from opensqt.core.identifiers import grid_order_id
from opensqt.core.orders import EndReason, OrderStatus, Purpose, Side
from opensqt.ports import AccountEvent, DependencyError, StreamDown, StreamUp
from services.paper_exchange.interventions import ExpireInMatch, ForceClose, intervene
from tests.integration.ccxt.conftest import SYMBOL, Paper
from tests.integration.ccxt.test_orders import order
from tests.integration.ccxt.test_streams import first

pytestmark = pytest.mark.integration

OURS = grid_order_id(
    bot_id="btc",
    epoch=1,
    slot_price=Decimal(59990),
    side=Side.BUY,
    purpose=Purpose.OPEN,
    cycle=0,
)
ROW: dict[str, Any] = {
    "orderId": 77,
    "symbol": SYMBOL,
    "status": "NEW",
    "clientOrderId": "by-hand",
    "price": "59990.10",
    "avgPrice": "0",
    "origQty": "0.010",
    "executedQty": "0",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "reduceOnly": False,
    "side": "BUY",
    "time": 1_700_000_000_000,
    "updateTime": 1_700_000_000_000,
}


def recently() -> int:
    return time.time_ns() - 3600 * 10**9


def answers(
    monkeypatch: pytest.MonkeyPatch, exchange: BinanceUsdmExchange, method: str, answer: Any
) -> None:
    async def answer_it(_: dict[str, Any]) -> Any:
        return answer

    monkeypatch.setattr(exchange._client, method, answer_it)


@pytest.mark.parametrize(
    "answer", [{}, "", None, {"code": 200}, "<html>", [[]], [None], 0], ids=str
)
async def test_nothing_is_not_an_empty_list(
    exchange: BinanceUsdmExchange, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    for method in (
        "fapiPrivateGetOpenOrders",
        "fapiPrivateGetAllOrders",
        "fapiPrivateGetUserTrades",
        "fapiPrivateV3GetPositionRisk",
        "fapiPrivateGetOrder",
    ):
        answers(monkeypatch, exchange, method, answer)
    for ask in (
        exchange.open_orders(SYMBOL),
        exchange.orders_since(SYMBOL, recently()),
        exchange.executions_since(SYMBOL, recently()),
        exchange.position(SYMBOL),
        exchange.find_order(SYMBOL, OURS),
        exchange.find_order_by_exchange_id(SYMBOL, "77"),
    ):
        with pytest.raises(DependencyError):
            await ask


ODD: list[dict[str, Any]] = [
    {"status": "SUSPENDED"},
    {"executedQty": "0.011"},
    {"executedQty": "-1"},
    {"origQty": "1e40"},
    {"side": "BOTH"},
    {"updateTime": "soon"},
]


@pytest.mark.parametrize("odd", ODD, ids=str)
async def test_a_strangers_odd_order_hides_nothing_and_one_of_ours_is_not_passed_over(
    exchange: BinanceUsdmExchange, monkeypatch: pytest.MonkeyPatch, odd: dict[str, Any]
) -> None:
    good = ROW | {"orderId": 78, "clientOrderId": OURS}
    answers(monkeypatch, exchange, "fapiPrivateGetOpenOrders", [ROW | odd, good])
    (found,) = await exchange.open_orders(SYMBOL)
    assert found.client_oid == OURS
    answers(monkeypatch, exchange, "fapiPrivateGetOpenOrders", [good | odd, ROW])
    with pytest.raises(DependencyError, match="not as documented"):
        await exchange.open_orders(SYMBOL)


async def test_an_answer_about_another_order_is_none(
    exchange: BinanceUsdmExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, exchange, "fapiPrivateGetOrder", ROW)
    assert await exchange.find_order_by_exchange_id(SYMBOL, "77") is not None
    with pytest.raises(DependencyError, match="told of"):
        await exchange.find_order(SYMBOL, OURS)
    with pytest.raises(DependencyError, match="told of"):
        await exchange.find_order_by_exchange_id(SYMBOL, "78")
    with pytest.raises(DependencyError, match="told of"):
        await exchange.find_order("ETHUSDT", "by-hand")


async def test_rows_that_come_twice_count_once(
    exchange: BinanceUsdmExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, exchange, "fapiPrivateGetAllOrders", [ROW, ROW])
    assert len(await exchange.orders_since(SYMBOL, recently())) == 1


@pytest.fixture
async def account(exchange: BinanceUsdmExchange) -> AsyncIterator[AsyncIterator[AccountEvent]]:
    async with contextlib.aclosing(exchange.account_events()) as events:
        await first(events, StreamUp)
        yield events


ORDER_EVENT: dict[str, Any] = {"x": "NEW", "X": "NEW", "c": "x", "i": 1, "s": SYMBOL, "S": "BUY"}
UNREADABLE: list[dict[str, Any]] = [
    {"e": "ORDER_TRADE_UPDATE", "T": 1, "o": ORDER_EVENT | {"X": "SUSPENDED"}},
    {"e": "ORDER_TRADE_UPDATE", "T": 1, "o": ORDER_EVENT | {"x": "ODD"}},
    {"e": "ORDER_TRADE_UPDATE", "T": 1, "o": ORDER_EVENT | {"q": "1", "z": "2"}},
    {"e": "ORDER_TRADE_UPDATE", "T": 1, "o": None},
    {"e": "ORDER_TRADE_UPDATE"},
    {"e": "ACCOUNT_UPDATE", "T": 1, "a": {"P": [{"s": SYMBOL, "pa": "much"}]}},
    {"e": "ACCOUNT_UPDATE", "T": 1, "a": []},
]


@pytest.mark.invariant(46)
@pytest.mark.parametrize("frame", UNREADABLE, ids=str)
async def test_an_event_that_cannot_be_read_is_a_gap_and_not_the_end(
    paper: Paper,
    exchange: BinanceUsdmExchange,
    account: AsyncIterator[AccountEvent],
    frame: dict[str, Any],
) -> None:
    key = str(paper.venue.listen_keys.of("paper"))
    connections = set(paper.venue.hub.connections)
    for _ in range(20):
        paper.venue.hub.publish(key, frame)
    epochs = []
    for _ in range(20):
        down = await first(account, StreamDown)
        assert "could not be read" in down.reason
        epochs.append((await first(account, StreamUp)).epoch)
    assert epochs == sorted(set(epochs))
    # What follows is heard on the same connection: oddities do not keep it from standing.
    await exchange.place(order())
    assert (await first(account, OrderUpdate)).status is OrderStatus.NEW
    assert connections <= set(paper.venue.hub.connections)


@pytest.mark.invariant(49)
@pytest.mark.parametrize(
    "kind", [Forced.LIQUIDATION, Forced.DELEVERAGING, Forced.SETTLEMENT], ids=str
)
async def test_forced_orders_are_told_as_such_by_stream_and_look_up(
    paper: Paper,
    exchange: BinanceUsdmExchange,
    account: AsyncIterator[AccountEvent],
    kind: Forced,
) -> None:
    await exchange.place(order(quantity=Decimal("0.030")))
    paper.trade("59980.0", "5")
    paper.mark("59000")
    await exchange.place(order("gb0002", price=Decimal("58000.0")))
    wanted = {"account": "paper", "symbol": SYMBOL, "kind": kind, "quantity": "0.02"}
    intervene(paper.venue, ForceClose.model_validate(wanted))
    canceled = await first(account, OrderUpdate, status=OrderStatus.CANCELED)
    assert (canceled.client_oid, canceled.forced) == ("gb0002", Forced.NONE)
    told = await first(account, OrderUpdate, status=OrderStatus.FILLED)
    assert told.forced is kind
    assert told.execution is not None
    assert (told.execution.quantity, told.execution.price) == (Decimal("0.02"), Decimal(59000))
    orders = await exchange.orders_since(SYMBOL, recently())
    assert [update.forced for update in orders] == [Forced.NONE, Forced.NONE, kind]
    executions = await exchange.executions_since(SYMBOL, recently())
    assert executions[-1].execution_id == told.execution.execution_id
    found = await exchange.find_order_by_exchange_id(SYMBOL, told.exchange_order_id)
    assert found is not None
    assert found.forced is kind


@pytest.mark.invariant(50)
async def test_self_trade_prevention_is_told_with_its_reason(
    paper: Paper, exchange: BinanceUsdmExchange, account: AsyncIterator[AccountEvent]
) -> None:
    await exchange.place(order())
    wanted = {"account": "paper", "symbol": SYMBOL, "client_order_id": "gb0001"}
    intervene(paper.venue, ExpireInMatch.model_validate(wanted))
    told = await first(account, OrderUpdate, status=OrderStatus.EXPIRED)
    assert told.end_reason is EndReason.SELF_TRADE_PREVENTION
    found = await exchange.find_order(SYMBOL, "gb0001")
    assert found is not None
    assert (found.status, found.end_reason) == (told.status, told.end_reason)


@pytest.mark.invariant(46)
async def test_a_connection_is_cut_twenty_times_is_lost_and_back_twenty_times(
    paper: Paper, exchange: BinanceUsdmExchange, account: AsyncIterator[AccountEvent]
) -> None:
    for _ in range(20):
        paper.venue.hub.cut_all()
        await first(account, StreamDown)
        await first(account, StreamUp)
    await exchange.place(order())
    assert (await first(account, OrderUpdate)).status is OrderStatus.NEW
