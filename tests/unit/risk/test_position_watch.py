"""Positions that differ from the ledger close the gate: once for each difference."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal as D

import pytest

from opensqt.core.events import Gate, PositionCheck
from opensqt.ports import POSITION_CHECKS
from opensqt.runtime.clock import SystemClock
from opensqt.runtime.metrics import Metrics
from opensqt.testing.memory_bus import MemoryBus
from opensqt.testing.memory_gate_store import MemoryGateStore
from services.risk import app as app_module
from services.risk.app import RiskApp
from services.risk.position_watch import PositionWatch, request_id

ACCOUNT = "paper"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "LISTEN_FIRST_S", 0.01)


def check(
    difference: str,
    *,
    diverging: bool = True,
    time_ns: int = 1,
    symbol: str = "BTCUSDT",
    account: str = ACCOUNT,
) -> PositionCheck:
    return PositionCheck(
        account=account,
        symbol=symbol,
        exchange_quantity=D("0.1") + D(difference),
        ledger_quantity=D("0.1"),
        bound=D("0.01"),
        diverging=diverging,
        check_time_ns=time_ns,
    )


class Risk:
    """The service around its gate, and what it is told."""

    def __init__(self) -> None:
        self.bus = MemoryBus()
        self.store = MemoryGateStore()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[RiskApp]:
        app = RiskApp(
            account=ACCOUNT,
            store=self.store,
            bus=self.bus,
            clock=SystemClock(),
            metrics=Metrics(),
        )
        stop = asyncio.Event()
        task = asyncio.create_task(app.run(stop))
        await asyncio.sleep(0.02)
        try:
            yield app
        finally:
            stop.set()
            await task

    async def tell(self, app: RiskApp, told: PositionCheck) -> Gate:
        await self.bus.publish(POSITION_CHECKS, f"{told.account}:{told.symbol}", told)
        await asyncio.sleep(0.02)
        return app.gate()

    async def reset(self, app: RiskApp, name: str) -> None:
        await app.reset(request_id=name, expected_revision=app.gate().revision, by="cli")


async def test_a_divergence_closes_the_gate_and_says_both_quantities() -> None:
    risk = Risk()
    async with risk.running() as app:
        assert (await risk.tell(app, check("0.5", diverging=False))).open
        gate = await risk.tell(app, check("0.5"))
        assert not gate.open
        assert gate.reason == (
            "BTCUSDT: the exchange holds 0.6, the ledger 0.1; at most 0.01 may differ"
        )
    assert risk.store.changes[ACCOUNT][-1].gate == gate


async def test_what_a_person_has_seen_does_not_close_it_again() -> None:
    risk = Risk()
    async with risk.running() as app:
        await risk.tell(app, check("0.5"))
        await risk.reset(app, "seen")
        assert (await risk.tell(app, check("0.5", time_ns=2))).open
        # A fill on its way makes the difference another one for a moment.
        assert (await risk.tell(app, check("0.6", diverging=False, time_ns=3))).open
        assert (await risk.tell(app, check("0.5", time_ns=4))).open
        assert not (await risk.tell(app, check("0.6", time_ns=5))).open


async def test_a_difference_that_has_gone_and_comes_back_closes_it_again() -> None:
    risk = Risk()
    async with risk.running() as app:
        await risk.tell(app, check("0.5"))
        await risk.reset(app, "seen")
        assert (await risk.tell(app, check("0.01", diverging=False, time_ns=2))).open
        assert not (await risk.tell(app, check("0.5", time_ns=3))).open


async def test_a_restart_forgets_neither_the_divergence_nor_that_it_was_seen() -> None:
    risk = Risk()
    async with risk.running() as app:
        await risk.tell(app, check("0.5"))
    async with risk.running() as app:  # the bus has kept the last check
        assert not app.gate().open
        assert app.gate().revision == 2
        await risk.reset(app, "seen")
    async with risk.running() as app:
        assert app.gate().open
        assert not (await risk.tell(app, check("-0.5", time_ns=2))).open


async def test_every_market_counts_by_itself_and_other_accounts_not_at_all() -> None:
    risk = Risk()
    async with risk.running() as app:
        assert (await risk.tell(app, check("0.5", account="other"))).open
        await risk.tell(app, check("0.5"))
        await risk.reset(app, "seen")
        assert not (await risk.tell(app, check("0.5", symbol="ETHUSDT"))).open


def test_requests_of_people_are_not_mistaken() -> None:
    watch = PositionWatch()
    watch.recall(["position-check:x", "position-check:BTCUSDT:much:1", "abc", "a:b:c:d", ""])
    assert watch.is_news(check("0.5"))
    watch.recall([request_id(check("0.5"))])
    assert not watch.is_news(check("0.5"))
