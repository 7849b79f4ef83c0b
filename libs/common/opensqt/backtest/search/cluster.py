"""The same search on a cluster: Dask distributed runs the backtests."""

import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack
from typing import Any, Final

import dask
from distributed import Client, Future, KilledWorker, LocalCluster, WorkerPlugin, wait

from opensqt.backtest.search.cluster_errors import ClusterError
from opensqt.backtest.search.trials import Outcome, Status
from opensqt.backtest.search.workers import Evaluator, Setup, Task, judge_task, open_setup

LOCAL: Final = "local"
"""As an address: a cluster of this machine's processes, for as long as the search runs."""
CONNECT_TIMEOUT_S: Final = 10
LOOK_S: Final = 5
"""How often it is looked whether anybody is left to work."""
ALONE_S: Final = 60
"""How long a cluster may be without workers; they may be about to be restarted."""
PLUGIN: Final = "opensqt-search"
_PATIENCE: Final = {"distributed.deploy.lost-worker-timeout": "1000d"}
"""Of a local cluster, how long after a worker's death it is looked whether it is there, and is
given up for good when it is not. By then it may have come back, died of the same task again, and be
just starting once more. So nobody looks: the processes that restart workers do not tire."""


class ClusterWorkers:
    """Judges on the workers of a Dask cluster.

    The setup, market included, is sent to every worker once, also to those that join or are
    restarted later, and stays in its memory. The workers need the same version of OpenSQT.

    Args:
        setup: What the workers need.
        address: Of the scheduler, such as ``tcp://10.0.0.1:8786``; or `LOCAL`.
        local_workers: How many processes a local cluster has.
        connect_timeout_s: How long the scheduler may take to answer.

    Raises:
        ClusterError: Nobody answers at the address, or no worker is there.
    """

    def __init__(
        self,
        setup: Setup,
        address: str,
        *,
        local_workers: int,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        self._local: LocalCluster | None = None
        self._settings = ExitStack()
        if address == LOCAL:
            self._settings.enter_context(dask.config.set(_PATIENCE))
            self._local = LocalCluster(
                n_workers=local_workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )
        try:
            self._client = Client(self._local or address, timeout=connect_timeout_s)
        except (OSError, ValueError) as error:
            self._settings.close()
            raise ClusterError(f"no Dask scheduler answers at {address}: {error}") from None
        try:
            self._client.wait_for_workers(1, timeout=connect_timeout_s)
        except TimeoutError:
            self.close()
            raise ClusterError(f"the scheduler at {address} has no workers") from None
        self._client.register_plugin(_Equipment(setup), name=PLUGIN)

    @property
    def count(self) -> int:
        """Tasks that the cluster runs at once."""
        return sum(self._client.nthreads().values())

    def judge(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Outcome]]:
        """As they end. A task that kills workers when it runs alone, too, is told as DIED.

        Raises:
            ClusterError: All workers are gone, and none came back.
        """
        suspects: list[Task] = []
        for task, outcome in self._run(tasks):
            if outcome is None:
                suspects.append(task)
            else:
                yield task.number, outcome
        # Dask blames every task that a dead worker had before it; alone only one is to blame.
        for suspect in suspects:
            ((task, outcome),) = self._run([suspect])
            why = "every worker that it was given to died"
            yield task.number, outcome or Outcome(status=Status.DIED, why=why)

    def close(self) -> None:
        """Let go of the cluster; a local one ends."""
        self._client.close()
        if self._local:
            self._local.close()
        self._settings.close()

    def _run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Outcome | None]]:
        """Outcomes as they come; None: its worker died, several times."""
        sent: list[Future[Any]] = self._client.map(_judge, tasks, pure=False)
        waiting = dict(zip(sent, tasks, strict=True))
        seen = time.monotonic()
        while waiting:
            try:
                done = wait(list(waiting), timeout=LOOK_S, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                done = set()
            for future in done:
                yield waiting.pop(future), _outcome_of(future)
            if done or self.count:
                seen = time.monotonic()
            elif time.monotonic() - seen > ALONE_S:
                raise ClusterError(f"the cluster has had no workers for {ALONE_S} s")


def _outcome_of(future: "Future[Any]") -> Outcome | None:
    try:
        outcome: Outcome = future.result()
    except (KilledWorker, CancelledError):
        return None
    except Exception as error:
        return Outcome(status=Status.FAILED, why=f"{type(error).__name__}: {error}")
    return outcome


class _Equipment(WorkerPlugin):
    """What a worker is given when it joins."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup

    def setup(self, worker: object) -> None:
        del worker
        _evaluators[:] = [open_setup(self._setup)]


_evaluators: list[Evaluator] = []
"""The worker's own, made when it joined."""


def _judge(task: Task) -> Outcome:
    return judge_task(_evaluators[0], task)
