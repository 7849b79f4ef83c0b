"""The event loop of a simulation: virtual time, and processes that can die or stall at any step.

Every step (a callback of asyncio: one turn of a task, a timer, a future's callback) belongs to the
process in whose context it was asked for. Within a process steps run in their order, as asyncio
promises; between processes that have something to do at the same time, chance decides.

A killed process takes no step any more. Its tasks are not cancelled and no ``finally`` of theirs
runs: whoever runs the simulation must keep them from being collected (see `quiet`).
"""

import asyncio
import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final, TypeVar

from opensqt.testing.virtual_time import START_NS, NothingScheduledError, VirtualTimeLoop

T = TypeVar("T")

DIES_SOON_S: Final = 0.1
"""A process that has nothing to do dies after this, however few steps it has taken."""


class ProcessDiedError(BaseException):
    """The step that is running ends here: its process is dead."""


class Step:
    """A callback that waits for its turn; what asyncio calls a handle."""

    __slots__ = ("_when", "args", "callback", "context", "process")

    def __init__(
        self,
        callback: Callable[..., object] | None,
        args: tuple[Any, ...],
        context: Context,
        process: "Process",
        when: float = 0.0,
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.process = process
        self._when = when

    def cancel(self) -> None:
        """Leave it out."""
        self.callback = None
        self.args = ()

    def cancelled(self) -> bool:
        """Whether it is left out."""
        return self.callback is None

    def when(self) -> float:
        """The loop's time at which it is due."""
        return self._when


class Process:
    """Steps that live and die together, with a clock of their own.

    Args:
        loop: Runs the steps.
        name: For stories.
    """

    __slots__ = (
        "_loop",
        "_on_death",
        "alive",
        "clock_offset_ns",
        "context",
        "dies_in",
        "kept",
        "name",
        "ready",
        "runnable",
        "stalled",
    )

    def __init__(self, loop: "SimulationLoop", name: str) -> None:
        self._loop = loop
        self.name = name
        self.alive = True
        self.stalled = False
        self.runnable = False
        self.dies_in = 0
        """So many steps from now it dies; 0: it does not."""
        self.clock_offset_ns = 0
        self.ready: deque[Step] = deque()
        self.kept: list[Any] = []
        """What must not be collected before the run is over."""
        self._on_death: list[Callable[[], None]] = []
        self.context = Context()
        self.context.run(PROCESS.set, self)

    def now_ns(self) -> int:
        """Nanoseconds since 1970 by this process's clock."""
        return START_NS + round(self._loop.now_s * 1e9) + self.clock_offset_ns

    def check(self) -> None:
        """Let nothing that a dead process does have an effect.

        Raises:
            ProcessDiedError: It is dead.
        """
        if not self.alive:
            raise ProcessDiedError(self.name)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine as a part of this process."""
        return self._loop.create_task(work, context=self.context.copy())

    def soon(self, callback: Callable[..., object], *args: Any) -> Step:
        """Call something in this process, as soon as it has its turn."""
        return self._loop.call_soon(callback, *args, context=self.context)

    def later(self, delay_s: float, callback: Callable[..., object], *args: Any) -> Step:
        """Call something in this process after a while."""
        return self._loop.call_later(delay_s, callback, *args, context=self.context)

    def put(self, step: Step) -> None:
        """Take a step as soon as it is this process's turn."""
        if not self.alive:
            self.kept.append(step)
            return
        self.ready.append(step)
        if not self.runnable and not self.stalled:
            self.runnable = True
            self._loop.runnable.append(self)

    def stall(self) -> None:
        """Take no step until `wake`, as a process that is not scheduled."""
        self.stalled = True
        self._rest()

    def wake(self) -> None:
        """Go on."""
        self.stalled = False
        if self.alive and self.ready and not self.runnable:
            self.runnable = True
            self._loop.runnable.append(self)

    def kill(self) -> None:
        """Take no step any more; what others notice of it they notice at once."""
        if not self.alive:
            return
        self.alive = False
        self._rest()
        self.kept += self.ready
        self.ready.clear()
        noticing, self._on_death = self._on_death, []
        for callback in noticing:
            callback()

    def on_death(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have something called when it dies; the result takes that back."""
        self._on_death.append(callback)

        def forget() -> None:
            if callback in self._on_death:
                self._on_death.remove(callback)

        return forget

    def _rest(self) -> None:
        if self.runnable:
            self.runnable = False
            self._loop.runnable.remove(self)


PROCESS: ContextVar[Process] = ContextVar("process")
"""The process to which a step belongs."""


class SimulationLoop(VirtualTimeLoop):
    """The loop.

    Args:
        chance: Decides between processes.
    """

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._random = chance.random
        self._timers: list[tuple[float, int, Step]] = []
        self._numbers = itertools.count()
        self._tasks: list[asyncio.Task[Any]] = []
        self.now_s = 0.0
        self.steps = 0
        self.runnable: list[Process] = []
        self.world = Process(self, "world")
        """What is not a part of the system under test: networks, servers, the market."""
        self.on_problem: Callable[[Process, BaseException], None] | None = None
        """Called for a callback that raises."""

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self.now_s

    @property
    def now_ns(self) -> int:
        """Nanoseconds since the loop was made."""
        return round(self.now_s * 1e9)

    # --- what asyncio calls ----------------------------------------------------------------------

    def call_soon(  # type: ignore[override]  # a Step serves where a Handle would
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Step:
        """Take a step as soon as it is its process's turn."""
        if context is None:
            context = copy_context()
        process = context.get(PROCESS, self.world)
        step = Step(callback, args, context, process)
        process.put(step)
        return step

    call_soon_threadsafe = call_soon  # type: ignore[assignment]  # there are no threads

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Step:
        """Take a step at a time."""
        if context is None:
            context = copy_context()
        step = Step(callback, args, context, context.get(PROCESS, self.world), when)
        heapq.heappush(self._timers, (when, next(self._numbers), step))
        return step

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Step:
        """Take a step after a while."""
        return self.call_at(self.now_s + delay, callback, *args, context=context)

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        """Begin a task; it is kept until the loop is closed."""
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Say nothing: what is left of the dead when the run is over is nobody's concern."""

    def close(self) -> None:
        """Close the loop; what the dead have left may be collected."""
        super().close()
        for task in self._tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - no other way
        self._tasks.clear()
        self._timers.clear()

    # --- running ---------------------------------------------------------------------------------

    def _run_once(self) -> None:
        """Take steps until told to stop."""
        runnable = self.runnable
        while not self._stopping:  # type: ignore[attr-defined]  # asyncio's own flag
            count = len(runnable)
            if count == 1:
                process = runnable[0]
            elif count:
                process = runnable[int(self._random() * count)]
            else:
                self._jump()
                continue
            step = process.ready.popleft()
            if not process.ready:
                process.runnable = False
                runnable.remove(process)
            if step.callback is None:
                continue
            self.steps += 1
            try:
                step.context.run(step.callback, *step.args)
            except ProcessDiedError:
                pass
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                if self.on_problem is not None and process.alive:
                    self.on_problem(process, error)
            if process.dies_in:
                process.dies_in -= 1
                if not process.dies_in:
                    process.kill()

    def _jump(self) -> None:
        """Move the time on to the next timers, and make them ready."""
        timers = self._timers
        while timers and timers[0][2].callback is None:
            heapq.heappop(timers)
        if not timers:
            raise NothingScheduledError("every task waits, and there is no timer")
        self.now_s = max(self.now_s, timers[0][0])
        while timers and timers[0][0] <= self.now_s:
            step = heapq.heappop(timers)[2]
            if step.callback is not None:
                step.process.put(step)
