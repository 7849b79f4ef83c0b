"""Each of the referee's checks can fail: a violation of each, made by hand."""

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal as D

import pytest

from opensqt.core.grid.book import Direction, GridChange, GridTotals, Slot, SlotStatus, Standing
from opensqt.core.grid.slots import SlotManager
from opensqt.core.orders import Order, OrderStatus, Side
from opensqt.testing import grids
from simulation.observer import HARNESS, ViolationError
from simulation.plan import Fault, FaultKind
from tests.unit.simulation.staged import Stage, violates

S = 10**9


class TestLives:
    """What is as it should be."""

    def test_a_grid_that_opens_closes_and_rests(self) -> None:
        stage = Stage()
        stage.opened("99")
        closing = stage.intent(grids.closing(stage.book, "99"))
        stage.quote(D(99))
        stage.send(closing)
        [fill] = stage.trade("101", "10")
        stage.tell(closing, fill)
        order = stage.intent(grids.opening("98"))
        stage.send(order)
        stage.tell(order)
        stage.referee.at_rest()
        assert stage.book.totals.realised_pnl == D("0.01")
        assert len(stage.referee.facts.sent) == 3

    def test_a_neutral_grid_that_sold_first(self) -> None:
        stage = Stage(direction=Direction.NEUTRAL)
        order = stage.intent(grids.opening("102", side=Side.SELL))
        stage.send(order)
        [fill] = stage.trade("103", "10")
        stage.tell(order, fill)
        stage.referee.at_rest()

    def test_the_first_violation_is_remembered_though_somebody_swallows_it(self) -> None:
        stage = Stage()
        order = stage.intent(grids.opening("99"))
        with pytest.raises(ViolationError) as first:
            stage.referee.sent(replace(order, price=D(98)), time_ns=0)
        with pytest.raises(ViolationError) as second:
            stage.referee.at_rest()
        assert first.value is second.value is stage.referee.violation


