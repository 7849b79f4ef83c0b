"""Positions, profit, fees, funding, margin and liquidation, to the last digit."""

from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensqt.core.exchange.account import Position
from opensqt.core.exchange.events import AccountChanged, AccountReason, OrderChanged
from opensqt.core.exchange.orders import Change
from opensqt.core.orders import OrderStatus

from .conftest import SYMBOL, Desk, fills_of, refused


def test_a_round_trip_earns_the_difference_less_fees(desk: Desk) -> None:
    desk.place("BUY", 1, 100)
    desk.trade(99, 1, "seller")
    desk.place("SELL", 1, 110)
    desk.trade(111, 1, "buyer")
    account = desk.account
    assert account.realised == 10
    assert account.fees == D("0.02") + D("0.022")
    assert account.wallet == 100_000 + 10 - D("0.042")
    assert desk.position == 0


def test_takers_pay_the_taker_fee(desk: Desk) -> None:
    (fill,) = fills_of(desk.place("BUY", 1))
    assert not fill.maker
    assert fill.fee == D("0.0505")


def test_the_entry_price_averages_and_a_fill_beyond_the_position_turns_it() -> None:
    position = Position(symbol=SYMBOL)
    position, realised = position.traded(D(1), D(100))
    position, realised = position.traded(D(3), D(104))
    assert (position.entry_price, realised) == (103, 0)
    position, realised = position.traded(D(-1), D(113))
    assert (position.quantity, position.entry_price, realised) == (3, 103, 10)
    position, realised = position.traded(D(-5), D(101))
    assert (position.quantity, position.entry_price, realised) == (-2, 101, -6)
    position, realised = position.traded(D(2), D(90))
    assert (position.quantity, position.cost, realised) == (0, 0, 22)
    assert position.realised == 26


def test_funding_is_paid_by_longs_at_mark(desk: Desk) -> None:
    desk.place("BUY", 1)
    desk.exchange.on_mark_price(SYMBOL, D(200), now_ns=1)
    (event,) = desk.exchange.settle_funding(SYMBOL, D("0.0001"), now_ns=2)
    assert isinstance(event, AccountChanged)
    assert event.reason is AccountReason.FUNDING_FEE
    assert event.balance_change == D("-0.02")
    assert desk.account.funding == D("-0.02")
    assert event.wallet == desk.account.wallet


def test_shorts_receive_it_and_the_flat_nothing(desk: Desk) -> None:
    assert desk.exchange.settle_funding(SYMBOL, D("0.0001"), now_ns=1) == ()
    desk.place("SELL", 1)
    desk.exchange.settle_funding(SYMBOL, D("0.0001"), now_ns=2)
    assert desk.account.funding == D("0.01005")  # at the middle of 100 and 101


class TestMargin:
    def test_an_order_needs_its_notional_over_the_leverage(self, desk: Desk) -> None:
        desk.account.deposit = D(50)
        assert refused(desk.place("BUY", 11, 100)) == "MARGIN"
        desk.place("BUY", 10, 100)
        margin = desk.exchange.margin("a")
        assert (margin.order_initial, margin.available) == (50, 0)
        assert refused(desk.place("BUY", "0.1", 100)) == "MARGIN"

    def test_the_larger_side_counts_not_both(self, desk: Desk) -> None:
        desk.account.deposit = D(51)
        desk.place("BUY", 10, 100)
        desk.place("SELL", 10, 101)
        assert len(desk.account.open_orders) == 2

    def test_closing_a_position_needs_none(self, desk: Desk) -> None:
        desk.place("BUY", "0.5")
        desk.account.deposit = D(3)
        desk.place("SELL", "0.5")
        assert desk.position == 0

    def test_losses_lower_what_is_available(self, desk: Desk) -> None:
        desk.place("BUY", 1, 101)
        desk.exchange.on_mark_price(SYMBOL, D(90), now_ns=1)
        margin = desk.exchange.margin("a")
        assert margin.unrealised == -11
        assert margin.equity == desk.account.wallet - 11
        assert margin.position_initial == D("4.5")

    @pytest.mark.parametrize("leverage", [0, -1, 126])
    def test_leverage_has_bounds(self, desk: Desk, leverage: int) -> None:
        refusal = desk.exchange.set_leverage("a", SYMBOL, leverage)
        assert refusal is not None
        assert refusal.allowed == "1 to 125"

    def test_leverage_cannot_drop_below_what_backs_the_position(self, desk: Desk) -> None:
        desk.account.deposit = D(20)
        desk.place("BUY", 3, 100)
        assert desk.exchange.set_leverage("a", SYMBOL, 10) is not None
        assert desk.account.leverage_of(SYMBOL) == 20
        assert desk.exchange.set_leverage("a", SYMBOL, 50) is None
        assert desk.account.leverage_of(SYMBOL) == 50


