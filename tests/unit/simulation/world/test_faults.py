"""Every fault of a plan does what it says, in the whole system."""

from pathlib import Path

import pytest

from opensqt.core.orders import OrderStatus
from opensqt.runtime.crash_points import CrashPoint
from simulation.draw import owner_of
from simulation.plan import Fault, FaultKind, Link, Part
from tests.unit.simulation.world.stories import tell

K = FaultKind
BEGIN_S, END_S = 3.0, 7.0


def fault(kind: FaultKind, **more: object) -> Fault:
    """From the third second to the seventh."""
    return Fault(kind=kind, at_ms=3000, **{"length_ms": 4000, **more})  # type: ignore[arg-type]


def test_without_faults_the_grid_trades_and_comes_to_rest_twice() -> None:
    story = tell()
    assert story.within("exchange", "fills", 0, 12) > 5
    assert len(story.accepted) > 10
    assert story.sent.keys() == story.accepted.keys()
    assert len(story.told("at rest", -1, 1)) == 2
    assert not story.entries("world", "internal error")


@pytest.mark.parametrize("part", Part)
def test_kill(part: Part) -> None:
    story = tell(fault(K.KILL, part=part))
    (died_s,) = story.notes(part, "killed")
    assert BEGIN_S <= died_s < BEGIN_S + 0.1
    _, again_s = story.notes(part, "starts")
    assert died_s + 4 <= again_s < died_s + 4.5


@pytest.mark.parametrize("point", CrashPoint)
def test_kill_at_point(point: CrashPoint) -> None:
    part = owner_of(point)
    faults = [fault(K.KILL_AT_POINT, part=part, point=point, length_ms=500)]
    if point is CrashPoint.SETTLING_BEFORE_RESULT:  # it needs an order in doubt that nobody tells
        before = CrashPoint.PLACING_BEFORE_RESULT
        faults.append(fault(K.LOSE, link=Link.STREAM))
        faults.append(fault(K.KILL_AT_POINT, part=part, point=before, length_ms=100))
    story = tell(*faults)
    assert len(story.notes(part, f"killed at {point}")) == 1
    assert len(story.notes(part, "starts")) == 1 + len(story.notes(part, "killed"))


def test_stall() -> None:
    story = tell(fault(K.STALL, part=Part.EXECUTION))
    assert not story.within("execution", "sends", BEGIN_S, END_S)
    assert story.within("execution", "sends", END_S, 12)
    assert len(story.notes("execution", "starts")) == 1


def test_lost_requests_to_place_are_not_on_the_exchange_and_are_settled() -> None:
    story = tell(fault(K.LOSE, link=Link.ORDERS))
    lost = story.sent.keys() - story.accepted.keys()
    assert lost
    assert all(BEGIN_S <= story.sent[oid] <= END_S for oid in lost)
    assert OrderStatus.UNKNOWN in story.ledger_statuses
    assert OrderStatus.NOT_PLACED in story.ledger_statuses


def test_requests_whose_answers_are_lost_take_effect_and_are_adopted() -> None:
    story = tell(fault(K.LOSE_ANSWERS, link=Link.ORDERS))
    assert OrderStatus.UNKNOWN in story.ledger_statuses or story.within(
        "exchange", "accepts", BEGIN_S, END_S
    )
    sent_then = [oid for oid, at_s in story.sent.items() if BEGIN_S < at_s < END_S]
    assert sent_then
    assert all(oid in story.accepted for oid in sent_then)
    assert OrderStatus.NOT_PLACED not in story.ledger_statuses


def test_requests_that_arrive_after_their_deadline_are_refused() -> None:
    story = tell(fault(K.DELAY, link=Link.ORDERS, value=8000))
    delays = [
        story.accepted[oid] - at_s for oid, at_s in story.sent.items() if oid in story.accepted
    ]
    assert 1 < max(delays) < 3.02, "a request expires three seconds after its commit"
    assert story.sent.keys() - story.accepted.keys()


def test_a_stream_that_loses_everything_is_made_good_by_comparing() -> None:
    story = tell(fault(K.LOSE, link=Link.STREAM))
    assert story.within("exchange", "fills", BEGIN_S, END_S)
    late = tell(fault(K.LOSE, link=Link.STREAM, length_ms=8900))
    assert late.within("store", "FILLED", 3.5, 12), "the comparison tells what the stream has not"


def test_without_calls_nothing_is_placed() -> None:
    story = tell(fault(K.LOSE, link=Link.CALLS))
    assert not story.within("execution", "sends", BEGIN_S + 0.1, END_S)
    assert story.within("execution", "sends", END_S, 12)


def test_without_the_bus_nothing_is_decided_that_arrives() -> None:
    story = tell(fault(K.LOSE, link=Link.BUS))
    assert not story.within("execution", "sends", BEGIN_S + 0.1, END_S)


@pytest.mark.parametrize("link", [Link.BUS, Link.STREAM, Link.CALLS])
def test_what_comes_twice_counts_once(link: Link) -> None:
    story = tell(fault(K.REPEAT, link=link))
    assert story.within("exchange", "fills", BEGIN_S, END_S)
    assert story.sent.keys() == story.accepted.keys()


@pytest.mark.parametrize("kind", [K.BUS_DOWN, K.BUS_WIPED])
def test_bus_outages(kind: FaultKind) -> None:
    story = tell(fault(kind))
    assert not story.within("execution", "sends", BEGIN_S + 0.1, END_S)
    assert not story.within("store", "FILLED", BEGIN_S + 0.2, END_S)
    assert story.within("execution", "sends", END_S, 12)


