"""Putting a search to work: its study, its workers, and what they share, until it is over."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from opensqt.backtest.integer.engine import prepare
from opensqt.backtest.search.preparing import Prepared
from opensqt.backtest.search.searching import Watch, WindowFinding, search
from opensqt.backtest.search.shared_tape import SharedTape
from opensqt.backtest.search.study import Study
from opensqt.backtest.search.workers import InProcess, Processes, Workers


def run_search(
    prepared: Prepared, *, study: Path | None, workers: int, cluster: str | None, watch: Watch
) -> tuple[WindowFinding, ...]:
    """Carry out a search, or the rest of it.

    Args:
        prepared: The search.
        study: Where its trials are kept; None: nowhere.
        workers: Processes of this machine; 1: this one.
        cluster: Address of a Dask scheduler, or ``local``; None: no cluster.
        watch: Called after each trial.

    Raises:
        StudyError: The study belongs to another search, or cannot be used.
        OtherPointsError: The study was made by another version of the sampler.
        ClusterError: The cluster does not answer, or its workers are gone.
    """
    with ExitStack() as stack:
        kept = stack.enter_context(Study(study, prepared.about))
        working = stack.enter_context(_working(prepared, workers, cluster))
        return search(prepared.plan, kept, working, watch)


@contextmanager
def _working(prepared: Prepared, workers: int, cluster: str | None) -> Iterator[Workers]:
    with ExitStack() as stack:
        working: Workers
        if cluster:
            # Not everybody has it, and few need it.
            from opensqt.backtest.search.cluster import ClusterWorkers

            working = ClusterWorkers(prepared.setup, cluster, local_workers=workers)
        elif workers == 1:
            working = InProcess(prepared.setup)
        else:
            prepare()  # rather than each of them at the same time
            directory = Path(stack.enter_context(TemporaryDirectory(prefix="opensqt-search-")))
            shared = SharedTape.write(prepared.tape, directory)
            working = Processes(replace(prepared.setup, tape=shared), workers)
        stack.callback(working.close)
        yield working
