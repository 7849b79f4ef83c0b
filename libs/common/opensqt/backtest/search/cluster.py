"""The same search on a cluster: Dask distributed runs the backtests."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from distributed import Client, Future, KilledWorker, LocalCluster, as_completed

from opensqt.backtest.search.trials import Outcome, Status
from opensqt.backtest.search.workers import Evaluator, Setup, Task, judge_task, open_setup

LOCAL = "local"
"""As an address: a cluster of this machine's processes, for as long as the search runs."""
CONNECT_TIMEOUT_S = 10
SETUPS_MAX = 3
"""How often the market is sent out anew, after all workers that held it have died."""


class ClusterError(Exception):
    """A cluster that does not answer, or has no workers."""


class ClusterWorkers:
    """Judges on the workers of a Dask cluster.

    The setup, market included, is sent to every worker once and stays in its memory.

    Args:
        setup: What the workers need.
        address: Of the scheduler, such as ``tcp://10.0.0.1:8786``; or `LOCAL`.
        local_workers: How many processes a local cluster has.

    Raises:
        ClusterError: Nobody answers at the address, or no worker is there.
    """

    def __init__(self, setup: Setup, address: str, *, local_workers: int) -> None:
        self._local: LocalCluster | None = None
        if address == LOCAL:
            self._local = LocalCluster(
                n_workers=local_workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                silence_logs=logging.ERROR,
            )
        try:
            self._client = Client(self._local or address, timeout=CONNECT_TIMEOUT_S)
        except (OSError, ValueError) as error:
            raise ClusterError(f"no Dask scheduler answers at {address}: {error}") from None
        try:
            if self._local is None:
                self._client.wait_for_workers(1, timeout=CONNECT_TIMEOUT_S)
        except TimeoutError:
            self._client.close()
            raise ClusterError(f"the scheduler at {address} has no workers") from None
        self._setup = setup
        self._sent = self._send()

    @property
    def count(self) -> int:
        """Tasks that the cluster runs at once."""
        return sum(self._client.nthreads().values())

    def judge(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Outcome]]:
        """As they end. A task that killed each worker it was given to is told as DIED."""
        left = {task.number: task for task in tasks}
        for _ in range(SETUPS_MAX):
            futures = {
                future: number
                for number, future in zip(left, self._submit(list(left.values())), strict=True)
            }
            for future in as_completed(futures):
                outcome = _outcome_of(future)
                if outcome is not None:
                    number = futures[future]
                    del left[number]
                    yield number, outcome
            if not left:
                return
            self._sent = self._send()
        for number in left:
            yield number, Outcome(status=Status.DIED, why="its workers died, again and again")

    def close(self) -> None:
        """Let go of the cluster; a local one ends."""
        self._client.close()
        if self._local:
            self._local.close()

    def _send(self) -> Any:
        return self._client.scatter(self._setup, broadcast=True, hash=False)

    def _submit(self, tasks: Sequence[Task]) -> list[Future[Any]]:
        futures: list[Future[Any]] = self._client.map(_judge, tasks, setup=self._sent, pure=False)
        return futures


def _outcome_of(future: Future[Any]) -> Outcome | None:
    """What came of a task; None when it was lost together with the setup."""
    if future.status == "finished":
        outcome: Outcome = future.result()
        return outcome
    if future.status == "error":
        error = future.exception()
        if isinstance(error, KilledWorker):
            return Outcome(status=Status.DIED, why="every worker that it was given to died")
        return Outcome(status=Status.FAILED, why=f"{type(error).__name__}: {error}")
    return None


_opened: list[tuple[Setup, Evaluator]] = []
"""The worker's own: the setup that was sent last, and what was made of it."""


def _judge(task: Task, setup: Setup) -> Outcome:
    if not _opened or _opened[0][0] is not setup:
        _opened[:] = [(setup, open_setup(setup))]
    return judge_task(_opened[0][1], task)
