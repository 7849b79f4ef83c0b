"""The settle table, row by row, and the fence."""

import itertools
from dataclasses import replace
from decimal import Decimal as D

import pytest

from opensqt.core.events import OrderUpdate, UpdateSource
from opensqt.core.orders import EndReason, Order, OrderStatus, Purpose, Side
from opensqt.core.settle import (
    PAUSE_FIRST_NS,
    PAUSE_LAST_NS,
    SETTLE_TABLE,
    Doubt,
    Fence,
    Finding,
    Step,
    doubt_of,
    next_question_ns,
    steps_after,
)

SECOND = 10**9
FENCE = Fence(clock_skew_ns=1 * SECOND, visibility_ns=2 * SECOND)
SENT = 100 * SECOND
DEADLINE = 103 * SECOND
CONCLUSIVE = 106 * SECOND

ORDER = Order(
    client_oid="gb",
    bot_id="alpha",
    symbol="BTCUSDT",
    side=Side.BUY,
    purpose=Purpose.OPEN,
    price=D(100),
    quantity=D(1),
    slot_price=D(100),
    cycle=0,
    reduce_only=False,
    post_only=True,
    batch_id="alpha:1",
    created_ns=SENT,
    deadline_ns=DEADLINE,
    updated_ns=SENT,
    exit_price=D(110),
)


def found(status: OrderStatus) -> OrderUpdate:
    return OrderUpdate(
        account="main",
        symbol="BTCUSDT",
        client_oid="gb",
        exchange_order_id="1",
        side=Side.BUY,
        status=status,
        end_reason=EndReason.NONE,
        price=D(100),
        quantity=D(1),
        filled_quantity=D(0),
        average_price=None,
        execution=None,
        source=UpdateSource.QUERY,
        exchange_time_ns=0,
        receive_time_ns=0,
    )


# known      cancel?  found          asked     what to do
ROWS = """
PENDING    -        -              DEADLINE  ASK_AGAIN
PENDING    -        -              106s-1    ASK_AGAIN
PENDING    -        -              106s      NOT_PLACED
UNKNOWN    -        -              100s      ASK_AGAIN
UNKNOWN    -        -              106s      NOT_PLACED
UNKNOWN    -        -              9999s     NOT_PLACED
UNKNOWN    -        NEW            100s      ADOPT
UNKNOWN    -        NEW            9999s     ADOPT
UNKNOWN    -        PARTIALLY_FILLED 100s    ADOPT
UNKNOWN    -        FILLED         100s      ADOPT
PENDING    -        CANCELED       100s      ADOPT
PENDING    -        EXPIRED        100s      ADOPT
UNKNOWN    yes      -              105s      ASK_AGAIN
UNKNOWN    yes      -              106s      NOT_PLACED
UNKNOWN    yes      NEW            101s      ADOPT,CANCEL
PENDING    yes      FILLED         101s      ADOPT
NEW        yes      NEW            101s      ADOPT,CANCEL
NEW        yes      PARTIALLY_FILLED 101s    ADOPT,CANCEL
NEW        yes      FILLED         101s      ADOPT
NEW        yes      CANCELED       101s      ADOPT
NEW        yes      -              102s      ASK_AGAIN
NEW        yes      -              103s      ALERT
PARTIALLY_FILLED yes -             9999s     ALERT
"""


def asked(text: str) -> int:
    if text == "DEADLINE":
        return DEADLINE
    seconds, _, less = text.partition("s-")
    return int(seconds.rstrip("s")) * SECOND - int(less or 0)


@pytest.mark.parametrize("row", ROWS.strip().splitlines())
def test_row(row: str) -> None:
    known, canceling, shown, when, steps = row.split()
    order = replace(ORDER, status=OrderStatus(known), cancel_requested=canceling == "yes")
    answer = None if shown == "-" else found(OrderStatus(shown))
    expected = tuple(Step(step) for step in steps.split(","))
    assert steps_after(order, answer, asked_ns=asked(when), fence=FENCE) == expected


def test_every_doubt_has_a_step_for_every_finding() -> None:
    doubts = set(Doubt) - {Doubt.NONE}
    assert set(SETTLE_TABLE) == {(doubt, finding) for doubt in doubts for finding in Finding}
    assert all(SETTLE_TABLE.values())


@pytest.mark.invariant(1)
def test_nothing_is_ever_placed_again() -> None:
    assert {step for steps in SETTLE_TABLE.values() for step in steps} == set(Step)
    assert "PLACE" not in set(Step)


@pytest.mark.parametrize("status", OrderStatus)
@pytest.mark.parametrize("canceling", [False, True])
def test_an_order_is_in_doubt_exactly_when_it_is_not_settled(
    status: OrderStatus, *, canceling: bool
) -> None:
    order = replace(ORDER, status=status, cancel_requested=canceling)
    assert (doubt_of(order) is Doubt.NONE) == order.settled


def test_the_first_question_behind_the_fence_is_not_put_off() -> None:
    again = next_question_ns(ORDER, asked_ns=CONCLUSIVE - PAUSE_FIRST_NS // 2, fence=FENCE)
    assert again == CONCLUSIVE


def test_pauses_grow_to_a_minute() -> None:
    times = [SENT]
    while times[-1] < SENT + 3600 * SECOND:
        times.append(next_question_ns(ORDER, asked_ns=times[-1], fence=FENCE))
    pauses = [after - before for before, after in itertools.pairwise(times)]
    before_fence = sum(time < CONCLUSIVE for time in times)
    assert pauses[0] == PAUSE_FIRST_NS
    assert max(pauses) == pauses[-1] == PAUSE_LAST_NS
    assert CONCLUSIVE in times
    assert before_fence <= 10
    assert len(times) < 80