class TestOnTheExchange:
    def test_1_two_orders_of_one_id(self) -> None:
        stage = Stage()
        order = stage.intent(grids.opening("99"))
        stage.send(order)
        stage.trade("98", "10")
        with violates(1, order.client_oid):
            stage.send(order)

    def test_1_an_id_of_two_intents(self) -> None:
        stage = Stage()
        order = stage.rested()
        stage.referee.facts.intents["another"] = order
        again = replace(stage.book, slots={}, orders={})
        batch = stage.decide(grids.opening("99"))
        outcome = SlotManager(again).reserve(batch, deadline_ns=0, now_ns=stage.wall_ns)
        assert outcome.change is not None
        with violates(1, order.client_oid):
            stage.commit_as(outcome.book, outcome.change)

    def test_3_a_fill_beyond_the_order(self) -> None:
        stage = Stage()
        order = stage.intent(grids.opening("99"))
        stage.send(order)
        [fill] = stage.trade("98", "0.005")
        theirs = replace(stage.theirs(order), executed=D("0.02"))
        with violates(3, order.client_oid):
            stage.referee.filled(theirs, fill, time_ns=0)

    def test_3_a_filled_quantity_that_shrinks(self) -> None:
        stage = Stage()
        order = stage.intent(grids.opening("99"))
        stage.send(order)
        [fill] = stage.trade("98", "0.005")
        theirs = replace(stage.theirs(order), executed=D("0.003"))
        with violates(3, order.client_oid):
            stage.referee.filled(theirs, fill, time_ns=0)

    def test_4_accepted_after_it_was_given_up(self) -> None:
        stage = Stage()
        order = stage.intent(grids.opening("99"))
        stage.record(order, OrderStatus.NOT_PLACED)
        with violates(4, order.client_oid):
            stage.send(order)

    def test_5_two_open_orders_of_a_slot(self) -> None:
        stage = Stage()
        order = stage.intent(grids.opening("99"))
        stage.record(order, OrderStatus.NOT_PLACED)
        stage.now_ns += S
        other = stage.intent(grids.opening("99"))
        facts = stage.referee.facts
        assert facts.ledger is not None
        facts.ledger.orders[order.client_oid] = order  # as if it had not been given up
        stage.send(order)
        with violates(5, other.client_oid):
            stage.send(other)

    def test_6_a_close_beyond_what_was_opened(self) -> None:
        stage = Stage(direction=Direction.NEUTRAL)
        stage.opened("99")
        closing = replace(grids.closing(stage.book, "99"), reduce_only=False)
        order = stage.intent(closing)
        stage.quote(D(99))
        stage.send(order)
        [fill] = stage.trade("101", "10")
        theirs = stage.theirs(order)
        again = replace(theirs, order_id=77)
        with violates(6, order.client_oid):
            stage.referee.filled(again, fill, time_ns=0)

    @pytest.mark.parametrize(("forced", "fine"), [("0.01", True), ("0.009", False)])
    def test_6_what_was_closed_by_force_meanwhile_may_be_closed_again(
        self, forced: str, *, fine: bool
    ) -> None:
        stage = Stage(direction=Direction.NEUTRAL)
        stage.opened("99")
        order = stage.intent(replace(grids.closing(stage.book, "99"), reduce_only=False))
        stage.quote(D(99))
        stage.send(order)
        [fill] = stage.trade("101", "10")
        theirs = stage.theirs(order)
        by_force = replace(theirs, order_id=70, client_order_id="autoclose-1", side=Side.BUY)
        by_force = replace(by_force, executed=D(forced))
        stage.referee.filled(by_force, replace(fill, side=Side.BUY, quantity=D(forced)), time_ns=0)
        again = replace(theirs, order_id=77)
        with nullcontext() if fine else violates(6, order.client_oid):
            stage.referee.filled(again, fill, time_ns=0)

    def test_8_sent_without_an_intent(self) -> None:
        stage = Stage()
        batch = stage.decide(grids.opening("99"))
        outcome = SlotManager(stage.book).reserve(batch, deadline_ns=0, now_ns=0)
        order = outcome.value.to_place[0]
        with violates(8, order.client_oid):
            stage.send(order)

    @pytest.mark.parametrize(
        "field", ["side", "purpose", "price", "quantity", "reduce_only", "symbol", "slot_price"]
    )
    def test_8_sent_otherwise_than_committed(self, field: str) -> None:
        stage = Stage()
        order = stage.intent(grids.opening("99"))
        other = {
            "side": Side.SELL,
            "purpose": "CLOSE",
            "price": D(98),
            "quantity": D("0.02"),
            "reduce_only": True,
            "symbol": "ETHUSDT",
            "slot_price": D(98),
        }
        with violates(8, order.client_oid):
            stage.referee.sent(replace(order, **{field: other[field]}), time_ns=0)

    def test_8_accepted_otherwise_than_committed(self) -> None:
        stage = Stage()
        order = stage.intent(grids.opening("99"))
        stage.referee.sent(order, time_ns=0)
        with violates(8, order.client_oid):
            stage.accept(order.client_oid, order.side, D(98), order.quantity)

    def test_10_a_close_that_is_not_reduce_only(self) -> None:
        stage = Stage()
        stage.opened("99")
        order = stage.intent(replace(grids.closing(stage.book, "99"), reduce_only=False))
        with violates(10, order.client_oid):
            stage.send(order)

    def test_10_a_reduce_only_order_that_adds(self) -> None:
        stage = Stage(direction=Direction.NEUTRAL)
        order = stage.intent(replace(grids.opening("99"), reduce_only=False))
        stage.send(order)
        events = stage.trade("98", "0.005")
        theirs = replace(stage.theirs(order), order_id=77, reduce_only=True)
        with violates(10, order.client_oid):
            stage.referee.filled(theirs, events[0], time_ns=0)

    def test_12_an_opening_on_an_old_price(self) -> None:
        stage = Stage()
        order = stage.intent(grids.opening("99"))
        stage.now_ns += 4 * S
        stage.send(order)
        old = stage.intent(grids.opening("98"))
        stage.now_ns += 6 * S
        with violates(12, old.client_oid):
            stage.send(old)

    @pytest.mark.parametrize(("price", "quantity"), [("99.05", "0.01"), ("99", "0.0105")])
    def test_13_off_tick_or_step(self, price: str, quantity: str) -> None:
        stage = Stage()
        action = replace(grids.opening("99", quantity=quantity), price=D(price))
        order = stage.intent(action)
        with violates(13, order.client_oid):
            stage.referee.sent(order, time_ns=0)

    def test_17_an_opening_long_after_the_gate_has_closed(self) -> None:
        stage = Stage()
        stage.gate(open_=False)
        stage.now_ns += 7 * S
        in_time = stage.intent(grids.opening("99"))
        stage.send(in_time)
        stage.now_ns += 2 * S
        late = stage.intent(grids.opening("98"))
        with violates(17, late.client_oid):
            stage.send(late)

    def test_17_closings_pass_a_closed_gate(self) -> None:
        stage = Stage()
        stage.opened("99")
        stage.gate(open_=False)
        stage.now_ns += 60 * S
        stage.quote(D(99))
        stage.send(stage.intent(grids.closing(stage.book, "99")))

    def test_17_an_opening_long_after_the_halt(self) -> None:
        stage = Stage(Fault(kind=FaultKind.FORCED, at_ms=0))
        early, late = stage.reserve(stage.decide(grids.opening("99"), grids.opening("98")))
        stage.commit(lambda b: SlotManager(b).halt("a reason", now_ns=stage.wall_ns))
        stage.now_ns += 2 * S
        stage.send(early)
        stage.now_ns += 2 * S
        with violates(17, late.client_oid):
            stage.send(late)


