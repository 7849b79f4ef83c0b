"""What the exchange refuses, and what becomes of the orders it takes."""

from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest

from opensqt.core.exchange.account import Account
from opensqt.core.exchange.events import OrderChanged
from opensqt.core.exchange.orders import Change
from opensqt.core.orders import OrderStatus

from .conftest import SYMBOL, Desk, fills_of, refused


def snapshot(account: Account) -> tuple[Any, ...]:
    return (dict(account.orders), dict(account.positions), account.wallet, list(account.fills))


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({"side": "BUY", "quantity": 1, "price": 0}, "PRICE_NOT_POSITIVE"),
        ({"side": "BUY", "quantity": 1, "price": -1}, "PRICE_NOT_POSITIVE"),
        ({"side": "BUY", "quantity": 1, "price": "99.5"}, "TICK"),
        ({"side": "BUY", "quantity": 0, "price": 99}, "QUANTITY_NOT_POSITIVE"),
        ({"side": "BUY", "quantity": -1, "price": 99}, "QUANTITY_NOT_POSITIVE"),
        ({"side": "BUY", "quantity": "0.0005", "price": 99}, "QUANTITY_TOO_SMALL"),
        ({"side": "BUY", "quantity": "1.0005", "price": 99}, "STEP"),
        ({"side": "BUY", "quantity": 1001, "price": 99}, "QUANTITY_TOO_LARGE"),
        ({"side": "BUY", "quantity": "0.05", "price": 99}, "NOTIONAL"),
        ({"side": "BUY", "quantity": 1, "price": 200}, "PRICE_TOO_HIGH"),
        ({"side": "SELL", "quantity": 1, "price": 50}, "PRICE_TOO_LOW"),
        ({"side": "BUY", "quantity": 1, "price": 99, "symbol": "ETHUSDT"}, "SYMBOL"),
        ({"side": "BUY", "quantity": 1, "price": 101, "tif": "GTX"}, "POST_ONLY"),
        ({"side": "SELL", "quantity": 1, "price": 100, "tif": "GTX"}, "POST_ONLY"),
        ({"side": "BUY", "quantity": 2, "price": 101, "tif": "FOK"}, "FILL_OR_KILL"),
        ({"side": "BUY", "quantity": 1, "price": 99, "tif": "GTD"}, "GOOD_TILL"),
        ({"side": "BUY", "quantity": 1, "price": 99, "tif": "GTD", "good_till_ns": 1}, "GOOD_TILL"),
        ({"side": "SELL", "quantity": 1, "price": 101, "reduce_only": True}, "REDUCE_ONLY"),
        ({"side": "SELL", "quantity": 1, "reduce_only": True}, "REDUCE_ONLY"),
    ],
)
def test_a_refused_order_names_its_rule_and_changes_nothing(
    desk: Desk, order: dict[str, Any], reason: str
) -> None:
    desk.trade(100, 1, "seller")
    before = snapshot(desk.account)
    assert refused(desk.place(**order)) == reason
    assert snapshot(desk.account) == before


def test_a_client_order_id_is_unique_among_open_orders_only(desk: Desk) -> None:
    desk.place("BUY", 1, 100, client_id="x")
    assert refused(desk.place("BUY", 1, 99, client_id="x")) == "DUPLICATE_ID"
    desk.trade(99, 1, "seller")
    assert desk.order("x").status is OrderStatus.FILLED
    # The danger that OpenSQT protects against: the exchange takes the same id a second time.
    desk.place("BUY", 1, 99, client_id="x")
    assert [order.client_order_id for order in desk.account.orders.values()] == ["x", "x"]
    assert desk.order("x").status is OrderStatus.NEW


def test_open_orders_are_capped(desk: Desk) -> None:
    for number in range(20):
        desk.place("BUY", 1, 99 - number)
    assert refused(desk.place("BUY", 1, 50)) == "TOO_MANY_ORDERS"


def test_immediate_or_cancel_fills_what_is_there_and_expires(desk: Desk) -> None:
    events = desk.place("BUY", 3, 101, tif="IOC")
    changes = [event.change for event in events if isinstance(event, OrderChanged)]
    assert changes == [Change.NEW, Change.TRADE, Change.EXPIRED]
    assert desk.order("order1").status is OrderStatus.EXPIRED
    assert desk.order("order1").executed == 1


def test_fill_or_kill_fills_whole(desk: Desk) -> None:
    events = desk.place("BUY", 2, 102, tif="FOK")
    assert sum(fill.quantity for fill in fills_of(events)) == 2


def test_a_market_order_expires_with_what_the_price_band_does_not_hold(desk: Desk) -> None:
    desk.place("BUY", 100)
    order = desk.order("order1")
    assert order.status is OrderStatus.EXPIRED
    assert order.executed == 6  # 101 to 106: the best price and five ticks of the 5 % band


def test_a_market_order_without_a_market_expires_whole() -> None:
    desk = Desk()
    desk.place("BUY", 1)
    assert desk.order("order1").status is OrderStatus.EXPIRED


def test_good_till_date(desk: Desk) -> None:
    desk.place("BUY", 1, 99, client_id="x", tif="GTD", good_till_ns=10**12)
    assert desk.exchange.expire(now_ns=10**12 - 1) == ()
    (event,) = desk.exchange.expire(now_ns=10**12)
    assert isinstance(event, OrderChanged)
    assert event.order.status is OrderStatus.EXPIRED
    assert desk.exchange.expire(now_ns=10**12) == ()


