"""Stories say what happened to the order in question, and leave out the rest."""

from decimal import Decimal as D

from opensqt.core.identifiers import grid_order_id
from opensqt.core.orders import Purpose, Side
from simulation.observer import ViolationError
from simulation.plan import Fault, FaultKind, Plan
from simulation.story import LINES_MAX, story
from simulation.trace import Trace


def oid(price: int, cycle: int) -> str:
    return grid_order_id(
        bot_id="btc",
        epoch=1,
        slot_price=D(price),
        side=Side.BUY,
        purpose=Purpose.OPEN,
        cycle=cycle,
    )


MINE, NEXT, OTHER = oid(99, 0), oid(99, 1), oid(98, 0)
PLAN = Plan(seed=17, faults=(Fault(kind=FaultKind.BUS_DOWN, at_ms=1500, length_ms=20),))


def test_a_story_has_the_order_its_slot_and_the_faults() -> None:
    trace = Trace()
    trace.note(10**9, "exchange", "other accepted", OTHER)
    trace.note(2 * 10**9, "fault", "bus down")
    trace.note(3 * 10**9, "execution", "mine sent", MINE)
    trace.note(4 * 10**9, "market", "a price")
    trace.note(5 * 10**9, "exchange", "next accepted", NEXT)
    text = story(PLAN, trace, ViolationError(5, "slot 99 has two", MINE), drawn=9)
    assert "seed 17: invariant 5" in text
    assert "make sim SEED=17" in text
    assert "1 of the seed's 9 are enough" in text
    assert f"What happened to {MINE}, cycle 0 of slot 99 (open, buy)" in text
    assert text.index("bus down for 20 ms") < text.index("mine sent") < text.index("next accepted")
    assert "other accepted" not in text
    assert "a price" not in text
    assert text.endswith("slot 99 has two")


def test_what_was_over_before_the_order_began_is_left_out() -> None:
    trace = Trace()
    trace.note(1, "execution", "mine sent", MINE)
    trace.note(60 * 10**9, "fault", "long after")
    trace.note(70 * 10**9, "execution", "next sent", NEXT)
    text = story(PLAN, trace, ViolationError(5, "x", NEXT))
    assert "long after" not in text
    assert "mine sent" not in text
    assert "next sent" in text


def test_a_long_story_is_cut_in_the_middle() -> None:
    trace = Trace()
    for number in range(500):
        trace.note(number, "exchange", f"line {number}.", MINE)
    text = story(PLAN, trace, ViolationError(3, "x", MINE))
    assert "line 0." in text
    assert "line 499." in text
    assert f"{500 - LINES_MAX} lines left out" in text


def test_a_violation_that_is_about_no_order_tells_the_end_of_everything() -> None:
    trace = Trace()
    for number in range(500):
        trace.note(number, "market", f"line {number}.")
    text = story(PLAN, trace, ViolationError(15, "x"))
    assert "line 499." in text
    assert "line 0." not in text


def test_an_order_that_is_only_named_is_told_of_too() -> None:
    trace = Trace()
    trace.note(1, "execution", "mine sent", MINE)
    text = story(PLAN, trace, ViolationError(0, f"halted for nothing: order {MINE}: strange"))
    assert f"What happened to {MINE}" in text