class TestInTheLedger:
    def test_3_filled_beyond_the_exchange(self) -> None:
        stage = Stage()
        order = stage.rested()
        [fill] = stage.trade("98.5", "0.004")
        update = stage.update(stage.theirs(order), fill)
        with violates(3, order.client_oid):
            stage.apply(order, replace(update, filled_quantity=D("0.008")))

    def test_3_open_where_the_exchange_has_nothing(self) -> None:
        stage = Stage()
        order = stage.intent(grids.opening("99"))
        with violates(3, order.client_oid):
            stage.record(order, OrderStatus.NEW)

    def test_3_a_filled_quantity_that_shrinks(self) -> None:
        stage = Stage()
        order = stage.rested()
        [fill] = stage.trade("98", "0.005")
        stage.tell(order, fill)
        assert stage.referee.facts.ledger is not None
        known = stage.referee.facts.ledger.orders[order.client_oid]
        less = replace(known, filled_quantity=D("0.001"))
        slot = replace(stage.book.slots[D(99)], order=less)
        with violates(3, order.client_oid):
            _doctored(stage, slot, less)

    def test_4_not_placed_and_on_the_exchange(self) -> None:
        stage = Stage()
        order = stage.intent(grids.opening("99"))
        stage.send(order)
        with violates(4, order.client_oid):
            stage.record(order, OrderStatus.NOT_PLACED)

    def test_4_cancelled_and_open(self) -> None:
        stage = Stage()
        order = stage.rested()
        update = stage.update(stage.theirs(order))
        with violates(4, order.client_oid):
            stage.apply(order, replace(update, status=OrderStatus.CANCELED))

    def test_4_what_has_ended_is_open_again(self) -> None:
        stage = Stage()
        order = stage.rested()
        stage.cancel(order)
        stage.tell(order)
        back = replace(order, status=OrderStatus.NEW)
        slot = replace(stage.book.slots[D(99)], status=SlotStatus.LOCKED, order=back)
        with violates(4, order.client_oid):
            _doctored(stage, slot, back)

    def test_5_a_slot_freed_of_a_live_order(self) -> None:
        stage = Stage()
        order = stage.rested()
        slot = replace(stage.book.slots[D(99)], status=SlotStatus.FREE, order=None)
        with violates(5, order.client_oid):
            _doctored(stage, slot)

    def test_6_a_holding_that_no_fill_made(self) -> None:
        stage = Stage()
        stage.opened("99")
        slot = replace(stage.book.slots[D(99)], position_qty=D("0.02"))
        with violates(6):
            _doctored(stage, slot)

    def test_6_a_long_grid_that_is_short(self) -> None:
        stage = Stage(direction=Direction.LONG)
        order = stage.intent(replace(grids.opening("102", side=Side.SELL), reduce_only=False))
        stage.send(order)
        [fill] = stage.trade("103", "10")
        with violates(6):
            stage.tell(order, fill)

    def test_7_a_stale_decision(self) -> None:
        stage = Stage()
        stale = stage.decide(grids.opening("98"))
        stage.rested()
        facts = stage.referee.facts
        fresh = stage.decide(grids.opening("98"))
        facts.decided[fresh.batch_id] = [stale]
        with violates(7):
            stage.reserve(fresh)

    def test_7_a_revision_that_skips(self) -> None:
        stage = Stage()
        before = stage.book
        stage.rested()
        with violates(7):
            stage.referee.committed(before, stage.book, _change(stage))

    def test_7_an_illegal_step(self) -> None:
        stage = Stage()
        order = stage.rested()
        slot = replace(stage.book.slots[D(99)], status=SlotStatus.PENDING)
        with violates(7, order.client_oid):
            _doctored(stage, slot)

    def test_7_a_cycle_that_turns_back(self) -> None:
        stage = Stage()
        stage.opened("99")
        with violates(7):
            _doctored(stage, replace(stage.book.slots[D(99)], cycle=0))

    def test_8_a_batch_that_nobody_decided(self) -> None:
        stage = Stage()
        with violates(8):
            stage.reserve(grids.batch_on(stage.book, grids.opening("99")))

    def test_8_an_intent_that_nobody_decided(self) -> None:
        stage = Stage()
        batch = stage.decide(grids.opening("99"))
        with violates(8):
            stage.reserve(replace(batch, actions=(grids.opening("98"),)))

    def test_15_totals_that_the_changes_do_not_make(self) -> None:
        stage = Stage()
        change = replace(_change(stage), slots=())
        after = replace(stage.book, revision=change.revision, totals=GridTotals(fills=7))
        with violates(15):
            stage.commit_as(after, change)

    @pytest.mark.parametrize("standing", [Standing.RECONCILING, Standing.HALTED])
    def test_17_an_order_of_a_bot_that_does_not_trade(self, standing: Standing) -> None:
        stage = Stage()
        batch = stage.decide(grids.opening("99"))
        outcome = SlotManager(stage.book).reserve(batch, deadline_ns=0, now_ns=stage.wall_ns)
        assert outcome.change is not None
        stage.book = replace(stage.book, standing=standing)
        with violates(17):
            stage.commit_as(outcome.book, outcome.change)


