"""The pause of an account's openings: which answers begin it, how long it lasts, how it ends."""

from dataclasses import replace

import pytest

from opensqt.core.orders import EndReason, Order, OrderStatus, Purpose
from opensqt.core.risk.openings import PAUSE_LAST_NS, Openings, Pause
from opensqt.testing import grids

S = 10**9
MARGIN = EndReason.INSUFFICIENT_MARGIN


def refused(pause: Pause, *, now_ns: int, purpose: Purpose = Purpose.OPEN) -> Pause:
    return pause.after(purpose, OrderStatus.REJECTED, MARGIN, now_ns=now_ns)


def taken(pause: Pause, *, now_ns: int, purpose: Purpose = Purpose.OPEN) -> Pause:
    return pause.after(purpose, OrderStatus.NEW, EndReason.NONE, now_ns=now_ns)


def test_a_pause_begins_when_the_refusal_is_heard_and_ends_by_itself() -> None:
    pause = refused(Pause(), now_ns=5)
    assert not Pause().on(0)
    assert pause.on(5)
    assert pause.on(5 + S - 1)
    assert not pause.on(5 + S)


@pytest.mark.parametrize(
    ("status", "reason", "pauses"),
    [
        (OrderStatus.REJECTED, EndReason.INSUFFICIENT_MARGIN, True),
        (OrderStatus.REJECTED, EndReason.RATE_LIMIT, True),
        (OrderStatus.CANCELED, EndReason.RATE_LIMIT, True),
        (OrderStatus.REJECTED, EndReason.POST_ONLY_WOULD_TAKE, False),
        (OrderStatus.REJECTED, EndReason.FILTER, False),
        (OrderStatus.NOT_PLACED, EndReason.NEVER_ARRIVED, False),
        (OrderStatus.UNKNOWN, EndReason.NONE, False),
        (OrderStatus.NEW, EndReason.NONE, False),
    ],
)
def test_only_what_would_meet_every_opening_pauses(
    status: OrderStatus, reason: EndReason, *, pauses: bool
) -> None:
    assert Pause().after(Purpose.OPEN, status, reason, now_ns=0).on(0) is pauses


def test_an_exit_that_is_refused_so_pauses_openings_too() -> None:
    assert refused(Pause(), now_ns=0, purpose=Purpose.CLOSE).on(0)


def test_each_refusal_after_a_pause_doubles_the_next_up_to_a_bound() -> None:
    pause, lengths_ns = Pause(), []
    for _ in range(10):
        now_ns = pause.until_ns
        pause = refused(pause, now_ns=now_ns)
        lengths_ns.append(pause.until_ns - now_ns)
    assert lengths_ns[:4] == [S, 2 * S, 4 * S, 8 * S]
    assert lengths_ns[-2:] == [PAUSE_LAST_NS] * 2


def test_what_was_under_way_together_is_one_refusal_and_the_last_one_counts() -> None:
    pause = refused(refused(Pause(), now_ns=0), now_ns=S // 2)
    assert pause.until_ns == S // 2 + S
    assert refused(pause, now_ns=pause.until_ns).until_ns == pause.until_ns + 2 * S


def test_an_opening_that_is_taken_after_a_pause_makes_the_next_one_short() -> None:
    pause = taken(refused(Pause(), now_ns=0), now_ns=S)
    assert refused(pause, now_ns=S).until_ns == 2 * S


@pytest.mark.parametrize(
    ("purpose", "now_ns"), [(Purpose.OPEN, S - 1), (Purpose.CLOSE, S), (Purpose.CLOSE, 5 * S)]
)
def test_neither_an_exit_nor_what_was_under_way_proves_that_there_is_room(
    purpose: Purpose, now_ns: int
) -> None:
    pause = taken(refused(Pause(), now_ns=0), now_ns=now_ns, purpose=purpose)
    assert refused(pause, now_ns=9 * S).until_ns == 11 * S


def order(status: OrderStatus, reason: EndReason = EndReason.NONE) -> Order:
    return replace(grids.lost_order("btc", 100, epoch=1), status=status, end_reason=reason)


@pytest.mark.parametrize(
    ("before", "after", "pauses"),
    [
        (order(OrderStatus.PENDING), order(OrderStatus.REJECTED, MARGIN), True),
        (order(OrderStatus.UNKNOWN), order(OrderStatus.REJECTED, MARGIN), True),
        # Some exchanges take an order first, and refuse it on the stream.
        (order(OrderStatus.NEW), order(OrderStatus.REJECTED, EndReason.RATE_LIMIT), True),
        (order(OrderStatus.REJECTED, MARGIN), order(OrderStatus.REJECTED, MARGIN), False),
        (None, order(OrderStatus.REJECTED, MARGIN), False),
    ],
)
def test_it_learns_from_orders_that_were_live(
    before: Order | None, after: Order, *, pauses: bool
) -> None:
    openings = Openings()
    openings.learn({} if before is None else {before.client_oid: before}, [after], now_ns=7)
    assert openings.paused(7) is pauses
    assert openings.wakes_ns(7) == (7 + S if pauses else None)
    assert openings.wakes_ns(7 + S) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (OrderStatus.NEW, OrderStatus.NEW),
        (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED),
        (OrderStatus.NEW, OrderStatus.FILLED),
        (OrderStatus.PENDING, OrderStatus.UNKNOWN),
    ],
)
def test_what_is_no_answer_proves_nothing(before: OrderStatus, after: OrderStatus) -> None:
    openings = Openings()
    openings.pause = refused(Pause(), now_ns=0)
    known = order(before)
    openings.learn({known.client_oid: known}, [order(after)], now_ns=S)
    assert openings.pause.next_ns == 2 * S


@pytest.mark.parametrize(
    "after", [OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED]
)
def test_the_first_news_of_an_order_that_was_taken_is_the_answer(after: OrderStatus) -> None:
    openings = Openings()
    openings.pause = refused(Pause(), now_ns=0)
    known = order(OrderStatus.PENDING)
    openings.learn({known.client_oid: known}, [order(after)], now_ns=S)
    assert openings.pause.next_ns == S
