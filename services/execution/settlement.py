"""Settlement: seeing the orders of a batch to their proven results, for as long as that takes.

The port, and the implementation that lives and dies with its process: for the simulation and for
tests. `durable` keeps the same promise across crashes. Either way the work is done in rounds: a
round asks about what is in doubt and says when the next one is worth it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final, Protocol, Self

import structlog

ROUNDS_MAX: Final = 200
"""What is still in doubt after so many rounds (some hours) is left to the reaper, so that no
workflow and no history of one grows without bound."""

RETRY_S: Final = 5.0
"""After a round that failed in a way that nobody foresaw."""

FINISHED_KEPT: Final = 10_000

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleTask:
    """Orders to see to."""

    task_id: str
    """The batch's id; the same orders always come under the same id."""
    bot_id: str
    client_oids: tuple[str, ...]


Round = Callable[[str, tuple[str, ...]], Awaitable[float | None]]
"""Does one round for orders of a bot; the seconds until the next, None when none is in doubt."""


class Settlement(Protocol):
    """Sees to orders; a context manager that is open while the service runs."""

    async def see_to(self, task: SettleTask) -> bool:
        """Begin with a task, unless one of its id has begun before.

        Returns:
            Whether a task of this id runs in this process now; False when it has finished, or
            belongs to another process.

        Raises:
            DependencyError: It could not be begun; the reaper will find its orders.
        """
        ...

    def running(self) -> Collection[SettleTask]:
        """The tasks that run in this process."""
        ...

    async def pending(self) -> int:
        """Tasks that have begun and not finished, wherever they run.

        Raises:
            DependencyError: Whoever keeps them does not answer.
        """
        ...

    async def __aenter__(self) -> Self:
        """Take up what was left, and accept tasks."""
        ...

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop the rounds; what is not finished is taken up at the next start."""
        ...


async def guarded(work: Round, task: SettleTask) -> float | None:
    """One round that never raises: whatever goes wrong is tried again."""
    try:
        return await work(task.bot_id, task.client_oids)
    except Exception:
        _log.exception("settle_round_failed", task=task.task_id)
        return RETRY_S


class VolatileSettlement:
    """Tasks that end with their process; the reaper of the next one finds what they left."""

    def __init__(self, work: Round) -> None:
        self._work = work
        self._running: dict[str, tuple[SettleTask, asyncio.Task[None]]] = {}
        self._finished: OrderedDict[str, None] = OrderedDict()

    async def see_to(self, task: SettleTask) -> bool:
        """Begin with a task, unless one of its id has begun before."""
        if task.task_id in self._finished:
            return False
        if task.task_id not in self._running:
            running = asyncio.create_task(self._run(task), name=f"settle {task.task_id}")
            self._running[task.task_id] = (task, running)
        return True

    def running(self) -> Collection[SettleTask]:
        """The tasks that run."""
        return tuple(task for task, _ in self._running.values())

    async def pending(self) -> int:
        """How many tasks run."""
        return len(self._running)

    async def __aenter__(self) -> Self:
        """Accept tasks."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop every task."""
        tasks = [running for _, running in self._running.values()]
        for running in tasks:
            running.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._running.clear()

    async def _run(self, task: SettleTask) -> None:
        try:
            for _ in range(ROUNDS_MAX):
                wait_s = await guarded(self._work, task)
                if wait_s is None:
                    break
                await asyncio.sleep(wait_s)
            self._finished[task.task_id] = None
            if len(self._finished) > FINISHED_KEPT:
                self._finished.popitem(last=False)
        finally:
            self._running.pop(task.task_id, None)
