"""Payloads as Binance documents them, and what must not pass for one."""

from decimal import Decimal as D
from typing import Any

import pytest

from opensqt.adapters.ccxt.market_payloads import (
    instrument,
    queried_candle,
    streamed_candle,
    streamed_funding,
    trades_now,
)
from opensqt.adapters.ccxt.order_payloads import queried_execution, queried_order, streamed_order
from opensqt.adapters.ccxt.payloads import AHEAD_NS_MAX, PayloadError
from opensqt.adapters.ccxt.position_payloads import queried_position, streamed_positions
from opensqt.core.events import Forced, Position, UpdateSource
from opensqt.core.numbers import NotExactError
from opensqt.core.orders import EndReason, OrderStatus, Side

MS = 1_000_000
RECEIVED_NS = 1568879465700 * MS

ORDER: dict[str, Any] = {
    "s": "BTCUSDT",
    "c": "gb0001",
    "S": "SELL",
    "o": "LIMIT",
    "f": "GTC",
    "q": "0.010",
    "p": "61800.10",
    "ap": "0",
    "x": "NEW",
    "X": "NEW",
    "i": 8886774,
    "l": "0",
    "z": "0",
    "L": "0",
    "T": 1568879465650,
    "t": 0,
    "m": False,
    "R": False,
    "ps": "BOTH",
    "rp": "0",
}
ROW: dict[str, Any] = {
    "orderId": 8886774,
    "symbol": "BTCUSDT",
    "status": "NEW",
    "clientOrderId": "gb0001",
    "price": "61800.10",
    "avgPrice": "0.00",
    "origQty": "0.010",
    "executedQty": "0.000",
    "timeInForce": "GTC",
    "reduceOnly": False,
    "side": "SELL",
    "updateTime": 1568879465650,
}


def streamed(**changes: Any) -> Any:
    event = {"e": "ORDER_TRADE_UPDATE", "T": 1568879465651, "E": 5, "o": ORDER | changes}
    return streamed_order(event, account="main", receive_time_ns=RECEIVED_NS)


def queried(**changes: Any) -> Any:
    return queried_order(
        ROW | changes, account="main", source=UpdateSource.QUERY, receive_time_ns=RECEIVED_NS
    )


def test_a_new_order() -> None:
    update = streamed()
    assert (update.account, update.symbol, update.client_oid) == ("main", "BTCUSDT", "gb0001")
    assert (update.exchange_order_id, update.side) == ("8886774", Side.SELL)
    assert (update.price, update.quantity) == (D("61800.10"), D("0.010"))
    assert (update.filled_quantity, update.average_price) == (D(0), None)
    assert update.execution is None
    assert (update.exchange_time_ns, update.receive_time_ns) == (
        1568879465651 * MS,
        RECEIVED_NS,
    )
    assert update.source is UpdateSource.STREAM


def test_a_fill_keeps_every_digit() -> None:
    update = streamed(
        x="TRADE",
        X="PARTIALLY_FILLED",
        l="0.00000001",
        z="0.00300001",
        L="61800.123456789",
        ap="61800.1",
        n="-0.000000012345678901",
        N="BNB",
        t=981,
        m=True,
    )
    execution = update.execution
    assert execution is not None
    assert execution.execution_id == "981"
    assert (execution.price, execution.quantity) == (D("61800.123456789"), D("1E-8"))
    assert (execution.fee, execution.fee_asset) == (D("-0.000000012345678901"), "BNB")
    assert execution.maker
    assert execution.exchange_time_ns == 1568879465650 * MS
    assert update.filled_quantity == D("0.00300001")


def test_a_fee_that_is_not_said_is_unknown_and_not_zero() -> None:
    execution = streamed(x="TRADE", X="FILLED", l="0.01", z="0.01", L="1", t=5).execution
    assert execution is not None
    assert execution.fee is None


def test_a_liquidation_is_an_execution_even_without_a_trade_id() -> None:
    update = streamed(
        c="autoclose-123", x="CALCULATED", X="PARTIALLY_FILLED", l="0.004", z="0.004", L="1"
    )
    again = streamed(c="autoclose-123", x="CALCULATED", X="FILLED", l="0.006", z="0.010", L="1")
    assert update.execution is not None
    assert again.execution is not None
    assert update.execution.execution_id != again.execution.execution_id


ENDS = [
    ({"X": "CANCELED"}, OrderStatus.CANCELED, EndReason.CANCEL_REQUESTED),
    ({"X": "CANCELED", "c": "adl_autoclose"}, OrderStatus.CANCELED, EndReason.FORCED),
    ({"X": "EXPIRED", "f": "GTX"}, OrderStatus.EXPIRED, EndReason.POST_ONLY_WOULD_TAKE),
    ({"X": "EXPIRED", "R": True}, OrderStatus.EXPIRED, EndReason.REDUCE_ONLY_REJECTED),
    ({"X": "EXPIRED"}, OrderStatus.EXPIRED, EndReason.OTHER),
    ({"X": "EXPIRED_IN_MATCH"}, OrderStatus.EXPIRED, EndReason.SELF_TRADE_PREVENTION),
    ({"X": "REJECTED"}, OrderStatus.REJECTED, EndReason.OTHER),
    ({"X": "FILLED"}, OrderStatus.FILLED, EndReason.NONE),
]


