"""A search is a function of its plan: not of its workers, its interruptions, or its luck."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from decimal import Decimal
from pathlib import Path

import pytest

from opensqt.backtest.search.goals import Goals
from opensqt.backtest.search.kinds import SamplerKind
from opensqt.backtest.search.samplers import OtherPointsError
from opensqt.backtest.search.searching import (
    BacktestFailedError,
    Progress,
    Search,
    WindowFinding,
    search,
)
from opensqt.backtest.search.space import Range, SearchSpace
from opensqt.backtest.search.study import Study
from opensqt.backtest.search.trials import Outcome, Status, Trial
from opensqt.backtest.search.walk import Span, WalkForward, windows
from opensqt.backtest.search.workers import Evaluator, InProcess, Processes, Setup, Task
from tests.unit.backtest.search.stub import (
    DAY_NS,
    ONE_GOAL,
    SPACE,
    TOP,
    TWO_GOALS,
    D,
    Hill,
    plan,
)

KINDS = list(SamplerKind)


class StoppedError(Exception):
    pass


class Interruptible(InProcess):
    """Is stopped, as by Ctrl-C, after so many trials."""

    def __init__(self, setup: Setup, left: int) -> None:
        super().__init__(setup)
        self._left = left

    def judge(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Outcome]]:
        for one in super().judge(tasks):
            if not self._left:
                raise StoppedError
            self._left -= 1
            yield one


def found(
    what: Search,
    *,
    setup: Setup | None = None,
    study: Study | None = None,
    stop_after: int | None = None,
    steps: list[Progress] | None = None,
) -> tuple[WindowFinding, ...]:
    setup = setup or Hill()
    workers = InProcess(setup) if stop_after is None else Interruptible(setup, stop_after)
    with study or Study(None, {}) as kept:
        return search(what, kept, workers, (steps if steps is not None else []).append)


def goals_for(kind: SamplerKind) -> Goals:
    return TWO_GOALS if kind is SamplerKind.EVOLUTION else ONE_GOAL


SMALL = SearchSpace(
    axes=(Range(key="x", low=D(30), step=D(1), count=20), *SPACE.axes[1:]), same={"z": "y"}
)


def height(outcome: Outcome) -> Decimal:
    value = outcome.measures["height"]
    assert value is not None
    return value


def mean_height(trials: Sequence[Trial]) -> Decimal:
    heights = [height(trial.outcome) for trial in trials if trial.feasible(ONE_GOAL)]
    return sum(heights, D(0)) / len(heights)


@pytest.mark.parametrize("kind", [SamplerKind.BAYESIAN, SamplerKind.EVOLUTION])
def test_learning_beats_chance(kind: SamplerKind) -> None:
    (learned,) = found(plan(kind, trials=160, batch=16))
    (chance,) = found(plan(SamplerKind.RANDOM, trials=160, batch=16))
    best = learned.chosen.outcome.measures["height"]
    assert best > 90, "near the top, which is 100"
    assert best >= chance.chosen.outcome.measures["height"] - 5
    assert mean_height(learned.trials[80:]) > mean_height(chance.trials[80:]) + 50


def test_a_grid_finds_the_best_there_is() -> None:
    space = SearchSpace(
        axes=(Range(key="x", low=D(1), step=D(1), count=60), *SPACE.axes[1:]), same={"z": "y"}
    )
    (finding,) = found(plan(SamplerKind.GRID, space=space, trials=space.grid_size, batch=64))
    assert finding.chosen.outcome.measures["height"] == 100
    assert space.settings(finding.chosen.point) == {"x": TOP, "y": 3, "kind": "round", "z": 3}
    assert len(finding.trials) == len({t.point for t in finding.trials}) == space.size


def test_what_is_impossible_fails_or_cannot_be_told_is_counted_and_never_chosen() -> None:
    (finding,) = found(plan(SamplerKind.GRID, trials=SPACE.grid_size, batch=64))
    kinds = {status: [t for t in finding.trials if t.outcome.status is status] for status in Status}
    assert all(kinds[status] for status in (Status.JUDGED, Status.IMPOSSIBLE, Status.FAILED))
    assert kinds[Status.FAILED][0].outcome.why == "RuntimeError: a defect"
    assert kinds[Status.IMPOSSIBLE][0].shortfall(ONE_GOAL) == "impossible: x is 6; allowed: no such"
    untold = [t for t in kinds[Status.JUDGED] if t.outcome.measures["height"] is None]
    assert untold
    assert untold[0].shortfall(ONE_GOAL) == "not enough data for height"
    outside = [t for t in kinds[Status.JUDGED] if t.shortfall(ONE_GOAL) == "not cost at most 90"]
    assert outside
    assert not {t.number for t in finding.front} & {t.number for t in (*untold, *outside)}


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_search_goes_on_as_if_it_had_not_been(
    kind: SamplerKind, tmp_path: Path
) -> None:
    what = plan(kind, goals=goals_for(kind), trials=60, batch=16)
    whole = found(what)
    for stop in (0, 5, 16, 17, 40):
        path = tmp_path / f"{stop}.study"
        with pytest.raises(StoppedError):
            found(what, study=Study(path, {}), stop_after=stop)
        steps: list[Progress] = []
        assert found(what, study=Study(path, {}), steps=steps) == whole, f"after {stop}"
        assert steps[-1].done == steps[-1].total == what.total
        assert steps[-1].recalled >= stop


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not SamplerKind.GRID])
def test_more_trials_later_are_those_there_would_have_been_at_once(
    kind: SamplerKind, tmp_path: Path
) -> None:
    # 37 ends within a batch.
    goals = goals_for(kind)
    for trials in (37, 64, 37):
        what = plan(kind, goals=goals, trials=trials, batch=16)
        assert found(what, study=Study(tmp_path / "study", {})) == found(what), trials


def test_the_seed_decides() -> None:
    kinds = (SamplerKind.RANDOM, SamplerKind.BAYESIAN)
    for kind in kinds:
        assert found(plan(kind)) == found(plan(kind))
        points = [[t.point for t in found(plan(kind, seed=seed))[0].trials] for seed in (1, 2)]
        assert points[0] != points[1]


def test_no_point_is_judged_twice(tmp_path: Path) -> None:
    space = SearchSpace(
        axes=(Range(key="x", low=D(30), step=D(1), count=4), *SPACE.axes[1:]), same={"z": "y"}
    )
    journal = tmp_path / "journal"
    (finding,) = found(plan(space=space, trials=500, batch=50), setup=Hill(journal=journal))
    lines = journal.read_text().splitlines()
    assert len(finding.trials) == 500
    assert len(lines) == len(set(lines)) <= space.size + 1, "and the unchanged bot once"


def test_windows_are_searched_one_by_one_and_judged_on_what_follows() -> None:
    walk = WalkForward(train_ns=4 * DAY_NS, test_ns=2 * DAY_NS, step_ns=2 * DAY_NS)
    cut = windows(Span(start_ns=0, end_ns=10 * DAY_NS), walk)
    what = plan(SamplerKind.BAYESIAN, trials=64, batch=16, windows=cut)
    findings = found(what)
    assert [finding.window for finding in findings] == list(cut)
    for finding in findings[:-1]:
        train, test = finding.chosen.outcome.measures["height"], finding.test.measures["height"]
        x = what.space.settings(finding.chosen.point)["x"]
        start = finding.window.test.start_ns // DAY_NS
        assert test != train, "the hill has moved on"
        assert test <= 100 - (x - TOP - start) ** 2, "judged where it stands in the test window"
        assert finding.unchanged.test.measures["height"] == 0
    assert findings[-1].window.test is findings[-1].test is None
    assert findings[-1].window.train.end_ns == 10 * DAY_NS


def test_nothing_to_choose_is_a_finding() -> None:
    space = SearchSpace(
        axes=(Range(key="x", low=D(6), step=D(7), count=5), *SPACE.axes[1:]), same={"z": "y"}
    )
    cut = windows(
        Span(start_ns=0, end_ns=9 * DAY_NS),
        WalkForward(train_ns=DAY_NS, test_ns=DAY_NS, step_ns=7 * DAY_NS),
    )
    steps: list[Progress] = []
    findings = found(plan(space=space, trials=8, windows=cut), steps=steps)
    assert all(finding.chosen is None and finding.front == () for finding in findings)
    assert steps[-1].done == steps[-1].total


def test_a_study_of_other_points_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study"
    what = plan(trials=16, batch=8)
    found(what, study=Study(path, {}))
    with Study(path, {}) as study:
        other = Trial(number=3, point=(1, 1, 1), outcome=Outcome(status=Status.IMPOSSIBLE))
        study.add("window 0", [other])
    with pytest.raises(OtherPointsError, match="trial 3"):
        found(what, study=Study(path, {}))


@pytest.mark.parametrize("count", [1, 2])
def test_processes_find_what_one_finds(count: int) -> None:
    what = plan(SamplerKind.BAYESIAN, goals=TWO_GOALS, trials=48, batch=16)
    workers = Processes(Hill(), count)
    try:
        with Study(None, {}) as study:
            assert search(what, study, workers, lambda _: None) == found(what)
    finally:
        workers.close()


def test_a_worker_that_dies_loses_nothing(tmp_path: Path) -> None:
    what = plan(trials=40, batch=20, space=SMALL)
    workers = Processes(Hill(once=tmp_path / "died", parent=os.getpid()), 2)
    try:
        with Study(None, {}) as study:
            findings = search(what, study, workers, lambda _: None)
    finally:
        workers.close()
    assert (tmp_path / "died").exists()
    assert findings == found(what)


def test_all_workers_begin_before_the_first_task() -> None:
    """One that began while another one dies would be waited for, for ever."""
    workers = Processes(Hill(), 3)
    try:
        task = Task(number=0, settings={}, span=Span(start_ns=0, end_ns=DAY_NS))
        assert [number for number, _ in workers.judge([task])] == [0]
        assert len(workers._pool._processes) == 3
    finally:
        workers.close()


class DyingPool:
    """A pool whose worker dies while it is given its work."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self._taken = 0

    def submit(self, *_: object) -> Future[Outcome]:
        self._taken += 1
        if self._taken > 2:
            raise self._error
        return Future()

    def shutdown(self) -> None:
        pass


