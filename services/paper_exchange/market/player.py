"""Playing a market: every tick at its time, faster or slower than it happened, held or paused.

The player keeps to the recorded gaps divided by the speed. When the machine cannot keep up, the
market is moved back rather than rushed through: late ticks would otherwise come in a burst with
times of the past.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from opensqt.adapters.replay.source import MarketSource
from opensqt.core.exchange.ticks import Tick
from opensqt.ports import Clock

LAG_MAX_NS: Final = 100_000_000
BURST_MAX: Final = 200
"""Ticks played before others get the processor."""


class PlayerState(StrEnum):
    """How far the market is."""

    HELD = "held"
    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the player has done so far."""

    state: PlayerState
    ticks: int
    offset_ns: int
    """Market time that has passed since the first tick."""
    lag_ns: int
    """By how much the market was moved back in all, because the machine was busy."""
    failure: str


class Player:
    """Plays a source once.

    Args:
        source: The market.
        clock: The wall clock that the gaps are kept by.
        speed: Market time per wall time.
        play: Takes every tick as it happens.
    """

    def __init__(
        self, source: MarketSource, clock: Clock, *, speed: float, play: Callable[[Tick], None]
    ) -> None:
        self._source = source
        self._clock = clock
        self._speed = speed
        self._play = play
        self._state = PlayerState.HELD
        self._changed = asyncio.Event()
        self._ticks = self._offset_ns = self._lag_ns = 0
        self._failure = ""

    @property
    def progress(self) -> Progress:
        """What was played so far."""
        return Progress(
            state=self._state,
            ticks=self._ticks,
            offset_ns=self._offset_ns,
            lag_ns=self._lag_ns,
            failure=self._failure,
        )

    def start(self) -> None:
        """Begin, or go on after a pause."""
        if self._state in (PlayerState.HELD, PlayerState.PAUSED):
            self._turn(PlayerState.RUNNING)

    def pause(self) -> None:
        """Hold the market until `start`."""
        if self._state is PlayerState.RUNNING:
            self._turn(PlayerState.PAUSED)

    def stop(self) -> None:
        """End the market here."""
        if self._state not in (PlayerState.ENDED, PlayerState.FAILED):
            self._turn(PlayerState.STOPPED)

    async def run(self) -> None:
        """Play until the source ends, `stop` is called or the data turns out damaged.

        Raises:
            DamagedData: Some of the source cannot be read; what came before was played.
        """
        await self._while_held()
        began_ns = self._clock.now_ns()
        burst = 0
        try:
            for tick in self._source.ticks():
                due_ns = began_ns + round(tick.offset_ns / self._speed)
                now_ns = self._clock.now_ns()
                while self._state is not PlayerState.RUNNING or due_ns > now_ns:
                    if self._state is PlayerState.STOPPED:
                        return
                    if self._state is PlayerState.PAUSED:
                        await self._while_held()
                        paused_ns = self._clock.now_ns() - now_ns
                        began_ns, due_ns = began_ns + paused_ns, due_ns + paused_ns
                    else:
                        await self._sleep((due_ns - now_ns) / 1e9)
                    burst, now_ns = 0, self._clock.now_ns()
                late_ns = now_ns - due_ns
                if late_ns > LAG_MAX_NS:
                    began_ns += late_ns
                    self._lag_ns += late_ns
                burst += 1
                if burst > BURST_MAX:
                    burst = 0
                    await asyncio.sleep(0)
                self._ticks += 1
                self._offset_ns = tick.offset_ns
                self._play(tick)
            self._turn(PlayerState.ENDED)
        except Exception as error:
            self._failure = str(error) or type(error).__name__
            self._turn(PlayerState.FAILED)
            raise

    def _turn(self, state: PlayerState) -> None:
        self._state = state
        self._changed.set()

    async def _while_held(self) -> None:
        while self._state in (PlayerState.HELD, PlayerState.PAUSED):
            self._changed.clear()
            await self._changed.wait()

    async def _sleep(self, seconds: float) -> None:
        """Sleep, or less if the state changes meanwhile."""
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass
