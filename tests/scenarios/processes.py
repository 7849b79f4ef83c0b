"""Parts of the system as processes that can be killed, all on one event loop."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any, Final
from weakref import WeakSet

from opensqt.runtime.crash_points import CrashPoint, arm

_part: ContextVar[str] = ContextVar("part", default="")

OWNERS: Final = {
    "placing": "execution",
    "canceling": "execution",
    "settling": "execution",
    "applying": "state",
    "publishing": "state",
    "telling": "market_data",
    "deciding": "strategy",
}
"""Who dies at a crash point, by the first word of its name."""


class Processes:
    """Knows which task belongs to which part, so that a part can die as a whole."""

    def __init__(self) -> None:
        self._tasks: defaultdict[str, WeakSet[asyncio.Task[Any]]] = defaultdict(WeakSet)
        asyncio.get_running_loop().set_task_factory(self._make)

    def begin(self, part: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something as a part; what it begins belongs to the part as well."""
        context = copy_context()
        context.run(_part.set, part)
        return asyncio.get_running_loop().create_task(work, context=context)

    async def kill(self, part: str) -> None:
        """End a part at once, as kill -9 does."""
        for _ in range(10):  # what ends may begin something for a last time
            doomed = self._cut(part)
            if not doomed:
                return
            await asyncio.gather(*doomed, return_exceptions=True)
        raise AssertionError(f"{part} cannot be killed")

    def die_at(self, point: CrashPoint) -> asyncio.Event:
        """Let the part that next comes to `point` die there; the event says that it did."""
        part = OWNERS[point.partition(".")[0]]
        reached = asyncio.Event()

        def die(passed: CrashPoint) -> None:
            if passed is point and _part.get() == part:
                arm(None)
                reached.set()
                self._cut(part)
                raise asyncio.CancelledError

        arm(die)
        return reached

    def disarm(self) -> None:
        """Nobody dies at a crash point any more."""
        arm(None)

    def close(self) -> None:
        self.disarm()
        asyncio.get_running_loop().set_task_factory(None)

    def _cut(self, part: str) -> list[asyncio.Task[Any]]:
        doomed = [task for task in self._tasks[part] if not task.done()]
        for task in doomed:
            task.cancel()
        return doomed

    def _make(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Coroutine[Any, Any, Any],
        *,
        context: Any = None,
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(work, loop=loop, context=context)
        part = _part.get() if context is None else context.get(_part, "")
        if part:
            self._tasks[part].add(task)
        return task


class Line:
    """The way to another part: whoever calls it over this line, calls in the other's process.

    Args:
        processes: Runs the calls.
        part: Who is called.
        callee: What it answers with; None while it is down.
        down: Raised when it is down, or dies before it answers.
    """

    def __init__(
        self, processes: Processes, part: str, callee: Callable[[], Any], down: type[Exception]
    ) -> None:
        self._processes = processes
        self._part = part
        self._callee = callee
        self._down = down
        self.lose_answers_of: set[str] = set()
        """Calls of which the next takes effect, and its answer is lost."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name == "watch":
            return self._watch

        async def call(*arguments: Any, **options: Any) -> Any:
            answer = await self._run(getattr(self._up(), name)(*arguments, **options))
            if name in self.lose_answers_of:
                self.lose_answers_of.discard(name)
                raise self._down(f"the answer to {name} was lost")
            return answer

        return call

    async def _watch(self, *arguments: Any, **options: Any) -> Any:
        callee = self._up()
        events = callee.watch(*arguments, **options)
        try:
            while True:
                event = await self._run(anext(events))
                if self._callee() is not callee:
                    raise self._down(f"{self._part} died")
                yield event
        finally:
            await events.aclose()

    def _up(self) -> Any:
        callee = self._callee()
        if callee is None:
            raise self._down(f"{self._part} is down")
        return callee

    async def _run(self, work: Any) -> Any:
        async def run() -> Any:
            return await work

        task = self._processes.begin(self._part, run())
        await asyncio.wait((task,))
        if task.cancelled():
            raise self._down(f"{self._part} died")
        return task.result()
