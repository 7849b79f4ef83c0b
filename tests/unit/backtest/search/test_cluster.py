"""The same search on a cluster of processes finds the same, and survives its workers."""

import os
from pathlib import Path

import dask
import pytest

from opensqt.backtest.search import cluster
from opensqt.backtest.search.cluster import LOCAL, ClusterWorkers
from opensqt.backtest.search.cluster_errors import ClusterError
from opensqt.backtest.search.kinds import SamplerKind
from opensqt.backtest.search.searching import Search, WindowFinding, search
from opensqt.backtest.search.study import Study
from opensqt.backtest.search.trials import Status
from opensqt.backtest.search.workers import Setup
from tests.unit.backtest.search.stub import TWO_GOALS, Hill, plan
from tests.unit.backtest.search.test_searching import SMALL, found


def on_cluster(what: Search, setup: Setup) -> tuple[WindowFinding, ...]:
    workers = ClusterWorkers(setup, LOCAL, local_workers=2)
    try:
        assert workers.count == 2
        with Study(None, {}) as study:
            return search(what, study, workers, lambda _: None)
    finally:
        workers.close()


def test_two_workers_of_a_cluster_find_what_one_process_finds() -> None:
    what = plan(SamplerKind.BAYESIAN, goals=TWO_GOALS, trials=48, batch=16)
    assert on_cluster(what, Hill()) == found(what)


def test_a_worker_of_the_cluster_that_dies_loses_nothing(tmp_path: Path) -> None:
    what = plan(trials=24, batch=12, space=SMALL)
    setup = Hill(once=tmp_path / "died", parent=os.getpid(), slow_s=0.01)
    assert on_cluster(what, setup) == found(what)
    assert (tmp_path / "died").exists()


def test_a_point_that_kills_worker_after_worker_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "LOOK_S", 0.1)
    what = plan(trials=12, batch=12, space=SMALL)
    (calm,) = found(what)
    victim = next(t for t in calm.trials if t.outcome.status is Status.JUDGED)
    killers = frozenset({what.space.settings(victim.point)["x"]})
    # Dask would give up a worker that is away when it looks, which ours are while they start again.
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "1ms"}):
        (finding,) = on_cluster(what, Hill(killers=killers, parent=os.getpid()))
    died = [t for t in finding.trials if t.outcome.status is Status.DIED]
    assert {what.space.settings(t.point)["x"] for t in died} == killers
    rest = [t for t in calm.trials if what.space.settings(t.point)["x"] not in killers]
    assert [t for t in finding.trials if t not in died] == rest


def test_nobody_at_the_address_is_told() -> None:
    with pytest.raises(ClusterError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        ClusterWorkers(Hill(), "tcp://127.0.0.1:9", local_workers=1, connect_timeout_s=0.5)