class TestAtRest:
    def test_2_a_fill_that_the_ledger_never_heard_of(self) -> None:
        stage = Stage()
        order = stage.rested()
        stage.trade("98.5", "0.004")
        with violates(2, order.client_oid):
            stage.referee.at_rest()

    def test_2_a_fill_without_its_execution(self) -> None:
        stage = Stage()
        order = stage.rested()
        stage.trade("98.5", "0.004")
        stage.tell(order)
        with violates(2, order.client_oid):
            stage.referee.at_rest()

    def test_9_an_order_that_ended_unheard(self) -> None:
        stage = Stage()
        order = stage.rested()
        stage.cancel(order)
        with violates(9, order.client_oid):
            stage.referee.at_rest()

    def test_9_an_order_of_a_lost_ledger(self) -> None:
        stage = Stage()
        order = stage.rested()
        assert stage.referee.facts.ledger is not None
        del stage.referee.facts.ledger.orders[order.client_oid]
        with violates(9, order.client_oid):
            stage.referee.at_rest()

    def test_9_a_stranger_that_nobody_noticed(self) -> None:
        stage = Stage()
        stage.rested()
        stage.accept("by-hand", Side.BUY, D(90), D(1))
        with violates(9, "by-hand"):
            stage.referee.at_rest()

    def test_48_a_stranger_that_traded_and_nobody_noticed(self) -> None:
        stage = Stage()
        stage.rested()
        stage.accept("by-hand", Side.BUY, D("99.5"), D("0.01"))
        stage.trade("99.4", "0.01")
        with violates(48, "by-hand"):
            stage.referee.at_rest()

    def test_15_a_store_that_lost_a_change(self) -> None:
        stage = Stage()
        stage.rested()
        stage.store._grids["btc"].changes.pop()
        with violates(15):
            stage.referee.at_rest()

    def test_16_a_profit_that_the_wallet_does_not_show(self) -> None:
        stage = Stage()
        stage.opened("99")
        stage.exchange.accounts["main"].fees += D("0.00000001")
        with violates(16):
            stage.referee.at_rest()

    def test_16_beside_a_stranger_only_our_fills_count(self) -> None:
        stage = Stage(Fault(kind=FaultKind.MANUAL_ORDER, at_ms=0))
        stage.opened("99")
        stage.accept("by-hand", Side.BUY, D(101), D("0.01"))
        theirs = next(
            o
            for o in stage.exchange.accounts["main"].orders.values()
            if o.client_order_id == "by-hand"
        )
        asyncio.run(stage.store.quarantine(stage.update(theirs), "not ours", now_ns=0))
        stage.referee.at_rest()

    def test_18_a_settle_task_that_is_left(self) -> None:
        stage = Stage()
        stage.rested()
        stage.tasks = 1
        with violates(18):
            stage.referee.at_rest()

    def test_18_an_order_in_doubt(self) -> None:
        stage = Stage()
        order = stage.intent(grids.opening("99"))
        with violates(18, order.client_oid):
            stage.referee.at_rest()

    def test_18_a_cancel_in_doubt(self) -> None:
        stage = Stage()
        order = stage.rested()
        stage.reserve(stage.decide(grids.cancel(order)))
        with violates(18, order.client_oid):
            stage.referee.at_rest()

    def test_49_a_forced_close_that_did_not_halt(self) -> None:
        stage = Stage(Fault(kind=FaultKind.FORCED, at_ms=0))
        stage.opened("99")
        stage.accept("autoclose-1", Side.SELL, D(100), D("0.01"))
        with violates(49):
            stage.referee.at_rest()

    def test_a_halt_for_nothing(self) -> None:
        stage = Stage()
        stage.commit(lambda b: SlotManager(b).halt("no reason", now_ns=stage.wall_ns))
        with violates(HARNESS):
            stage.referee.at_rest()

    def test_a_gate_closed_for_nothing(self) -> None:
        stage = Stage()
        stage.rested()
        stage.gate(open_=False)
        with violates(HARNESS):
            stage.referee.at_rest()

    def test_a_grid_that_was_never_confirmed(self) -> None:
        stage = Stage(trading=False)
        with violates(HARNESS):
            stage.referee.at_rest()


def _change(stage: Stage) -> GridChange:
    """A change that changes nothing, as the next one."""
    halted = SlotManager(stage.book).halt("", now_ns=stage.wall_ns)
    assert halted.change is not None
    return replace(halted.change, standing=stage.book.standing, standing_reason="")


def _doctored(stage: Stage, slot: Slot, *orders: Order) -> None:
    """Commit a slot, and orders, as no ledger would."""
    change = replace(_change(stage), slots=(slot,), orders=orders)
    after = replace(
        stage.book, revision=change.revision, slots={**stage.book.slots, slot.price: slot}
    )
    stage.commit_as(after, change)