@pytest.mark.parametrize(("changes", "status", "reason"), ENDS)
def test_how_an_order_ended(
    changes: dict[str, Any], status: OrderStatus, reason: EndReason
) -> None:
    update = streamed(**changes)
    assert (update.status, update.end_reason) == (status, reason)
    names = {"X": "status", "c": "clientOrderId", "f": "timeInForce", "R": "reduceOnly"}
    looked_up = queried(**{names[key]: value for key, value in changes.items()})
    assert (looked_up.status, looked_up.end_reason) == (status, reason)


BAD = [
    {"X": "SUSPENDED"},
    {"x": "SOMETHING"},
    {"x": ["NEW"]},
    {"q": ""},
    {"q": "NaN"},
    {"q": float("nan")},
    {"q": float("inf")},
    {"q": True},
    {"q": "1e999999999"},
    {"q": "9" * 100},
    {"q": 1e30},
    {"q": "-0.01"},
    {"z": "-1"},
    {"z": None},
    {"z": "0.011"},  # filled more than there is
    {"x": "TRADE", "X": "FILLED", "z": "0.01", "l": "-0.01", "L": "1"},
    {"x": "TRADE", "X": "FILLED", "z": "0.01", "l": "0.01", "L": "0"},
    {"S": "LONG"},
    {"R": "perhaps"},
]


@pytest.mark.parametrize("changes", BAD, ids=str)
def test_what_is_not_as_documented_is_no_order(changes: dict[str, Any]) -> None:
    with pytest.raises((PayloadError, NotExactError, ValueError, TypeError)):
        streamed(**changes)


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        (0.1, D("0.1")),
        (0.30000000000000004, D("0.30000000000000004")),
        (1e-8, D("0.00000001")),
        (61800.1, D("61800.1")),
        (3, D(3)),
        ("3.000", D(3)),
    ],
)
def test_numbers_mean_what_was_written(told: Any, meant: D) -> None:
    assert streamed(q=told, z=0).quantity == meant
    assert queried(origQty=told, executedQty=0).quantity == meant


def test_truth_may_be_written_as_text() -> None:
    ends = {"x": "EXPIRED", "X": "EXPIRED"}
    assert streamed(**ends, R="true").end_reason is EndReason.REDUCE_ONLY_REJECTED
    assert streamed(**ends, R="false").end_reason is EndReason.OTHER


def test_times_from_the_future_are_held_to_our_own() -> None:
    year_ms = 365 * 24 * 3600 * 1000
    update = queried(updateTime=ROW["updateTime"] + year_ms)
    assert update.exchange_time_ns == RECEIVED_NS + AHEAD_NS_MAX
    fill = {"x": "TRADE", "X": "FILLED", "l": "0.01", "z": "0.01", "L": "1", "t": 5}
    execution = streamed(**fill, T=10**17).execution
    assert execution is not None
    assert execution.exchange_time_ns == RECEIVED_NS + AHEAD_NS_MAX
    assert queried(updateTime=0).exchange_time_ns == RECEIVED_NS
    for nonsense in (None, "soon", [], {}):
        with pytest.raises(PayloadError, match="no time"):
            queried(updateTime=nonsense)


FORCED = [
    ({"c": "autoclose-1757"}, Forced.LIQUIDATION),
    ({"c": "adl_autoclose"}, Forced.DELEVERAGING),
    ({"c": "settlement_autoclose-9"}, Forced.SETTLEMENT),
    ({"o": "LIQUIDATION"}, Forced.LIQUIDATION),
    ({"X": "NEW_ADL"}, Forced.DELEVERAGING),
    ({"X": "NEW_INSURANCE"}, Forced.LIQUIDATION),
    ({"c": "gb0001"}, Forced.NONE),
    ({"c": "my-autoclose-1"}, Forced.NONE),
]


@pytest.mark.invariant(49)
@pytest.mark.parametrize(("changes", "kind"), FORCED)
def test_what_the_exchange_does_itself_is_told_apart(changes: dict[str, Any], kind: Forced) -> None:
    assert streamed(**changes).forced is kind
    names = {"X": "status", "c": "clientOrderId", "o": "type"}
    assert queried(**{names[key]: value for key, value in changes.items()}).forced is kind


@pytest.mark.invariant(49)
def test_the_execution_of_a_liquidation_is_forced_whatever_its_id() -> None:
    assert streamed(x="CALCULATED", l="0.01", z="0.01", L="1").forced is Forced.LIQUIDATION


def test_a_look_up() -> None:
    update = queried(status="PARTIALLY_FILLED", executedQty="0.004", avgPrice="61800.15")
    assert (update.status, update.filled_quantity) == (OrderStatus.PARTIALLY_FILLED, D("0.004"))
    assert update.average_price == D("61800.15")
    assert update.execution is None


