"""The brain: one grid in memory, from what it hears to the orders that are to be sent."""

from dataclasses import replace
from decimal import Decimal as D

import pytest

from opensqt.core.errors import Refusal
from opensqt.core.events import Candle
from opensqt.core.grid.book import GridBook, GridChange, SlotStatus, Standing
from opensqt.core.grid.brain import ENDED_KEPT, Brain
from opensqt.core.grid.config import AtrSpacing, GridConfig
from opensqt.core.grid.results import PlacementResult, Reservation
from opensqt.core.instrument import Instrument
from opensqt.core.orders import EndReason, Order, OrderStatus
from opensqt.core.risk.exposure import Exposure
from opensqt.core.risk.openings import Openings
from opensqt.testing import grids

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
CONFIG = GridConfig(interval=D(1), buy_levels=2, sell_levels=2, quantity=D("0.01"))
NOW = grids.NOW_NS


def brain(**more: object) -> Brain:
    made = Brain(grids.grid(), config=CONFIG, instrument=BTC, **more)  # type: ignore[arg-type]
    made.hear_price(last=D("100.5"), bid=D("100.5"), ask=D("100.6"), time_ns=NOW)
    return made


def decided(brain: Brain, *, now_ns: int = NOW, exposure: Exposure = Exposure.ADD) -> Reservation:
    reservation = brain.decide(now_ns=now_ns, deadline_ns=now_ns + 5, exposure=exposure)
    assert reservation is not None
    return reservation


def answered(brain: Brain, orders: tuple[Order, ...], status: OrderStatus) -> None:
    results = tuple(PlacementResult(client_oid=o.client_oid, status=status) for o in orders)
    brain.record(results, now_ns=NOW)


def test_it_decides_reserves_and_then_has_nothing_to_decide() -> None:
    it = brain()
    reservation = decided(it)
    assert [str(order.price) for order in reservation.to_place] == ["100", "99"]
    assert {slot.status for slot in it.book.slots.values()} == {SlotStatus.PENDING}
    answered(it, reservation.to_place, OrderStatus.NEW)
    assert it.decide(now_ns=NOW, deadline_ns=NOW) is None
    assert it.book.batches == {}


def test_grids_of_one_account_pause_together_and_wake_when_that_ends() -> None:
    account = Openings()
    it, other, stranger = brain(openings=account), brain(openings=account), brain()
    first, _ = decided(it).to_place
    refusal = PlacementResult(
        client_oid=first.client_oid,
        status=OrderStatus.REJECTED,
        end_reason=EndReason.INSUFFICIENT_MARGIN,
    )
    it.record((refusal,), now_ns=NOW)
    assert other.decide(now_ns=NOW, deadline_ns=NOW) is None
    assert len(decided(stranger).to_place) == 2
    assert other.wakes_ns(NOW) == NOW + 10**9
    assert other.decide(now_ns=NOW + 10**9 - 1, deadline_ns=NOW) is None
    assert len(decided(other, now_ns=NOW + 10**9).to_place) == 2


def test_it_decides_nothing_without_a_price_or_before_it_was_compared() -> None:
    silent = Brain(grids.grid(), config=CONFIG, instrument=BTC)
    assert silent.decide(now_ns=NOW, deadline_ns=NOW) is None
    early = Brain(GridBook(identity=grids.identity()), config=CONFIG, instrument=BTC)
    early.hear_price(last=D(100), bid=D(100), ask=D(101), time_ns=NOW)
    assert early.decide(now_ns=NOW, deadline_ns=NOW) is None


def test_a_fill_is_closed_and_its_order_leaves_the_book() -> None:
    it = brain()
    order, _ = decided(it).to_place
    assert it.apply(grids.filled(order, "1"), now_ns=NOW).changed
    assert order.client_oid not in it.book.orders
    (close,) = [o for o in decided(it).to_place if o.reduce_only]
    assert (close.price, close.quantity) == (D(101), D("0.01"))


def test_an_answer_that_a_fill_has_outrun_changes_nothing() -> None:
    it = brain()
    order, _ = decided(it).to_place
    it.apply(grids.filled(order, "1"), now_ns=NOW)
    before = it.book
    answered(it, (order,), OrderStatus.NEW)
    assert it.book == before
    assert not it.apply(grids.filled(order, "1"), now_ns=NOW).changed


