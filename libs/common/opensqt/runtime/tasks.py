"""Background tasks that cannot die unnoticed."""

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

import structlog

_log = structlog.get_logger(__name__)


class TaskEndedError(Exception):
    """A background task that should run as long as its process has returned."""


class BackgroundTasks:
    """Runs coroutines beside the serving, and reports the first one that fails.

    Used as a context manager: leaving it cancels the tasks and waits for them, so whatever they use
    must be opened before and closed after.

    Args:
        on_crash: Called once for each task that fails or ends too early, with its exception.
            `ServiceContext.fail` stops the process.
    """

    def __init__(self, *, on_crash: Callable[[BaseException], None]) -> None:
        self._on_crash = on_crash
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = False

    def start(
        self, name: str, work: Coroutine[Any, Any, Any], *, may_end: bool = False
    ) -> asyncio.Task[Any]:
        """Run a coroutine until it ends or the context is left.

        Args:
            name: What the log calls it.
            work: The coroutine.
            may_end: Whether returning is fine; otherwise it counts as a crash.
        """
        assert not self._closing, f"{name} is started while the tasks are being closed"
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, may_end=may_end))
        return task

    async def __aenter__(self) -> Self:
        """Open the context; tasks may be started before as well."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Cancel what still runs and wait until it has ended."""
        await self.close()

    async def close(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any], *, may_end: bool) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            error: BaseException | None = None
            if not self._closing and not may_end:
                error = TaskEndedError(f"{task.get_name()} was cancelled")
        else:
            error = task.exception()
            if error is None and not may_end and not self._closing:
                error = TaskEndedError(f"{task.get_name()} ended")
        if error is not None:
            _log.error("background_task_crashed", task=task.get_name(), exc_info=error)
            self._on_crash(error)
