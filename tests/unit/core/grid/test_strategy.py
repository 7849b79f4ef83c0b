"""What a grid wants, market by market. Prices are small so that a case fits one line."""

from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensqt.core.actions import Action, ActionBatch, Cancel, Place
from opensqt.core.events import OrderUpdate, UpdateSource
from opensqt.core.grid.book import Direction, GridBook, GridIdentity, Standing
from opensqt.core.grid.config import AtrSpacing, GridConfig
from opensqt.core.grid.results import PlacementResult
from opensqt.core.grid.slots import SlotManager
from opensqt.core.grid.strategy import plan
from opensqt.core.grid.windows import MarketView
from opensqt.core.instrument import Instrument
from opensqt.core.orders import EndReason, Order, OrderStatus, Purpose

BTC = Instrument(
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick_size=D("0.1"),
    step_size=D("0.001"),
    min_quantity=D("0.001"),
    max_quantity=D(100),
    min_notional=D("0.01"),
)
CONFIG = GridConfig(interval=D(10), buy_levels=3, sell_levels=3, quantity=D("0.01"))


def empty(direction: Direction = Direction.LONG) -> GridBook:
    return GridBook(
        identity=GridIdentity(
            bot_id="btc",
            account="paper",
            symbol="BTCUSDT",
            quote="USDT",
            direction=direction,
            anchor=D(1000),
            interval=D(10),
            epoch=1,
        ),
        standing=Standing.TRADING,
    )


def market(bid: str, ask: str | None = None, **more: object) -> MarketView:
    known: dict[str, Any] = {
        "last": None,
        "bid": D(bid),
        "ask": D(ask) if ask else D(bid) + D("0.1"),
        "now_ns": 10**18,
        "exposure_allowed": True,
        "instrument": BTC,
    }
    return MarketView(**(known | more))


def told(actions: tuple[Action, ...]) -> list[str]:
    """Actions as short text: 'buy 990 open', 'sell 1000 close @990', 'cancel 970'."""
    lines = []
    for a in actions:
        if isinstance(a, Cancel):
            lines.append(f"cancel {a.slot_price:f}")
        else:
            at = f" @{a.slot_price:f}" if a.purpose is Purpose.CLOSE else ""
            lines.append(f"{a.side.lower()} {a.price:f} {a.purpose.lower()}{at}")
    return lines


def reserve(book: GridBook, actions: tuple[Action, ...]) -> GridBook:
    batch = ActionBatch(
        bot_id="btc", epoch=1, state_revision=book.revision, actions=actions, price_time_ns=0
    )
    return SlotManager(book).reserve(batch, deadline_ns=0, now_ns=0).book


def accept(book: GridBook) -> GridBook:
    results = tuple(
        PlacementResult(client_oid=o.client_oid, status=OrderStatus.NEW, exchange_order_id="1")
        for o in book.live_orders()
        if o.status is OrderStatus.PENDING
    )
    return SlotManager(book).record(results, now_ns=0).book


def report(order: Order, status: OrderStatus, filled: str) -> OrderUpdate:
    return OrderUpdate(
        account="paper",
        symbol=order.symbol,
        client_oid=order.client_oid,
        exchange_order_id="1",
        side=order.side,
        status=status,
        end_reason=EndReason.NONE,
        price=order.price,
        quantity=order.quantity,
        filled_quantity=D(filled),
        average_price=None,
        execution=None,
        source=UpdateSource.STREAM,
        exchange_time_ns=0,
        receive_time_ns=0,
    )


def place_all(book: GridBook, view: MarketView, config: GridConfig = CONFIG) -> GridBook:
    return accept(reserve(book, plan(book, view, config)))


def fill(book: GridBook, slot: str) -> GridBook:
    order = book.slots[D(slot)].order
    assert order is not None
    update = report(order, OrderStatus.FILLED, str(order.quantity))
    return SlotManager(book).apply(update, now_ns=0).book