def test_liquidation_closes_at_mark_and_cancels_the_rest(desk: Desk) -> None:
    desk.account.deposit = D(6)
    desk.place("BUY", 1)
    desk.place("SELL", 1, 105, client_id="close", reduce_only=True)
    assert desk.exchange.on_mark_price(SYMBOL, D(96), now_ns=1) == ()
    events = desk.exchange.on_mark_price(SYMBOL, D(95), now_ns=2)
    changes = [event.change for event in events if isinstance(event, OrderChanged)]
    assert changes == [Change.CANCELED, Change.NEW, Change.CALCULATED]
    assert desk.position == 0
    assert not desk.account.open_orders
    last = list(desk.account.orders.values())[-1]
    assert last.client_order_id.startswith("autoclose-")
    assert last.status is OrderStatus.FILLED
    assert desk.exchange.on_mark_price(SYMBOL, D(90), now_ns=3) == ()


def test_an_account_may_own_nothing_and_owe_nothing(desk: Desk) -> None:
    margin = desk.exchange.margin("a")
    assert (margin.initial, margin.maintenance, margin.available) == (0, 0, 100_000)


QUANTITIES = st.integers(1, 4000).map(lambda n: D(n) / 1000)
PRICES = st.integers(60, 140).map(D)
SIDES = st.sampled_from(["BUY", "SELL"])
STEPS = st.one_of(
    st.tuples(st.just("trade"), PRICES, QUANTITIES, st.sampled_from(["seller", "buyer"])),
    st.tuples(st.just("quote"), PRICES, QUANTITIES, QUANTITIES),
    st.tuples(st.just("limit"), SIDES, QUANTITIES, PRICES, st.booleans()),
    st.tuples(st.just("market"), SIDES, QUANTITIES, st.booleans()),
    st.tuples(st.just("cancel"), st.integers(1, 40)),
    st.tuples(st.just("amend"), st.integers(1, 40), QUANTITIES, PRICES),
    st.tuples(st.just("fund"), st.integers(-300, 300).map(lambda n: D(n) / 10_000)),
    st.tuples(st.just("mark"), PRICES),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=80))
def test_the_books_balance_whatever_happens(steps: list[tuple[object, ...]]) -> None:
    desk = Desk(deposit=D(500))
    desk.quote(100, 101)
    account = desk.account
    for word, *rest in steps:
        before = {order_id: order.executed for order_id, order in account.orders.items()}
        match word, rest:
            case "trade", (price, quantity, by):
                reached = sum(
                    fill.quantity for fill in fills_of(desk.trade(price, quantity, str(by)))
                )
                assert reached <= D(str(quantity))
            case "quote", (bid, bid_quantity, ask_quantity):
                desk.quote(bid, D(str(bid)) + 1, bid_quantity, ask_quantity)
            case "limit", (side, quantity, price, reduce_only):
                desk.place(str(side), quantity, price, reduce_only=bool(reduce_only))
            case "market", (side, quantity, reduce_only):
                held = abs(desk.position)
                desk.place(str(side), quantity, reduce_only=bool(reduce_only))
                assert not reduce_only or abs(desk.position) <= held
            case "cancel", (number,):
                desk.cancel(f"order{number}")
            case "amend", (number, quantity, price):
                desk.amend(f"order{number}", price, quantity)
            case "fund", (rate,):
                desk.exchange.settle_funding(SYMBOL, D(str(rate)), now_ns=desk.tick())
            case "mark", (price,):
                desk.exchange.on_mark_price(SYMBOL, D(str(price)), now_ns=desk.tick())
        check_books(desk)
        for order_id, executed in before.items():
            assert account.orders[order_id].executed >= executed


def check_books(desk: Desk) -> None:
    account = desk.account
    fills = account.fills
    assert account.wallet == (
        account.deposit
        + sum(fill.realised for fill in fills)
        - sum(fill.fee for fill in fills)
        + sum(payment.amount for payment in account.payments)
    )
    position = account.position(SYMBOL)
    assert position.quantity == sum(fill.quantity * fill.side.sign for fill in fills)
    # Nothing is lost in averaging: what was paid and received is what is held and earned.
    paid = sum(fill.quantity * fill.side.sign * fill.price for fill in fills)
    assert paid == position.cost - account.realised
    for order in account.orders.values():
        mine = [fill for fill in fills if fill.order_id == order.order_id]
        assert order.executed == sum(fill.quantity for fill in mine) <= order.quantity
        assert order.executed_quote == sum(fill.quantity * fill.price for fill in mine)
        assert order.open == (order.order_id in account.open_orders)
        assert (order.status is OrderStatus.FILLED) == (order.executed == order.quantity)
    assert len({fill.trade_id for fill in fills}) == len(fills)
    assert len(account.open_ids) == len(account.open_orders)