def test_a_fill_after_the_cancel_still_counts() -> None:
    it = brain()
    order, _ = decided(it).to_place
    it.apply(grids.update(order, OrderStatus.CANCELED), now_ns=NOW)
    it.apply(grids.filled(order, "1"), now_ns=NOW)
    assert it.book.position == D("0.01")
    assert it.book.standing is Standing.TRADING


def test_a_refusal_waits_and_says_until_when() -> None:
    it = brain()
    answered(it, decided(it).to_place, OrderStatus.REJECTED)
    assert it.decide(now_ns=NOW, deadline_ns=NOW) is None
    wakes_ns = it.wakes_ns(NOW)
    assert wakes_ns == NOW + 250_000_000
    assert len(decided(it, now_ns=wakes_ns).to_place) == 2
    assert it.wakes_ns(wakes_ns) is None


def test_what_ended_long_ago_is_recalled_or_unknown() -> None:
    kept: dict[str, Order] = {}

    def keep(change: GridChange) -> None:
        kept.update((order.client_oid, order) for order in change.orders)

    it = brain(on_change=keep, recall=kept.get)
    forgetful = brain()
    for one in (it, forgetful):
        first, _ = decided(one).to_place
        one.apply(grids.update(first, OrderStatus.EXPIRED), now_ns=NOW)
        for number in range(ENDED_KEPT):
            now_ns = NOW + (number + 1) * 10**12
            (order,) = decided(one, now_ns=now_ns).to_place
            answered(one, (order,), OrderStatus.NEW)
            one.apply(grids.update(order, OrderStatus.EXPIRED), now_ns=now_ns)
    late = grids.filled(first, "1")
    assert it.apply(late, now_ns=NOW).changed
    assert it.book.standing is Standing.TRADING
    assert forgetful.apply(late, now_ns=NOW).quarantined
    assert forgetful.book.standing is Standing.HALTED
    with pytest.raises(Refusal, match="ORDER_UNKNOWN"):
        answered(brain(), (first,), OrderStatus.NEW)


def test_what_the_exchange_forced_is_taken_out_once_and_halts() -> None:
    it = brain()
    order, _ = decided(it).to_place
    it.apply(grids.filled(order, "1"), now_ns=NOW)
    update = grids.forced("0.01")
    assert not it.apply(replace(update, execution=None), now_ns=NOW).changed
    assert it.apply(update, now_ns=NOW).changed
    assert it.book.position == 0
    assert it.book.standing is Standing.HALTED
    assert not it.apply(update, now_ns=NOW).changed


def test_while_it_holds_nothing_is_cancelled() -> None:
    it = brain()
    orders = decided(it).to_place
    answered(it, orders, OrderStatus.NEW)
    it.apply(grids.filled(orders[0], "1"), now_ns=NOW)
    held = decided(it, exposure=Exposure.HOLD)
    assert [order.reduce_only for order in held.to_place] == [True]
    assert held.to_cancel == ()
    withdrawn = decided(it, exposure=Exposure.WITHDRAW)
    assert [order.client_oid for order in withdrawn.to_cancel] == [orders[1].client_oid]


def test_candles_widen_the_spacing() -> None:
    spacing = AtrSpacing(period=1, multiple=D(1), max_spacing=5)
    it = Brain(grids.grid(), config=replace(CONFIG, atr=spacing), instrument=BTC)
    it.hear_price(last=None, bid=D("100.5"), ask=D("100.6"), time_ns=NOW)
    candle = Candle(
        symbol="BTCUSDT",
        open_time_ns=0,
        interval_s=60,
        open=D(100),
        high=D(102),
        low=D(100),
        close=D(101),
        volume=D(1),
        closed=True,
    )
    it.hear_candle(candle)
    assert [str(order.price) for order in decided(it).to_place] == ["100", "98"]


def test_every_change_is_told_in_order() -> None:
    revisions: list[int] = []
    it = brain(on_change=lambda change: revisions.append(change.revision))
    answered(it, decided(it).to_place, OrderStatus.REJECTED)
    assert revisions == [1, 2]
