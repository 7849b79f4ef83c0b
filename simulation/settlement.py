"""Settle tasks that outlive the execution process, as DBOS keeps its workflows.

The journal is in the database. A task that was begun is taken up again by the next process of the
account; the round that was under way is done again. A task that is over is never begun again.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Final, Self, TypeVar

from opensqt.ports import DependencyError
from services.execution.settlement import ROUNDS_MAX, Round, SettleTask, guarded
from simulation.database import Database
from simulation.loop import Process

T = TypeVar("T")

RETRY_S: Final = 0.5
"""Before the database is asked again."""


class Journal:
    """What is kept of the tasks."""

    def __init__(self) -> None:
        self.begun: dict[str, SettleTask] = {}
        self.over: set[str] = set()
        self._owners: dict[str, Process] = {}

    def pending(self) -> tuple[SettleTask, ...]:
        """Tasks that have begun and are not over."""
        return tuple(task for task_id, task in self.begun.items() if task_id not in self.over)

    def seen_to(self) -> tuple[SettleTask, ...]:
        """Pending tasks that run in a process that is there.

        One that runs nowhere, since its process is gone or never heard that it had begun, is given
        up after a quarter of an hour, which is longer than a run.
        """
        pending = ((task, self._owners.get(task.task_id)) for task in self.pending())
        return tuple(task for task, owner in pending if owner is not None and owner.alive)

    def clear(self) -> None:
        """The volume is lost."""
        self.begun.clear()
        self.over.clear()

    def begin(self, task: SettleTask) -> bool:
        """Note a task; False when it is over already."""
        self.begun.setdefault(task.task_id, task)
        return task.task_id not in self.over

    def runs_in(self, task: SettleTask, owner: Process) -> None:
        """A process works on a task from now on."""
        self._owners[task.task_id] = owner

    def end(self, task_id: str) -> None:
        """Note that a task is over."""
        self.over.add(task_id)

    def let_go(self) -> None:
        """The run is over: keep nothing of its processes."""
        self._owners.clear()


class JournaledSettlement:
    """Implements `services.execution.settlement.Settlement`.

    Args:
        journal: What is kept.
        database: Where it is kept.
        process: Whose tasks these are.
        work: Does one round.
    """

    def __init__(self, journal: Journal, database: Database, process: Process, work: Round) -> None:
        self._journal = journal
        self._database = database
        self._process = process
        self._work = work
        self._running: dict[str, tuple[SettleTask, asyncio.Task[None]]] = {}

    async def see_to(self, task: SettleTask) -> bool:
        """Begin with a task, unless one of its id has begun before."""
        if task.task_id in self._running:
            return True
        new = await self._database.ask(self._process, lambda: self._journal.begin(task))
        if new:
            self._begin(task)
        return new

    def running(self) -> Collection[SettleTask]:
        """The tasks that run in this process."""
        return tuple(task for task, _ in self._running.values())

    async def pending(self) -> int:
        """Tasks that have begun and not finished."""
        tasks = await self._database.ask(self._process, self._journal.pending)
        return len(tasks)

    async def __aenter__(self) -> Self:
        """Take up what was left."""
        for task in await self._sure(self._journal.pending):
            self._begin(task)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop the rounds."""
        tasks = [running for _, running in self._running.values()]
        for running in tasks:
            running.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._running.clear()

    def _begin(self, task: SettleTask) -> None:
        if task.task_id not in self._running:
            self._journal.runs_in(task, self._process)
            running = asyncio.create_task(self._run(task), name=f"settle {task.task_id}")
            self._running[task.task_id] = (task, running)

    async def _run(self, task: SettleTask) -> None:
        try:
            for _ in range(ROUNDS_MAX):
                wait_s = await guarded(self._work, task)
                if wait_s is None:
                    break
                await asyncio.sleep(wait_s)
            await self._sure(lambda: self._journal.end(task.task_id))
        finally:
            self._running.pop(task.task_id, None)

    async def _sure(self, work: Callable[[], T]) -> T:
        """Ask the database until it answers."""
        while True:
            try:
                return await self._database.ask(self._process, work)
            except DependencyError:
                await asyncio.sleep(RETRY_S)
