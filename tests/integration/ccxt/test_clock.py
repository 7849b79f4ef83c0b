"""The exchange's clock: followed, so that requests expire when we mean."""

import asyncio

import pytest

from opensqt.adapters.ccxt import open_binance_usdm
from opensqt.core.orders import EndReason, OrderStatus
from opensqt.runtime.clock import SystemClock
from opensqt.runtime.metrics import Metrics
from tests.integration.ccxt.conftest import Paper
from tests.integration.ccxt.test_orders import order

pytestmark = pytest.mark.integration


class SkewedClock:
    """Ours, when it is wrong."""

    def __init__(self, skew_s: float) -> None:
        self.skew_s = skew_s

    def now_ns(self) -> int:
        return SystemClock().now_ns() + int(self.skew_s * 1e9)


@pytest.mark.invariant(55)
@pytest.mark.parametrize("skew_s", [-40.0, 40.0])
async def test_a_wrong_clock_of_ours_is_corrected(paper: Paper, skew_s: float) -> None:
    clock = SkewedClock(skew_s)
    async with open_binance_usdm(
        paper.config(), account="main", clock=clock, metrics=Metrics()
    ) as exchange:
        now_ns = clock.now_ns()
        placed = await exchange.place(order(deadline_ns=now_ns + 3 * 10**9))
        assert placed.status is OrderStatus.NEW
        late = await exchange.place(order("gb0002", deadline_ns=now_ns - 1))
        assert late.status is OrderStatus.NOT_PLACED


@pytest.mark.invariant(55)
async def test_a_clock_that_jumps_is_noticed_by_the_first_refusal(paper: Paper) -> None:
    clock = SkewedClock(0)
    async with open_binance_usdm(
        paper.config(), account="main", clock=clock, metrics=Metrics()
    ) as exchange:
        clock.skew_s = 40
        placed = await exchange.place(order(deadline_ns=clock.now_ns() + 3 * 10**9))
        # Refused for sure, so it is not in doubt.
        assert (placed.status, placed.end_reason) == (OrderStatus.REJECTED, EndReason.TIMESTAMP)
        async with asyncio.timeout(5):
            while abs(exchange._requests._offset_ms) < 39_000:
                await asyncio.sleep(0.01)
        again = await exchange.place(order("gb0002", deadline_ns=clock.now_ns() + 3 * 10**9))
        assert again.status is OrderStatus.NEW


async def test_connections_are_kept_warm(paper: Paper) -> None:
    async with paper.connect() as exchange:
        results = await asyncio.gather(*(exchange.place(order(f"gb{n}")) for n in range(4)))
        assert {result.status for result in results} == {OrderStatus.NEW}
        connector = exchange._session.connector
        assert connector is not None
        assert sum(len(kept) for kept in connector._conns.values()) == 4
