"""Who runs the backtests of a search: this process, or several others on this machine.

Each worker opens its setup once, which holds the market; a task is a few numbers.
"""

import multiprocessing
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Protocol

from opensqt.backtest.search.space import Value
from opensqt.backtest.search.trials import Outcome, Status
from opensqt.backtest.search.walk import Span


class Evaluator(Protocol):
    """Judges settings on a market that it holds."""

    def judge(self, settings: Mapping[str, Value], span: Span) -> Outcome:
        """What settings would have done in a stretch of history."""
        ...


class Setup(Protocol):
    """Everything an evaluator needs; it travels to each worker once."""

    def open(self) -> Evaluator:
        """Make the evaluator."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Settings to judge."""

    number: int
    """What the outcome is told under."""
    settings: Mapping[str, Value]
    span: Span


class Workers(Protocol):
    """Judge tasks, several at once."""

    @property
    def count(self) -> int:
        """How many tasks run at once."""
        ...

    def judge(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Outcome]]:
        """Numbers and outcomes, in the order in which they end."""
        ...

    def close(self) -> None:
        """End the workers."""
        ...


def judge_task(evaluator: Evaluator, task: Task) -> Outcome:
    """Judge; whatever goes wrong is that task's outcome, and ends nothing else."""
    try:
        return evaluator.judge(task.settings, task.span)
    except Exception as error:
        return Outcome(status=Status.FAILED, why=f"{type(error).__name__}: {error}")


class InProcess:
    """Judges one after the other, here."""

    count = 1

    def __init__(self, setup: Setup) -> None:
        self._evaluator = open_setup(setup)

    def judge(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Outcome]]:
        """In the order of the tasks."""
        for task in tasks:
            yield task.number, judge_task(self._evaluator, task)

    def close(self) -> None:
        """There is nothing to end."""


class Processes:
    """Judges in processes of this machine.

    They are spawned, not forked: a fork of a process with threads (the progress bar has one) may
    hang. What the setup holds is best memory-mapped, so that they share it.
    """

    def __init__(self, setup: Setup, count: int) -> None:
        self.count = count
        self._setup = setup
        self._pool = self._start()

    def judge(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Outcome]]:
        """As they end. A task that its worker does not survive, twice, is told as DIED."""
        left = {task.number: task for task in tasks}
        waiting: dict[Future[Outcome], int] = {}
        try:
            for task in tasks:
                waiting[self._submit(task)] = task.number
            while waiting:
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    outcome = future.result()
                    number = waiting.pop(future)
                    del left[number]
                    yield number, outcome
        except BrokenProcessPool:
            yield from self._judge_after_a_death(tuple(left.values()))

    def _submit(self, task: Task) -> Future[Outcome]:
        try:
            return self._pool.submit(_judge, task)
        except OSError as error:
            # A worker that dies while the pool starts another one closes the pipes under its hands.
            raise BrokenProcessPool(str(error)) from error

    def _judge_after_a_death(self, left: Sequence[Task]) -> Iterator[tuple[int, Outcome]]:
        # Tasks are taken in order, so the one that killed is among the first; those run alone.
        self._restart()
        suspects = 2 * self.count
        for task in left[:suspects]:
            try:
                outcome = self._submit(task).result()
            except BrokenProcessPool:
                outcome = Outcome(status=Status.DIED, why="its worker died, twice")
                self._restart()
            yield task.number, outcome
        yield from self.judge(left[suspects:])

    def close(self) -> None:
        """End the processes; what they are judging is given up."""
        for process in list((self._pool._processes or {}).values()):  # noqa: SLF001 - 3.14 has a method
            process.terminate()
        self._pool.shutdown(cancel_futures=True)

    def _restart(self) -> None:
        self._pool.shutdown()
        self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(
            self.count,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_open,
            initargs=(self._setup,),
        )
        # All of them begin before the first task. One that began later, while the pool ends the
        # others because one of them died, would not be ended, but waited for: for ever.
        pool._safe_to_dynamically_spawn_children = False  # type: ignore[attr-defined]  # noqa: SLF001
        return pool


class _Broken:
    """Stands in for an evaluator that could not be made, and says so for every task."""

    def __init__(self, error: Exception) -> None:
        self._why = f"{type(error).__name__}: {error}"

    def judge(self, settings: Mapping[str, Value], span: Span) -> Outcome:
        del settings, span
        return Outcome(status=Status.FAILED, why=self._why)


def open_setup(setup: Setup) -> Evaluator:
    """Make a worker's evaluator; if that fails, one that tells why."""
    try:
        return setup.open()
    except Exception as error:
        return _Broken(error)


_evaluators: list[Evaluator] = []
"""The worker's own, made when it starts."""


def _open(setup: Setup) -> None:
    # Ctrl-C goes to the whole group; the search ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _evaluators[:] = [open_setup(setup)]


def _judge(task: Task) -> Outcome:
    return judge_task(_evaluators[0], task)