def test_store_down() -> None:
    story = tell(fault(K.STORE_DOWN))
    assert not story.within("store", "commits", BEGIN_S + 0.01, END_S)
    assert story.within("store", "commits", END_S, 12)
    assert story.watcher.world is not None
    assert len(story.watcher.world.stores) == 1


def test_store_wiped() -> None:
    story = tell(fault(K.STORE_WIPED))
    assert story.watcher.world is not None
    assert len(story.watcher.world.stores) == 2
    assert story.within("store", "RECONCILING", END_S, 20), "a ledger that is new takes in what is"
    epochs = {before.identity.epoch for before, _, _ in story.told("committed", 0, 1e30)}
    assert len(epochs) == 2


def test_exchange_down() -> None:
    story = tell(fault(K.EXCHANGE_DOWN))
    assert not story.within("exchange", "accepts", BEGIN_S + 0.001, END_S)
    assert story.within("exchange", "fills", BEGIN_S, END_S), "the market goes on without us"
    assert story.within("exchange", "accepts", END_S, 12)


def test_exchange_refuses() -> None:
    story = tell(fault(K.EXCHANGE_REFUSES))
    assert not story.within("exchange", "accepts", BEGIN_S + 0.001, END_S)
    assert OrderStatus.REJECTED in story.ledger_statuses
    assert story.within("execution", "sends", BEGIN_S, END_S)


def test_rate_limit() -> None:
    story = tell(fault(K.RATE_LIMIT))
    assert not story.within("exchange", "accepts", BEGIN_S + 0.001, END_S)
    assert OrderStatus.REJECTED in story.ledger_statuses
    assert story.within("exchange", "accepts", END_S, 12)


def test_stream_drop_loses_what_happens_meanwhile() -> None:
    story = tell(fault(K.STREAM_DROP))
    assert story.within("exchange", "fills", BEGIN_S, END_S)
    assert not story.openings(BEGIN_S + 0.7, END_S), "nothing is opened blindly"
    assert story.openings(END_S, 12)


def test_stream_silent_until_it_is_dialled_anew() -> None:
    story = tell(fault(K.STREAM_SILENT, length_ms=0))
    assert story.within("exchange", "fills", BEGIN_S, 12)
    assert story.within("store", "FILLED", BEGIN_S + 3, 12)


def test_stale_reads_show_the_past() -> None:
    story = tell(
        fault(K.STALE_READS, value=1800, length_ms=9000),
        fault(K.LOSE_ANSWERS, link=Link.ORDERS),
    )
    assert OrderStatus.NOT_PLACED not in story.ledger_statuses, "not yet in sight is not absent"


@pytest.mark.parametrize("part", Part)
def test_skew(part: Part) -> None:
    straight = tell()
    story = tell(fault(K.SKEW, part=part, value=900))
    assert story.trace.digest() != straight.trace.digest()
    assert story.within("exchange", "fills", BEGIN_S, END_S)


def test_a_manual_order_is_left_alone() -> None:
    story = tell(fault(K.MANUAL_ORDER))
    assert "web3000" in story.accepted
    assert not story.entries("execution", "web")


def test_an_order_with_an_id_like_ours_halts_the_bot() -> None:
    story = tell(fault(K.OTHER_BOT_ORDER))
    strangers = story.accepted.keys() - story.sent.keys()
    assert len(strangers) == 1
    assert story.within("store", "HALTED", BEGIN_S, 12)


def test_a_forced_close_halts_the_bot() -> None:
    story = tell(fault(K.FORCED, chance=0.5), length_ms=15_000)
    forced = [oid for oid in story.accepted if "autoclose" in oid]
    assert len(forced) == 1
    assert story.within("store", "HALTED", BEGIN_S, 15)


def test_self_trade_prevention_expires_an_order() -> None:
    story = tell(fault(K.SELF_TRADE))
    assert story.within("exchange", "ends it: EXPIRED", BEGIN_S - 0.001, BEGIN_S + 0.001) == 1


def test_the_exchange_cancels_everything() -> None:
    story = tell(fault(K.CANCELED_BY_EXCHANGE))
    assert story.within("exchange", "ends it: CANCELED", BEGIN_S - 0.001, BEGIN_S + 0.001) >= 3


def test_price_jump() -> None:
    story = tell(fault(K.PRICE_JUMP, value=-10))
    before = [
        float(e.what.rpartition("at ")[2].split(":")[0]) for e in story.entries("exchange", "fills")
    ]
    assert min(before) <= 60_000 - 60


def test_gate_trip_stops_openings_until_the_reset() -> None:
    story = tell(fault(K.GATE_TRIP))
    (tripped_s,) = story.notes("risk", "by hand")
    (_, opened_s) = story.notes("risk", "open")
    assert BEGIN_S < tripped_s < BEGIN_S + 0.1
    assert END_S < opened_s < END_S + 0.1
    assert not story.openings(tripped_s + 0.2, opened_s)
    ended = {o.client_order_id[1] for (o,) in story.told("ended", tripped_s, opened_s)}
    assert ended == {"b"}, "what opens is taken back, what closes stays"


def test_second_executor() -> None:
    story = tell(fault(K.SECOND_EXECUTOR))
    assert story.notes("execution", "a second process starts") == [BEGIN_S]
    assert len(story.notes("execution", "starts")) == 3
    assert len(story.sent) == len(story.told("sent")), "each intent is sent by one of the two"


def test_every_fault_is_tested_here() -> None:
    """A kind that is new needs a test that it does what it says."""
    text = Path(__file__).read_text(encoding="utf-8")
    assert not [kind for kind in FaultKind if f"K.{kind.name}" not in text]
