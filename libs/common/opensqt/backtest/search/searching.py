"""The search: windows, batches, trials; what was tried before is not tried again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from opensqt.backtest.search.goals import Goals, balanced, pareto_front
from opensqt.backtest.search.kinds import SamplerKind
from opensqt.backtest.search.samplers import make_sampler
from opensqt.backtest.search.space import Point, SearchSpace
from opensqt.backtest.search.study import Study
from opensqt.backtest.search.trials import Outcome, Status, Trial
from opensqt.backtest.search.walk import Span, Window
from opensqt.backtest.search.workers import Task, Workers

CHOSEN, UNCHANGED, UNCHANGED_IN_TRAINING = 0, 1, 2
"""Numbers of what is judged beside a window's trials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is searched, and how."""

    space: SearchSpace
    goals: Goals
    kind: SamplerKind
    trials: int
    """Of each window."""
    batch: int
    seed: int
    windows: tuple[Window, ...]

    @property
    def total(self) -> int:
        """How many points will be judged."""
        return sum(self.trials + (1 if window.test is None else 3) for window in self.windows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Settings in training and, after that, out of sample."""

    train: Outcome
    test: Outcome | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowFinding:
    """What a window's search came to."""

    window: Window
    trials: tuple[Trial, ...]
    front: tuple[Trial, ...]
    """Those that no other one dominates, the first objective's best first."""
    chosen: Trial | None
    """The front's most balanced one; None: no trial can be chosen."""
    test: Outcome | None
    """What became of the chosen one after the window it was chosen on."""
    unchanged: Judgement
    """The bot as it is configured, on the same windows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a search is."""

    done: int
    total: int
    recalled: int
    """Of those done, how many an earlier run had done."""
    window: Window
    best: Trial | None
    """Of this window, by the first objective."""


class BacktestFailedError(Exception):
    """Not even the bot as it is configured could be backtested: no trial would be."""


Watch = Callable[[Progress], None]


def search(plan: Search, study: Study, workers: Workers, watch: Watch) -> tuple[WindowFinding, ...]:
    """Carry out a search, or the rest of one.

    Args:
        plan: What to search.
        study: Remembers each trial as soon as it ends.
        workers: Judge the trials; neither their number nor their order changes what is found.
        watch: Called after each trial.

    Raises:
        BacktestFailedError: Not even the unchanged bot can be backtested.
        OtherPointsError: The study was made by another version of the sampler.
        StudyError: The study cannot be written.
    """
    return _Searching(plan, study, workers, watch).run()


class _Searching:
    def __init__(self, plan: Search, study: Study, workers: Workers, watch: Watch) -> None:
        self._plan, self._study, self._workers, self._watch = plan, study, workers, watch
        self._done = self._recalled = 0
        self._best: Trial | None = None

    def run(self) -> tuple[WindowFinding, ...]:
        return tuple(self._search_window(window) for window in self._plan.windows)

    def _search_window(self, window: Window) -> WindowFinding:
        self._best = None
        unchanged = self._judge_beside(window, UNCHANGED_IN_TRAINING, None, window.train)
        trials = self._trials_of(window)
        front = front_of(trials, self._plan.goals)
        chosen = choose(front, self._plan.goals)
        test = unchanged_test = None
        if window.test:
            unchanged_test = self._judge_beside(window, UNCHANGED, None, window.test)
            if chosen:
                test = self._judge_beside(window, CHOSEN, chosen, window.test)
            else:
                self._step(window, 1, recalled=0)
        return WindowFinding(
            window=window,
            trials=trials,
            front=front,
            chosen=chosen,
            test=test,
            unchanged=Judgement(train=unchanged, test=unchanged_test),
        )

    def _trials_of(self, window: Window) -> tuple[Trial, ...]:
        plan = self._plan
        sampler = make_sampler(
            plan.kind, plan.space, plan.goals, size=plan.batch, seed=f"{plan.seed}/{window.number}"
        )
        stored = self._study.trials(_place(window))
        seen: dict[Point, Outcome] = {}
        found: list[Trial] = []
        for batch in range(-(-plan.trials // plan.batch)):
            numbers = range(batch * plan.batch, (batch + 1) * plan.batch)
            if all(number in stored for number in numbers):
                sampler.recall(batch, [stored[number] for number in numbers])
                trials = [stored[number] for number in numbers if number < plan.trials]
                self._step(window, len(trials), recalled=len(trials), trials=trials)
            else:
                # All of a batch is asked for, even if only its beginning is judged now: a study can
                # be continued with more trials, and is then what it would have been at once.
                points = dict(zip(numbers, sampler.ask(batch), strict=False))
                wanted = {n: point for n, point in points.items() if n < plan.trials}
                known = {n: stored[n] for n in wanted if n in stored}
                trials = self._judge_batch(window, wanted, known, seen)
                sampler.tell(trials)
            found.extend(trials)
            seen.update({trial.point: trial.outcome for trial in trials})
        return tuple(found)

    def _judge_batch(
        self,
        window: Window,
        points: Mapping[int, Point],
        known: Mapping[int, Trial],
        seen: Mapping[Point, Outcome],
    ) -> list[Trial]:
        """Judge those points of a batch that nobody has judged before, each once."""
        ended = dict(known)
        self._step(window, len(known), recalled=len(known), trials=list(known.values()))
        twins: dict[Point, list[int]] = {}
        for number, point in points.items():
            if number not in known:
                twins.setdefault(point, []).append(number)
        told = dict(seen) | {trial.point: trial.outcome for trial in known.values()}
        for point in [point for point in twins if point in told]:
            self._end(window, twins.pop(point), point, told[point], ended)
        tasks = [
            Task(
                number=numbers[0],
                settings=self._plan.space.settings(point),
                span=window.train,
            )
            for point, numbers in twins.items()
        ]
        for number, outcome in self._workers.judge(tasks):
            point = points[number]
            self._end(window, twins[point], point, outcome, ended)
        return [ended[number] for number in sorted(ended)]

    def _end(
        self,
        window: Window,
        numbers: Sequence[int],
        point: Point,
        outcome: Outcome,
        ended: dict[int, Trial],
    ) -> None:
        trials = [Trial(number=number, point=point, outcome=outcome) for number in numbers]
        self._study.add(_place(window), trials)
        ended.update({trial.number: trial for trial in trials})
        self._step(window, len(trials), recalled=0, trials=trials)

    def _judge_beside(
        self, window: Window, number: int, trial: Trial | None, span: Span
    ) -> Outcome:
        """Judge the chosen trial, or without one the bot as it is, outside of the sampling."""
        stored = self._study.trials(_beside(window))
        point = trial.point if trial else ()
        if number in stored and stored[number].point == point:
            self._step(window, 1, recalled=1)
            return stored[number].outcome
        settings = self._plan.space.settings(point) if trial else {}
        ((_, outcome),) = self._workers.judge([Task(number=number, settings=settings, span=span)])
        if trial is None and outcome.status in (Status.FAILED, Status.DIED):
            raise BacktestFailedError(outcome.why)
        judged = Trial(number=number, point=point, outcome=outcome)
        self._study.add(_beside(window), [judged])
        self._step(window, 1, recalled=0)
        return outcome

    def _step(
        self, window: Window, count: int, *, recalled: int, trials: Sequence[Trial] = ()
    ) -> None:
        goals = self._plan.goals
        self._best = choose(
            front_of((*((self._best,) if self._best else ()), *trials), goals), goals, balance=False
        )
        self._done += count
        self._recalled += recalled
        self._watch(
            Progress(
                done=self._done,
                total=self._plan.total,
                recalled=self._recalled,
                window=window,
                best=self._best,
            )
        )


def _place(window: Window) -> str:
    return f"window {window.number}"


def _beside(window: Window) -> str:
    return f"beside window {window.number}"


def front_of(trials: Sequence[Trial], goals: Goals) -> tuple[Trial, ...]:
    """The Pareto front of those trials that can be chosen."""
    feasible = [trial for trial in trials if trial.feasible(goals)]
    values = [goals.values(trial.outcome.measures) for trial in feasible]
    return tuple(feasible[index] for index in pareto_front(goals, values))


def choose(front: Sequence[Trial], goals: Goals, *, balance: bool = True) -> Trial | None:
    """The most balanced trial of a front, or its best by the first objective."""
    if not front:
        return None
    values = [goals.values(trial.outcome.measures) for trial in front]
    return front[balanced(goals, values) if balance else 0]