def test_cancel_keeps_what_filled_and_happens_once(desk: Desk) -> None:
    desk.place("BUY", 2, 100, client_id="x")
    desk.trade(99, 1, "seller")
    (event,) = desk.cancel("x")
    assert isinstance(event, OrderChanged)
    assert (event.order.status, event.order.executed) == (OrderStatus.CANCELED, 1)
    assert desk.position == 1
    assert refused(desk.cancel("x")) == "ORDER_UNKNOWN"
    assert refused(desk.cancel("never")) == "ORDER_UNKNOWN"


def test_a_filled_order_cannot_be_cancelled(desk: Desk) -> None:
    desk.place("BUY", 1, 101, client_id="x")
    assert refused(desk.cancel("x")) == "ORDER_UNKNOWN"


def test_cancel_all_leaves_other_accounts_alone(desk: Desk) -> None:
    desk.exchange.open_account("b", deposit=D(1000))
    desk.place("BUY", 1, 99)
    desk.place("BUY", 1, 98)
    events = desk.exchange.cancel_all("b", SYMBOL, now_ns=1)
    assert events == ()
    assert len(desk.exchange.cancel_all("a", SYMBOL, now_ns=2)) == 2
    assert not desk.account.open_orders


def test_an_amended_order_goes_to_the_end_of_the_queue(desk: Desk) -> None:
    desk.place("BUY", 1, 100, client_id="x")
    desk.trade(100, 1, "seller")  # the queue ahead is used up
    (event,) = desk.amend("x", 100, 2)
    assert isinstance(event, OrderChanged)
    assert event.change is Change.AMENDMENT
    assert desk.trade(100, 1, "seller") == ()
    assert fills_of(desk.trade(100, 1, "seller"))[0].quantity == 1


def test_an_amendment_may_cross_the_market(desk: Desk) -> None:
    desk.place("BUY", 1, 99, client_id="x")
    events = desk.amend("x", 101, 1)
    assert fills_of(events)[0].price == 101
    assert not desk.account.open_orders


@pytest.mark.parametrize(
    ("price", "quantity", "reason"),
    [
        (99, 1, "NOTHING_TO_AMEND"),
        ("98.5", 1, "TICK"),
        (99, "0.0001", "QUANTITY_TOO_SMALL"),
        (101, 1, "POST_ONLY"),
        (99, 900, "MARGIN"),
    ],
)
def test_a_refused_amendment_changes_nothing(
    desk: Desk, price: object, quantity: object, reason: str
) -> None:
    desk.exchange.open_account("poor", deposit=D(100))
    desk.account.deposit = D(100)
    desk.place("BUY", 1, 99, client_id="x", tif="GTX")
    before = snapshot(desk.account)
    assert refused(desk.amend("x", price, quantity)) == reason
    assert snapshot(desk.account) == before


def test_an_amendment_below_what_filled_ends_the_order(desk: Desk) -> None:
    desk.place("BUY", 2, 100, client_id="x")
    desk.trade(99, 1, "seller")
    desk.amend("x", 100, 1)
    assert desk.order("x").status is OrderStatus.CANCELED


class TestReduceOnly:
    def test_it_fills_no_more_than_is_held_and_then_expires(self, desk: Desk) -> None:
        desk.place("BUY", 1)
        desk.place("SELL", 3, 105, client_id="close", reduce_only=True)
        events = desk.trade(106, 9, "buyer")
        assert [fill.quantity for fill in fills_of(events)] == [1]
        assert desk.position == 0
        order = desk.order("close")
        assert (order.status, order.executed) == (OrderStatus.EXPIRED, 1)

    def test_two_that_together_exceed_the_position_never_turn_it(self, desk: Desk) -> None:
        desk.place("BUY", 1)
        desk.place("SELL", 1, 105, client_id="one", reduce_only=True)
        desk.place("SELL", 1, 106, client_id="two", reduce_only=True)
        desk.trade(110, 9, "buyer")
        assert desk.position == 0
        assert desk.order("two").status is OrderStatus.EXPIRED

    def test_it_expires_when_another_order_closes_the_position(self, desk: Desk) -> None:
        desk.place("BUY", 1)
        desk.place("SELL", 1, 105, client_id="close", reduce_only=True)
        desk.place("SELL", 1)
        assert desk.order("close").status is OrderStatus.EXPIRED

    def test_it_needs_neither_margin_nor_least_notional(self, desk: Desk) -> None:
        desk.place("BUY", "0.06")
        desk.account.deposit = D(0)
        desk.place("SELL", "0.01", 101, client_id="close", reduce_only=True)
        assert desk.order("close").status is OrderStatus.NEW

    def test_a_taker_is_cut_to_what_is_held(self, desk: Desk) -> None:
        desk.place("BUY", "0.5")
        events = desk.place("SELL", 1, client_id="close", reduce_only=True)
        assert [fill.quantity for fill in fills_of(events)] == [D("0.5")]
        assert desk.order("close").status is OrderStatus.EXPIRED


def test_order_life_refuses_what_cannot_happen(desk: Desk) -> None:
    desk.place("BUY", 1, 101, client_id="x")
    filled = desk.order("x")
    with pytest.raises(AssertionError):
        filled.ended(Change.CANCELED, now_ns=1)
    with pytest.raises(AssertionError):
        replace(filled, quantity=D(3)).filled(price=D(1), quantity=D(1), now_ns=1)