@pytest.mark.parametrize(
    ("direction", "bid", "wanted"),
    [
        (Direction.LONG, "1005", ["buy 1000 open", "buy 990 open", "buy 980 open"]),
        (Direction.SHORT, "1005", ["sell 1010 open", "sell 1020 open", "sell 1030 open"]),
        # The ask is 1000.0: a buy at 1000 would take it, so the first level is the next one down.
        (Direction.LONG, "999.9", ["buy 990 open", "buy 980 open", "buy 970 open"]),
        # The bid is 1000.0: a buy may join it.
        (Direction.LONG, "1000", ["buy 1000 open", "buy 990 open", "buy 980 open"]),
        (Direction.SHORT, "1000", ["sell 1010 open", "sell 1020 open", "sell 1030 open"]),
    ],
)
def test_an_empty_grid_opens_its_window_nearest_first(
    direction: Direction, bid: str, wanted: list[str]
) -> None:
    assert told(plan(empty(direction), market(bid), CONFIG)) == wanted


def test_a_neutral_grid_opens_both_sides_nearest_first() -> None:
    actions = plan(empty(Direction.NEUTRAL), market("1003"), CONFIG)
    assert told(actions) == [
        "buy 1000 open",
        "sell 1010 open",
        "buy 990 open",
        "sell 1020 open",
        "buy 980 open",
        "sell 1030 open",
    ]


def test_a_level_inside_a_wide_spread_is_opened_once() -> None:
    narrow = replace(CONFIG, buy_levels=1, sell_levels=2)
    actions = plan(empty(Direction.NEUTRAL), market("995", "1005"), narrow)
    assert told(actions) == ["buy 1000 open", "sell 1010 open"]
    reserve(empty(Direction.NEUTRAL), actions)


def test_a_resting_window_needs_nothing() -> None:
    book = place_all(empty(), market("1005"))
    assert plan(book, market("1005"), CONFIG) == ()


def test_no_price_no_decision() -> None:
    assert plan(empty(), replace(market("1005"), bid=None, ask=None), CONFIG) == ()


def test_a_holding_is_closed_one_spacing_away_at_its_own_slot() -> None:
    book = fill(place_all(empty(), market("1005")), "1000")
    actions = plan(book, market("999.5"), CONFIG)
    assert told(actions)[0] == "sell 1010 close @1000"
    closing = actions[0]
    assert isinstance(closing, Place)
    assert closing.quantity == D("0.01")
    assert closing.reduce_only


def test_a_short_holding_is_bought_back_below() -> None:
    book = fill(place_all(empty(Direction.SHORT), market("1005")), "1010")
    assert book.position == D("-0.01")
    assert "buy 1000 close @1010" in told(plan(book, market("1011"), CONFIG))


def test_after_a_round_trip_the_slot_opens_again_under_a_new_id() -> None:
    book = place_all(empty(), market("1005"))
    first = book.slots[D(1000)].order
    book = place_all(fill(book, "1000"), market("999.5"))
    book = fill(book, "1000")
    assert book.position == 0
    assert book.totals.realised_pnl == D("0.1")
    book = place_all(book, market("1011"))
    again = book.slots[D(1000)].order
    assert first is not None
    assert again is not None
    assert first.client_oid != again.client_oid


def test_an_exit_that_the_market_has_passed_does_not_take() -> None:
    book = fill(place_all(empty(), market("1005")), "1000")
    assert "sell 1020.1 close @1000" in told(plan(book, market("1020"), CONFIG))


def test_the_centre_trails_the_price_and_far_orders_are_cancelled_beyond_the_slack() -> None:
    book = place_all(empty(), market("1005"))  # 1000, 990, 980
    assert told(plan(book, market("1015"), CONFIG)) == ["buy 1010 open"]
    assert told(plan(book, market("1025"), CONFIG)) == [
        "buy 1020 open",
        "buy 1010 open",
        "cancel 980",
    ]


def test_holdings_outside_the_window_are_kept_without_an_order() -> None:
    book = fill(place_all(empty(), market("1005")), "1000")
    far = plan(book, market("905"), CONFIG)
    assert not any("close" in line for line in told(far))
    assert book.slots[D(1000)].position_qty == D("0.01")


@pytest.mark.invariant(17)
def test_a_closed_gate_stops_openings_cancels_them_and_lets_exits_pass() -> None:
    book = fill(place_all(empty(), market("1005")), "1000")
    shut = market("999.5", exposure_allowed=False)
    assert told(plan(book, shut, CONFIG)) == ["sell 1010 close @1000", "cancel 990", "cancel 980"]