def test_an_execution_names_only_the_exchanges_id() -> None:
    execution = queried_execution(
        {
            "symbol": "BTCUSDT",
            "id": 698759,
            "orderId": 25851813,
            "side": "BUY",
            "price": "7819.01",
            "qty": "0.002",
            "commission": "0.07819010",
            "commissionAsset": "USDT",
            "time": 1569514978020,
            "maker": False,
        },
        receive_time_ns=RECEIVED_NS,
    )
    assert (execution.client_oid, execution.exchange_order_id) == ("", "25851813")
    assert execution.fee == D("0.07819010")


POSITION = {
    "symbol": "BTCUSDT",
    "positionSide": "BOTH",
    "positionAmt": "-0.010",
    "entryPrice": "61800.1",
    "markPrice": "61700.0",
    "unRealizedProfit": "1.001",
    "liquidationPrice": "0",
}


def test_positions() -> None:
    short = queried_position("BTCUSDT", [POSITION])
    assert (short.quantity, short.entry_price) == (D("-0.010"), D("61800.1"))
    assert short.liquidation_price is None
    assert queried_position("BTCUSDT", []).quantity == 0
    with pytest.raises(PayloadError, match="hedge mode"):
        queried_position("BTCUSDT", [POSITION | {"positionSide": "LONG"}])


def account_update(balances: list[Any], positions: list[Any], cause: str = "ORDER") -> Any:
    return {"e": "ACCOUNT_UPDATE", "T": 9, "a": {"m": cause, "B": balances, "P": positions}}


USDT = {"a": "USDT", "wb": "9999.5", "cw": "9999.5", "bc": "-0.5"}
LONG = {"s": "BTCUSDT", "pa": "0.01", "ep": "61800.1", "up": "0", "ps": "BOTH"}


def test_an_account_update() -> None:
    first, second = streamed_positions(
        account_update([USDT], [LONG, LONG | {"s": "ETHUSDT", "pa": "0", "ep": "0"}]),
        {},
        account="main",
        receive_time_ns=7,
    )
    assert first.position.entry_price == D("61800.1")
    assert (first.wallet_balance, first.balance_change) == (D("9999.5"), D("-0.5"))
    # The change belongs to the event, not to each of its positions.
    assert (second.position.symbol, second.balance_change) == ("ETHUSDT", None)
    assert second.position.entry_price is None
    with pytest.raises(PayloadError, match="hedge mode"):
        streamed_positions(
            account_update([], [LONG | {"ps": "SHORT"}]), {}, account="main", receive_time_ns=7
        )


def test_funding_without_a_position_is_told_of_the_only_one_held() -> None:
    held = queried_position("BTCUSDT", [POSITION])
    flat = queried_position("ETHUSDT", [])
    known: dict[str, Position] = {"BTCUSDT": held, "ETHUSDT": flat}
    event = account_update([USDT], [], "FUNDING_FEE")
    (update,) = streamed_positions(event, known, account="main", receive_time_ns=7)
    assert (update.position, update.cause, update.balance_change) == (
        held,
        "FUNDING_FEE",
        D("-0.5"),
    )
    both = known | {"ETHUSDT": held}
    assert streamed_positions(event, both, account="main", receive_time_ns=7) == ()


def test_an_instrument() -> None:
    row = {
        "symbol": "BTCUSDT",
        "baseAsset": "BTC",
        "quoteAsset": "USDT",
        "status": "TRADING",
        "contractType": "PERPETUAL",
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
            {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
            {"filterType": "MIN_NOTIONAL", "notional": "100"},
        ],
    }
    assert trades_now(row)
    assert not trades_now(row | {"status": "SETTLING"})
    assert not trades_now(row | {"contractType": "CURRENT_QUARTER"})
    assert instrument(row).tick_size == D("0.10")


def test_candles() -> None:
    bar = {"t": 60_000, "s": "BTCUSDT", "o": "1", "h": "3", "l": "0.5", "c": "2", "v": "10"}
    assert streamed_candle({"k": bar | {"x": True}}).closed
    row = [60_000, "1", "3", "0.5", "2", "10", 119_999, "20", 5, "5", "10", "0"]
    assert queried_candle("BTCUSDT", row, now_ms=120_000).closed
    assert not queried_candle("BTCUSDT", row, now_ms=119_999).closed
    assert queried_candle("BTCUSDT", row, now_ms=0).high == D(3)


def test_funding() -> None:
    frame = {"s": "BTCUSDT", "E": 5, "p": "61800.1", "i": "", "r": "-0.00010000", "T": 9}
    funding = streamed_funding(frame, interval_hours=None, receive_time_ns=7)
    assert funding is not None
    assert (funding.rate, funding.interval_hours) == (D("-0.0001"), None)
    assert (funding.mark_price, funding.index_price) == (D("61800.1"), None)
    delivery = frame | {"r": "", "T": 0}
    assert streamed_funding(delivery, interval_hours=None, receive_time_ns=7) is None
