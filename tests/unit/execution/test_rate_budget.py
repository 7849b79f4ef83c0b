"""The rate budget: never more than the exchange allows, and something left for what matters."""

import asyncio
from collections import deque
from decimal import Decimal as D

import pytest

from opensqt.core.grid.results import PlacementResult
from opensqt.core.orders import EndReason, OrderStatus, Purpose
from opensqt.core.risk.openings import PAUSE_LAST_NS
from opensqt.runtime.metrics import Metrics
from opensqt.testing.virtual_time import VirtualClock
from services.execution.config import RateLimitConfig
from services.execution.rate_budget import RateBudget

REFUSED = PlacementResult(
    client_oid="a", status=OrderStatus.REJECTED, end_reason=EndReason.RATE_LIMIT
)
TAKEN = PlacementResult(client_oid="b", status=OrderStatus.NEW)


class Held:
    until_ns = 0


def budget(limits: RateLimitConfig, held: Held | None = None) -> RateBudget:
    held = held or Held()
    return RateBudget(
        limits, clock=VirtualClock(), held_until_ns=lambda: held.until_ns, metrics=Metrics()
    )


def most_in_any_window(times_s: list[float], window_s: float) -> int:
    most, window = 0, deque[float]()
    for time_s in times_s:
        window.append(time_s)
        while window[0] <= time_s - window_s:
            window.popleft()
        most = max(most, len(window))
    return most


@pytest.mark.parametrize("kind", ["take_opening", "take_closing", "take_cancel"])
@pytest.mark.parametrize("pause_s", [0.02, 0.3, 1.7])
async def test_no_window_sees_more_than_the_limit(kind: str, pause_s: float) -> None:
    limits = RateLimitConfig(orders_per_10s=60, orders_per_minute=200, weight_per_minute=400)
    spent = budget(limits)
    loop, times_s = asyncio.get_running_loop(), []
    while loop.time() < 130:
        while await getattr(spent, kind)():
            times_s.append(loop.time())
        await asyncio.sleep(pause_s)
    share = 1 - float(limits.reserve_share) if kind == "take_opening" else 1
    if kind != "take_cancel":
        assert most_in_any_window(times_s, 10) <= 60 * share
        assert most_in_any_window(times_s, 60) <= 200 * share
    assert most_in_any_window(times_s, 60) <= 400
    # Most of what is allowed can be used.
    assert len(times_s) >= 0.6 * 200 / 60 * 130 * share


@pytest.mark.invariant(54)
async def test_openings_leave_a_reserve_for_exits_and_cancels() -> None:
    spent = budget(RateLimitConfig(orders_per_10s=100, orders_per_minute=1000))
    openings = 0
    while await spent.take_opening():
        openings += 1
    closings = 0
    while await spent.take_closing():
        closings += 1
    assert (openings, closings) == (16, 4)
    assert await spent.take_cancel()


async def test_no_reserve_is_allowed() -> None:
    spent = budget(RateLimitConfig(orders_per_10s=100, reserve_share=D(0)))
    openings = 0
    while await spent.take_opening():
        openings += 1
    assert openings == 20
    assert not await spent.take_closing()


async def test_questions_wait_for_their_turn() -> None:
    spent = budget(RateLimitConfig(weight_per_minute=60))
    loop = asyncio.get_running_loop()
    for _ in range(60):
        await spent.question()
    assert 75 < loop.time() < 80  # at the openings' 80%
    assert await spent.take_cancel()  # from the reserve


async def test_pauses_double_up_to_a_bound_and_end_with_the_first_success() -> None:
    spent = budget(RateLimitConfig())
    pauses_s = []
    for _ in range(10):
        spent.answered(Purpose.OPEN, REFUSED)
        pauses_s.append(spent.openings_pause_s)
        assert not await spent.take_opening()
        assert await spent.take_cancel()
        await asyncio.sleep(spent.openings_pause_s)
    assert pauses_s[:4] == [1, 2, 4, 8]
    assert pauses_s[-1] == PAUSE_LAST_NS / 1e9
    spent.answered(Purpose.OPEN, TAKEN)
    spent.answered(Purpose.OPEN, REFUSED)
    assert spent.openings_pause_s == 1


async def test_an_answer_that_was_under_way_does_not_end_a_pause() -> None:
    spent = budget(RateLimitConfig())
    spent.answered(Purpose.OPEN, REFUSED)
    spent.answered(Purpose.OPEN, TAKEN)
    await asyncio.sleep(1)
    spent.answered(Purpose.OPEN, REFUSED)
    assert spent.openings_pause_s == 2


async def test_requests_that_are_refused_together_are_one_refusal() -> None:
    spent = budget(RateLimitConfig())
    for _ in range(8):
        spent.answered(Purpose.OPEN, REFUSED)
    assert spent.openings_pause_s == 1
    await asyncio.sleep(1)
    for _ in range(8):
        spent.answered(Purpose.OPEN, REFUSED)
        await asyncio.sleep(0.01)
    assert 1.9 < spent.openings_pause_s <= 2


async def test_silence_holds_everything() -> None:
    held = Held()
    spent = budget(RateLimitConfig(), held)
    held.until_ns = VirtualClock().now_ns() + 60 * 10**9
    assert not await spent.take_cancel()
    assert not await spent.take_closing()
    assert spent.openings_pause_s == 60
    await spent.question()
    assert asyncio.get_running_loop().time() >= 60
    assert await spent.take_opening()
