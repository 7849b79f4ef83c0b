"""The parts of the system as supervised processes: started, killed, started again."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from opensqt.runtime.crash_points import CrashPoint
from simulation.calls import Server
from simulation.loop import PROCESS, Process, ProcessDiedError, SimulationLoop
from simulation.plan import Part
from simulation.trace import Trace

BOOT_S_MAX: Final = 0.3
"""A process takes up to this until it does anything."""
CRASH_PAUSE_S: Final = 1.0
"""A process that ended by itself is started again after this."""
STEPS_MAX: Final = 60
"""A process that is killed "now" dies within so many of its steps."""
DIES_WITHIN_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A part's application, made in a process."""

    target: Any
    """What can be called."""
    run: Callable[[asyncio.Event], Awaitable[None]]
    """Runs until the event is set, which never happens."""
    prepare: Callable[[], Awaitable[None]] | None = None
    """What comes before it can be called."""


Build = Callable[[Process], Application]


class Supervised:
    """One part.

    Args:
        part: Which.
        loop: Runs its processes.
        build: Makes its application.
        chance: Decides how long a start takes, and at which step it dies.
        trace: Where its life is noted.
    """

    def __init__(
        self,
        part: Part,
        *,
        loop: SimulationLoop,
        build: Build,
        chance: random.Random,
        trace: Trace,
    ) -> None:
        self.part = part
        self.server = Server(part)
        self.clock_offset_ns = 0
        self.wanted = True
        """Whether it shall run."""
        self._loop = loop
        self._build = build
        self._chance = chance
        self._trace = trace
        self._process: Process | None = None
        self._second: Process | None = None
        self._starts = 0
        self._points: list[tuple[CrashPoint, float]] = []

    @property
    def running(self) -> bool:
        """Whether it lives, and has begun."""
        return self.server.reachable

    def start(self) -> None:
        """Start it, if it does not run."""
        if self._process is None or not self._process.alive:
            self._process = self._new()

    def start_second(self) -> None:
        """Start another process of this part beside the first."""
        if self._second is None or not self._second.alive:
            self._note("a second process starts")
            self._second = self._new(serves=False)

    def kill_second(self) -> None:
        """End the other process."""
        if self._second is not None:
            self._second.kill()

    def kill(self, *, down_s: float) -> None:
        """Let it die within its next steps, and start it again."""
        process = self._process
        if process is None or not process.alive:
            return
        process.dies_in = self._chance.randrange(1, STEPS_MAX)
        self._loop.world.later(DIES_WITHIN_S * self._chance.random(), process.kill)
        process.on_death(lambda: self._died("killed", down_s))

    def kill_at(self, point: CrashPoint, *, down_s: float) -> None:
        """Let it die when it next reaches a point."""
        self._points.append((point, down_s))

    def forget_points(self) -> None:
        """Let it pass all points."""
        self._points.clear()

    def reached(self, process: Process, point: CrashPoint) -> None:
        """A process of this part is at a point.

        Raises:
            ProcessDiedError: It dies there.
        """
        for armed in self._points:
            if armed[0] is point and process is self._process and process.alive:
                self._points.remove(armed)
                self._died(f"killed at {point}", armed[1])
                process.kill()
                raise ProcessDiedError(process.name)

    def owns(self, process: Process) -> bool:
        """Whether a process is one of this part."""
        return process is self._process or process is self._second

    def stall(self) -> None:
        """Let it do nothing."""
        if self._process is not None and self._process.alive:
            self._note("stalls")
            self._process.stall()

    def wake(self) -> None:
        """Let it go on."""
        if self._process is not None and self._process.stalled:
            self._note("goes on")
            self._process.wake()

    def skew(self, offset_ns: int) -> None:
        """Set its clock."""
        self.clock_offset_ns = offset_ns
        if self._process is not None:
            self._process.clock_offset_ns = offset_ns

    def shut(self) -> None:
        """End it for good: the run is over."""
        self.wanted = False
        for process in (self._process, self._second):
            if process is not None:
                process.kill()

    # --- inside ----------------------------------------------------------------------------------

    def _new(self, *, serves: bool = True) -> Process:
        self._starts += 1
        process = Process(self._loop, f"{self.part} {self._starts}")
        process.clock_offset_ns = self.clock_offset_ns
        process.later(BOOT_S_MAX * self._chance.random(), self._boot, process, serves)
        return process

    def _boot(self, process: Process, serves: bool) -> None:  # noqa: FBT001 - a callback's argument
        self._note("starts")
        task = process.spawn(self._live(process, serves=serves))
        task.add_done_callback(lambda done: self._ended(process, done), context=process.context)

    async def _live(self, process: Process, *, serves: bool) -> None:
        app = self._build(process)
        if app.prepare is not None:
            await app.prepare()
        if serves:
            self.server.process, self.server.target = process, app.target
        await app.run(asyncio.Event())

    def _ended(self, process: Process, task: asyncio.Task[None]) -> None:
        """It ended by itself: nobody ever asks it to."""
        error = None if task.cancelled() else task.exception()
        if process.alive:
            self._died(f"crashed: {_root(error)!r}", CRASH_PAUSE_S)
            process.kill()

    def _died(self, how: str, down_s: float) -> None:
        self._note(how)
        self._loop.world.later(down_s, self._restart)

    def _restart(self) -> None:
        if self.wanted:
            self.start()

    def _note(self, what: str) -> None:
        self._trace.note(self._loop.now_ns, self.part, what)


def _root(error: BaseException | None) -> BaseException | None:
    """What is at the bottom of nested groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def reach(parts: dict[Part, Supervised], point: CrashPoint) -> None:
    """Some process is at a crash point; called through `crash_points.arm`.

    Raises:
        ProcessDiedError: It dies there.
    """
    process = PROCESS.get(None)
    if process is None:
        return
    for part in parts.values():
        if part.owns(process):
            part.reached(process, point)
            return