@pytest.mark.invariant(52)
def test_while_openings_pause_what_rests_stays_and_exits_and_cancels_pass() -> None:
    book = fill(place_all(empty(), market("1005")), "1000")
    assert told(plan(book, market("999.5", paused=True), CONFIG)) == ["sell 1010 close @1000"]
    risen = plan(book, market("1025", paused=True), CONFIG)
    assert told(risen) == ["sell 1025.1 close @1000", "cancel 980"]


@pytest.mark.invariant(52)
def test_an_opening_that_may_not_go_takes_no_place_from_an_exit() -> None:
    one = replace(CONFIG, max_open_orders=1)
    book = fill(place_all(empty(), market("1005"), one), "1000")
    assert told(plan(book, market("995"), one)) == ["buy 990 open"]
    assert told(plan(book, market("995", paused=True), one)) == ["sell 1010 close @1000"]


@pytest.mark.invariant(17)
def test_a_halted_grid_only_closes_and_cancels() -> None:
    book = fill(place_all(empty(), market("1005")), "1000")
    book = SlotManager(book).halt("liquidated", now_ns=0).book
    actions = plan(book, market("999.5"), CONFIG)
    assert told(actions) == ["sell 1010 close @1000", "cancel 990", "cancel 980"]
    assert reserve(book, actions).revision == book.revision + 1


@pytest.mark.invariant(17)
def test_a_grid_that_was_not_compared_yet_does_nothing() -> None:
    book = fill(place_all(empty(), market("1005")), "1000")
    assert plan(replace(book, standing=Standing.RECONCILING), market("999.5"), CONFIG) == ()


@pytest.mark.invariant(6)
def test_an_exit_of_more_than_is_held_goes() -> None:
    """Part of what it was to close has been closed by force."""
    book = place_all(fill(place_all(empty(), market("1005")), "1000"), market("1005"))
    slot = book.slots[D(1000)]
    assert slot.order is not None
    assert slot.order.purpose is Purpose.CLOSE
    assert plan(book, market("1005"), CONFIG) == ()
    left = replace(slot, position_qty=slot.position_qty / 2, entry_cost=slot.entry_cost / 2)
    book = replace(book, slots={**book.slots, slot.price: left})
    assert told(plan(book, market("1005"), CONFIG)) == ["cancel 1000"]


@pytest.mark.invariant(5)
def test_an_order_beside_its_slot_s_own_goes() -> None:
    book = place_all(empty(), market("1005"))
    own = book.slots[D(1000)].order
    assert own is not None
    stray = replace(own, client_oid="stray")
    # Nobody has looked for strays since it came.
    book = replace(book, orders={**book.orders, "stray": stray}, strays=None)
    actions = plan(book, market("1005"), CONFIG)
    assert [action.client_oid for action in actions if isinstance(action, Cancel)] == ["stray"]


def test_a_cap_on_open_orders_keeps_the_nearest() -> None:
    config = replace(CONFIG, max_open_orders=2)
    assert told(plan(empty(), market("1005"), config)) == ["buy 1000 open", "buy 990 open"]
    book = place_all(empty(), market("1005"), config)
    moved = plan(book, market("1025"), config)
    assert [line for line in told(moved) if line.startswith("cancel")]
    # The displaced orders hold their places until their cancels are proven.
    assert not [line for line in told(moved) if "open" in line]


def test_the_position_bound_counts_open_orders() -> None:
    config = replace(CONFIG, max_position=D("0.025"))
    assert told(plan(empty(), market("1005"), config)) == ["buy 1000 open", "buy 990 open"]


def test_the_skew_steps_back_with_the_inventory_and_is_bounded() -> None:
    config = replace(CONFIG, max_position=D("0.02"), skew_levels=2)
    book = place_all(empty(), market("1005"), replace(CONFIG, quantity=D("0.01")))
    half = fill(book, "1000")
    opens = [x for x in told(plan(half, market("999.5"), config)) if "open" in x]
    assert opens == []  # one level back: 980 is the top, and the open orders fill the bound


def test_the_atr_widens_the_spacing_and_with_it_the_exit() -> None:
    config = replace(CONFIG, atr=AtrSpacing(multiple=D(1), max_spacing=4))
    actions = plan(empty(), market("1005", atr=D(21)), config)
    assert told(actions) == ["buy 1000 open", "buy 980 open", "buy 960 open"]
    assert isinstance(actions[0], Place)
    assert actions[0].exit_price == D(1020)
    wide = plan(empty(), market("1005", atr=D(1000)), config)
    assert told(wide) == ["buy 1000 open", "buy 960 open", "buy 920 open"]


def test_a_quote_amount_is_rounded_down_to_the_step() -> None:
    config = replace(CONFIG, quantity=None, quote_amount=D("12.34"))
    first = plan(empty(), market("1005"), config)[0]
    assert isinstance(first, Place)
    assert first.quantity == D("0.012")


def test_a_blocked_slot_waits() -> None:
    book = reserve(empty(), plan(empty(), market("1005"), CONFIG))
    nearest = book.slots[D(1000)].order
    assert nearest is not None
    refused = PlacementResult(
        client_oid=nearest.client_oid,
        status=OrderStatus.REJECTED,
        end_reason=EndReason.POST_ONLY_WOULD_TAKE,
    )
    book = SlotManager(book).record((refused,), now_ns=0).book
    assert plan(book, market("1005", now_ns=1), CONFIG) == ()
    assert told(plan(book, market("1005", now_ns=10**9), CONFIG)) == ["buy 1000 open"]


def test_neutral_closings_are_not_reduce_only_since_the_account_nets() -> None:
    book = fill(place_all(empty(Direction.NEUTRAL), market("1005")), "1000")
    closing = next(
        a
        for a in plan(book, market("999.5"), CONFIG)
        if isinstance(a, Place) and a.purpose is Purpose.CLOSE
    )
    assert not closing.reduce_only


@pytest.mark.parametrize("direction", [Direction.LONG, Direction.NEUTRAL])
def test_a_closing_that_the_exchange_would_refuse_as_too_small_waits(direction: Direction) -> None:
    """Reduce-only orders are exempt from the least notional, and a neutral grid's are none."""
    book = place_all(empty(direction), market("1005"))
    order = book.slots[D(1000)].order
    assert order is not None
    part = report(order, OrderStatus.CANCELED, "0.002")  # worth 2
    book = SlotManager(book).apply(part, now_ns=0).book
    view = market("999.5", instrument=replace(BTC, min_notional=D(5)))
    closings = [line for line in told(plan(book, view, CONFIG)) if "close" in line]
    assert closings == (["sell 1010 close @1000"] if direction is Direction.LONG else [])


@pytest.mark.invariant(13)
@given(
    direction=st.sampled_from(Direction),
    bids=st.lists(st.integers(8000, 12000).map(lambda n: D(n) / 10), min_size=1, max_size=25),
    cap=st.integers(1, 8),
    skew=st.integers(0, 3),
    atr=st.none() | st.integers(1, 60).map(D),
)
def test_whatever_the_market_does_a_plan_is_lawful(
    direction: Direction, bids: list[D], cap: int, skew: int, atr: D | None
) -> None:
    """Every plan can be reserved whole, keeps the caps, stays on the grid and never takes."""
    config = replace(
        CONFIG, max_open_orders=cap, max_position=D("0.03"), skew_levels=skew, atr=AtrSpacing()
    )
    book = empty(direction)
    for bid in bids:
        view = market(str(bid), atr=atr)
        actions = plan(book, view, config)
        for action in actions:
            if isinstance(action, Place):
                assert view.ask is not None
                assert view.bid is not None
                buys = action.side.sign > 0
                assert action.price < view.ask if buys else action.price > view.bid
                assert book.identity.lattice.contains(action.slot_price)
        if actions:
            book = accept(reserve(book, actions))
        assert len(book.live_orders()) <= cap
        assert abs(book.position) <= D("0.03")
        for order in book.live_orders():  # the market trades through what it passes
            passed = order.price > bid if order.side.sign > 0 else order.price < bid
            if order.cancel_requested and not passed:
                update = report(order, OrderStatus.CANCELED, "0")
                book = SlotManager(book).apply(update, now_ns=0).book
            elif passed:
                update = report(order, OrderStatus.FILLED, str(order.quantity))
                book = SlotManager(book).apply(update, now_ns=0).book