@pytest.mark.parametrize("error", [BrokenProcessPool("died"), OSError("handle is closed")])
def test_a_worker_that_dies_while_work_is_given_out_loses_nothing(error: Exception) -> None:
    workers = Processes(Hill(), 1)
    tasks = [Task(number=n, settings={}, span=Span(start_ns=0, end_ns=DAY_NS)) for n in range(5)]
    try:
        workers._pool.shutdown()
        workers._pool = DyingPool(error)  # type: ignore[assignment]
        assert sorted(number for number, _ in workers.judge(tasks)) == list(range(5))
    finally:
        workers.close()


def test_a_point_that_kills_is_told_and_the_rest_is_judged() -> None:
    what = plan(trials=24, batch=24, space=SMALL)
    (calm,) = found(what)
    victims = [t for t in calm.trials if t.outcome.status is Status.JUDGED][3:5]
    killers = frozenset(what.space.settings(t.point)["x"] for t in victims)
    workers = Processes(Hill(killers=killers, parent=os.getpid()), 2)
    try:
        with Study(None, {}) as study:
            (finding,) = search(what, study, workers, lambda _: None)
    finally:
        workers.close()
    for trial, without in zip(finding.trials, calm.trials, strict=True):
        if what.space.settings(trial.point)["x"] in killers:
            assert trial.outcome.status is Status.DIED
        else:
            assert trial == without


def test_a_worker_that_cannot_begin_says_why() -> None:
    class Broken:
        def open(self) -> Evaluator:
            raise FileNotFoundError("no such market")

    with pytest.raises(BacktestFailedError, match="FileNotFoundError: no such market"):
        found(plan(trials=8), setup=Broken())
