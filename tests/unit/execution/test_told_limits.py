"""The exchange's own counts: others trade on the account, and a new process remembers nothing."""

import asyncio

import pytest

from opensqt.ports import LimitUse
from opensqt.runtime.metrics import Metrics
from opensqt.testing.virtual_time import VirtualClock
from services.execution.config import RateLimitConfig
from services.execution.rate_budget import RateBudget

LIMITS = RateLimitConfig(orders_per_10s=100, orders_per_minute=1000, weight_per_minute=1000)


class Told:
    """A budget, and what the exchange says."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.used: dict[str, LimitUse] = {}
        self.budget = RateBudget(
            LIMITS,
            clock=self.clock,
            held_until_ns=lambda: 0,
            metrics=Metrics(),
            used=lambda: self.used,
        )

    def say(self, limit: str, count: int) -> None:
        self.used[limit] = LimitUse(count=count, told_ns=self.clock.now_ns())


@pytest.mark.parametrize("limit", ["ORDER-COUNT-10S", "ORDER-COUNT-1M", "USED-WEIGHT-1M"])
@pytest.mark.invariant(54)
async def test_what_others_used_is_not_there_for_us(limit: str) -> None:
    told = Told()
    full = 100 if limit == "ORDER-COUNT-10S" else 1000
    told.say(limit, int(full * 0.8))
    assert not await told.budget.take_opening()
    assert await told.budget.take_closing()
    assert await told.budget.take_cancel()
    told.say(limit, full)
    assert not await told.budget.take_closing()
    assert await told.budget.take_cancel() is (limit != "USED-WEIGHT-1M")


async def test_what_we_sent_since_counts_on_top() -> None:
    told = Told()
    told.say("ORDER-COUNT-10S", 75)
    await asyncio.sleep(0.01)
    taken = 0
    while await told.budget.take_opening():
        taken += 1
    assert taken == 5
    await asyncio.sleep(0.01)
    told.say("ORDER-COUNT-10S", 78)  # two of the five have ended up in another window
    assert await told.budget.take_opening()


async def test_an_old_count_says_nothing() -> None:
    told = Told()
    told.say("ORDER-COUNT-10S", 100)
    await asyncio.sleep(9.9)
    assert not await told.budget.take_closing()
    await asyncio.sleep(0.2)
    assert await told.budget.take_opening()


async def test_questions_wait_until_there_is_room() -> None:
    told = Told()
    told.say("USED-WEIGHT-1M", 900)
    await told.budget.question()
    assert 59 < asyncio.get_running_loop().time() < 62


async def test_limits_that_are_not_ours_are_ignored() -> None:
    told = Told()
    told.say("SAPI-USED-IP-WEIGHT-1M", 10**9)
    told.say("ORDER-COUNT-1D", 10**9)
    assert await told.budget.take_opening()
