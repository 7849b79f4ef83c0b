"""Many seeds, spread over processes."""

import contextlib
import hashlib
import multiprocessing
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from simulation.defects import switched_on
from simulation.judging import Verdict, judge, tell

STORIES_MAX: Final = 5
"""Failing seeds that are told; of the others only the seed and what is wrong."""
AHEAD: Final = 4
"""Seeds that wait for each process."""
SEEDS_PER_PROCESS: Final = 500
"""After so many a process is replaced, so that nothing piles up in it."""
PROGRESS_S: Final = 2.0


@dataclass(slots=True)
class Tally:
    """What came of the seeds."""

    seeds: int = 0
    events: int = 0
    violations: list[Verdict] = field(default_factory=list)
    digests: dict[int, str] = field(default_factory=dict)

    def count(self, verdict: Verdict) -> None:
        """Add a seed."""
        self.seeds += 1
        self.events += verdict.events
        self.digests[verdict.seed] = verdict.digest
        if not verdict.good:
            self.violations.append(verdict)

    @property
    def digest(self) -> str:
        """Of all runs."""
        parts = (f"{seed} {digest}\n" for seed, digest in sorted(self.digests.items()))
        return hashlib.blake2b("".join(parts).encode(), digest_size=16).hexdigest()

    def __str__(self) -> str:
        """The last line."""
        return f"{self.seeds} seeds, {len(self.violations)} violations, {self.events} events"


def run_seeds(seeds: range, *, jobs: int, defect: str = "", stop_at_first: bool = False) -> Tally:
    """Run seeds, tell of those that fail as they come, and count.

    Args:
        seeds: Which.
        jobs: Processes.
        defect: The deliberate defect that is switched on; empty for none.
        stop_at_first: Leave out the seeds after the first that fails.
    """
    tally = Tally()
    progress = _Progress(len(seeds))
    with _workers(jobs, defect) as pool:
        stories: list[Future[str]] = []
        for verdict in _in_time(pool, seeds, ahead=jobs * AHEAD):
            tally.count(verdict)
            if not verdict.good:
                print(f"seed {verdict.seed}: invariant {verdict.number}: {verdict.what}")
                if len(stories) < STORIES_MAX:
                    stories.append(pool.submit(tell, verdict.seed))
            progress.show(tally)
            if stop_at_first and tally.violations:
                break
        progress.end()
        for told in stories:
            print(f"\n{told.result()}\n", flush=True)
    return tally


def _in_time(pool: ProcessPoolExecutor, seeds: range, *, ahead: int) -> Iterator[Verdict]:
    """Verdicts as they come; no more seeds are handed out than the processes need."""
    left = iter(seeds)
    waiting: set[Future[Verdict]] = set()
    try:
        while True:
            for seed in islice(left, max(0, ahead - len(waiting))):
                waiting.add(pool.submit(judge, seed))
            if not waiting:
                return
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        for future in waiting:
            future.cancel()


@contextlib.contextmanager
def _workers(jobs: int, defect: str) -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        jobs,
        mp_context=context,
        initializer=_begin,
        initargs=(defect,),
        max_tasks_per_child=SEEDS_PER_PROCESS,
    ) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _begin(defect: str) -> None:
    """A process begins: the defect, if there is one, stays for as long as it lives."""
    if defect:
        _for_good.enter_context(switched_on(defect))


_for_good: Final = contextlib.ExitStack()
"""Closed by nobody: what is entered here ends with the process."""


class _Progress:
    """A line on stderr that is written over."""

    def __init__(self, seeds: int) -> None:
        self._seeds = seeds
        self._began = self._shown = time.monotonic()
        self._line = sys.stderr.isatty()

    def show(self, tally: Tally) -> None:
        now = time.monotonic()
        if now - self._shown < (PROGRESS_S if self._line else 5 * PROGRESS_S):
            return
        self._shown = now
        rate = tally.seeds / (now - self._began)
        left_s = (self._seeds - tally.seeds) / rate
        text = (
            f"{tally.seeds}/{self._seeds} seeds, {len(tally.violations)} violations, "
            f"{rate:.1f} seeds/s, {left_s:.0f} s left"
        )
        print(f"\r{text}" if self._line else text, end="" if self._line else "\n", file=sys.stderr)
        sys.stderr.flush()

    def end(self) -> None:
        if self._line:
            print(file=sys.stderr)
