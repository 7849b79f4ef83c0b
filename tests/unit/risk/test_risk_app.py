"""The risk service around its gate: beats, what is announced at once, and restarts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from opensqt.core.events import Gate, GateBeat
from opensqt.core.risk.gate import BEAT_AGE_MAX_NS, GateView
from opensqt.ports import GATE, DependencyError
from opensqt.runtime.clock import SystemClock
from opensqt.runtime.metrics import Metrics
from opensqt.testing.memory_bus import MemoryBus
from opensqt.testing.memory_gate_store import MemoryGateStore
from services.risk import app as app_module
from services.risk.app import RiskApp

ACCOUNT = "paper"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "BEAT_INTERVAL_S", 0.02)
    monkeypatch.setattr(app_module, "RETRY_S", 0.02)
    monkeypatch.setattr(app_module, "LISTEN_FIRST_S", 0.01)


@asynccontextmanager
async def running(bus: MemoryBus, store: MemoryGateStore) -> AsyncIterator[RiskApp]:
    app = RiskApp(account=ACCOUNT, store=store, bus=bus, clock=SystemClock(), metrics=Metrics())
    stop = asyncio.Event()
    task = asyncio.create_task(app.run(stop))
    try:
        yield app
    finally:
        stop.set()
        await task


async def beat_when(bus: MemoryBus, *, open_: bool) -> GateBeat:
    async with asyncio.timeout(2):
        while True:
            beats = bus.of(GATE)
            if beats and beats[-1].gate.open is open_:
                return beats[-1]
            await asyncio.sleep(0.005)


async def test_it_beats_and_the_beats_open_the_gate_for_others() -> None:
    bus, clock = MemoryBus(), SystemClock()
    async with running(bus, MemoryGateStore()):
        await beat_when(bus, open_=True)
        await asyncio.sleep(0.1)
    beats = bus.of(GATE)
    assert len(beats) >= 3
    view = GateView().after(beats[-1])
    assert view.closed_because(clock.now_ns()) == ""
    assert view.closed_because(clock.now_ns() + BEAT_AGE_MAX_NS) != ""


async def test_without_its_store_it_does_not_beat() -> None:
    bus, store = MemoryBus(), MemoryGateStore()
    store.answers = False
    async with running(bus, store) as app:
        await asyncio.sleep(0.06)
        assert bus.of(GATE) == []
        with pytest.raises(DependencyError):
            app.gate()
        store.answers = True
        await beat_when(bus, open_=True)
        assert app.gate().open


async def test_a_trip_is_announced_at_once_and_a_reset_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bus = MemoryBus()
    async with running(bus, MemoryGateStore()) as app:
        await beat_when(bus, open_=True)
        monkeypatch.setattr(app_module, "BEAT_INTERVAL_S", 60)
        await asyncio.sleep(0.05)
        closed = await app.trip(request_id="t", reason="news", by="cli")
        assert (await beat_when(bus, open_=False)).gate == closed
        opened = await app.reset(request_id="r", expected_revision=closed.revision, by="cli")
        assert (await beat_when(bus, open_=True)).gate == opened


async def test_a_trip_while_the_store_is_down_is_announced_and_stored_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app_module, "SAVE_WAIT_S", 0.05)
    bus, store = MemoryBus(), MemoryGateStore()
    async with running(bus, store) as app:
        await beat_when(bus, open_=True)
        store.answers = False
        closed = await app.trip(request_id="t", reason="news", by="cli")
        await beat_when(bus, open_=False)
        with pytest.raises(DependencyError):
            await app.reset(request_id="r", expected_revision=closed.revision, by="cli")
        store.answers = True
        async with asyncio.timeout(2):
            while store.changes[ACCOUNT][-1].gate != closed:
                await asyncio.sleep(0.005)


async def test_a_tripped_gate_stays_tripped_across_a_restart() -> None:
    bus, store = MemoryBus(), MemoryGateStore()
    async with running(bus, store) as app:
        await beat_when(bus, open_=True)
        closed = await app.trip(request_id="t", reason="news", by="cli")
    bus = MemoryBus()
    async with running(bus, store) as app:
        await beat_when(bus, open_=False)
        assert app.gate() == closed
    assert all(not beat.gate.open for beat in bus.of(GATE))


async def test_after_a_crash_no_beat_opens_what_was_announced_as_closed() -> None:
    bus, store = MemoryBus(), MemoryGateStore()
    gate = Gate(revision=2, open=False, reason="news", changed_by="cli", changed_time_ns=1)
    async with running(bus, store):
        await beat_when(bus, open_=True)
    await bus.publish(GATE, ACCOUNT, GateBeat(gate=gate, beat_time_ns=1))  # not stored, and gone
    bus.published.clear()
    async with running(bus, store) as app:
        await beat_when(bus, open_=False)
        assert app.gate() == gate
    assert all(not beat.gate.open for beat in bus.of(GATE))
    assert store.changes[ACCOUNT][-1].gate == gate


async def test_a_bus_that_fails_does_not_stop_the_beats() -> None:
    class Failing(MemoryBus):
        failures = 3

        async def publish(self, *args: object, **options: object) -> None:
            if self.failures:
                self.failures -= 1
                raise DependencyError("down")
            await super().publish(*args, **options)  # type: ignore[arg-type]

    bus = Failing()
    async with running(bus, MemoryGateStore()):
        await beat_when(bus, open_=True)
