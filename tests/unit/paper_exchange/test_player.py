"""Playing a market: gaps kept, paused, stopped, and moved back rather than rushed through."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal as D
from pathlib import Path

import pytest

from opensqt.adapters.replay.source import DamagedData
from opensqt.core.exchange.market import MarketTrade
from opensqt.core.exchange.ticks import Tick
from services.paper_exchange.market.player import Player, PlayerState

MS = 1_000_000


class LoopClock:
    """The event loop's own time, plus what a test adds to it."""

    def __init__(self) -> None:
        self.extra_ns = 0

    def now_ns(self) -> int:
        return round(asyncio.get_running_loop().time() * 1e9) + self.extra_ns


class Ticks:
    """A source with a tick at each of the given times."""

    description = "ticks"

    def __init__(self, *offsets_ms: int, damaged: bool = False) -> None:
        self.offsets_ms = offsets_ms
        self.damaged = damaged

    def ticks(self) -> Iterator[Tick]:
        for offset_ms in self.offsets_ms:
            trade = MarketTrade(price=D(1), quantity=D(1), buyer_is_maker=True, time_ns=0)
            yield Tick(offset_ns=offset_ms * MS, symbol="X", happening=trade)
        if self.damaged:
            raise DamagedData(Path("x"), 3, "torn")


class Played:
    def __init__(self, source: Ticks, *, speed: float = 1) -> None:
        self.clock = LoopClock()
        self.times_ms: list[float] = []
        self.began = 0
        self.player = Player(source, self.clock, speed=speed, play=self._play)

    def _play(self, _: Tick) -> None:
        self.times_ms.append((self.clock.now_ns() - self.began) / MS)

    def start(self) -> None:
        self.began = self.clock.now_ns()
        self.player.start()


@pytest.mark.parametrize("speed", [1, 4])
async def test_gaps_are_kept_and_divided_by_the_speed(speed: float) -> None:
    played = Played(Ticks(0, 40, 40, 120), speed=speed)
    played.start()
    await played.player.run()
    expected = [0, 40 / speed, 40 / speed, 120 / speed]
    assert all(time >= due for time, due in zip(played.times_ms, expected, strict=True))
    assert played.player.progress.state is PlayerState.ENDED
    assert played.player.progress.offset_ns == 120 * MS


async def test_nothing_plays_until_it_is_started() -> None:
    played = Played(Ticks(0))
    running = asyncio.create_task(played.player.run())
    await asyncio.sleep(0.02)
    assert not played.times_ms
    assert played.player.progress.state is PlayerState.HELD
    played.start()
    await running
    assert len(played.times_ms) == 1


async def test_a_pause_moves_what_follows() -> None:
    played = Played(Ticks(0, 50, 100))
    running = asyncio.create_task(played.player.run())
    played.start()
    await asyncio.sleep(0.02)
    played.player.pause()
    await asyncio.sleep(0.1)
    assert len(played.times_ms) == 1
    played.clock.extra_ns += 60_000 * MS
    played.player.start()
    await running
    assert played.times_ms[1] >= 60_000
    assert played.player.progress.lag_ns < 30_000 * MS  # the pause is no lag


@pytest.mark.parametrize("first", ["nothing", "a pause"])
async def test_it_stops_at_once(first: str) -> None:
    played = Played(Ticks(0, 60_000))
    running = asyncio.create_task(played.player.run())
    played.start()
    await asyncio.sleep(0.02)
    if first == "a pause":
        played.player.pause()
        await asyncio.sleep(0.02)
    played.player.stop()
    async with asyncio.timeout(10):
        await running
    assert played.player.progress.state is PlayerState.STOPPED


async def test_it_can_be_stopped_before_it_was_started() -> None:
    played = Played(Ticks(0))
    played.player.stop()
    async with asyncio.timeout(10):
        await played.player.run()
    assert not played.times_ms


async def test_a_busy_machine_moves_the_market_back() -> None:
    played = Played(Ticks(0, 10, 20, 30, 40))
    running = asyncio.create_task(played.player.run())
    played.start()
    await asyncio.sleep(0.005)
    played.clock.extra_ns += 500 * MS  # the machine was away for half a second
    await running
    assert played.player.progress.lag_ns >= 400 * MS
    assert played.times_ms[-1] - played.times_ms[1] >= 25  # the gaps after it are kept


async def test_damage_ends_the_market_and_is_remembered() -> None:
    played = Played(Ticks(0, damaged=True))
    played.start()
    with pytest.raises(DamagedData):
        await played.player.run()
    assert len(played.times_ms) == 1
    assert played.player.progress.state is PlayerState.FAILED
    assert "line 3: torn" in played.player.progress.failure
