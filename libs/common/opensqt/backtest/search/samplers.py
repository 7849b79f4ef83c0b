"""What to try next: the whole grid, at random, or where it did well before (Optuna).

A sampler asks for trials in batches of a fixed size, and hears of a whole batch before it asks for
the next. What it asks for is a function of the seed, the batch's number and what came of the
batches before it. So the number of workers changes nothing, nor does being interrupted: a new
sampler that is told the same batches goes on as the old one would have.
"""

import hashlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import islice
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import TrialState, create_trial

from opensqt.backtest.search.goals import Direction, Goals
from opensqt.backtest.search.kinds import SamplerKind
from opensqt.backtest.search.space import Choices, Point, Range, SearchSpace
from opensqt.backtest.search.trials import Trial


class Sampler(ABC):
    """Asks for trials, batch by batch."""

    @abstractmethod
    def ask(self, batch: int) -> tuple[Point, ...]:
        """The points of a batch; empty when there are no more. Batches are asked for in order."""

    @abstractmethod
    def tell(self, trials: Sequence[Trial]) -> None:
        """Hear what came of the batch that was asked for last."""

    @abstractmethod
    def recall(self, batch: int, trials: Sequence[Trial]) -> None:
        """Hear of a batch of an earlier run, in place of `ask` and `tell`.

        Raises:
            OtherPointsError: This sampler would have asked for other points.
        """


class OtherPointsError(Exception):
    """A study has other points than this sampler asks for: another version of it made them."""


class GridSampler(Sampler):
    """Every point of the grid, the last axis changing first."""

    def __init__(self, space: SearchSpace, size: int) -> None:
        self._points, self._size = space.grid(), size

    def ask(self, batch: int) -> tuple[Point, ...]:
        """The next points of the grid."""
        del batch  # they come in order
        return tuple(islice(self._points, self._size))

    def tell(self, trials: Sequence[Trial]) -> None:
        """Nothing is learned."""

    def recall(self, batch: int, trials: Sequence[Trial]) -> None:
        """Nothing is learned; the points are compared."""
        _compare(self.ask(batch), trials)


class OptunaSampler(Sampler):
    """Random, Bayesian or evolutionary search by Optuna, on the axes' indices."""

    def __init__(
        self, kind: SamplerKind, space: SearchSpace, goals: Goals, *, size: int, seed: str
    ) -> None:
        """Begin.

        Args:
            kind: Which of Optuna's.
            space: What may be tried.
            goals: What is better.
            size: Trials of a batch.
            seed: Any text; the same one asks for the same points.
        """
        self._kind, self._space, self._goals = kind, space, goals
        self._size, self._seed = size, seed
        self._distributions = {axis.key: _distribution(axis) for axis in space.axes}
        self._asked: list[optuna.Trial] = []
        # Its log line says no more than the command itself does.
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(
            directions=[
                "maximize" if goal.direction is Direction.MAXIMISE else "minimize"
                for goal in goals.objectives
            ]
        )

    def ask(self, batch: int) -> tuple[Point, ...]:
        """As many points as a batch has."""
        self._study.sampler = self._sampler(batch)
        self._asked = [self._study.ask(self._distributions) for _ in range(self._size)]
        return tuple(self._point(trial.params) for trial in self._asked)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Values and constraints of what was judged; what was not is known as no good."""
        for asked, trial in zip(self._asked, trials, strict=False):
            values = self._values(trial)
            if values is None:
                # A failed trial would be forgotten, and its neighbourhood tried again and again.
                self._study.tell(asked, state=TrialState.PRUNED)
                continue
            for name, violation in self._violations(trial).items():
                asked.set_constraint(name, violation)
            self._study.tell(asked, values)

    def recall(self, batch: int, trials: Sequence[Trial]) -> None:
        """Bayesian batches are put back as they were, which is much faster than asking again."""
        if self._kind is not SamplerKind.BAYESIAN:
            # Generations and their parents are Optuna's own business; asking again makes them.
            _compare(self.ask(batch), trials)
            self.tell(trials)
            return
        for trial in trials:
            values = self._values(trial)
            self._study.add_trial(
                create_trial(
                    state=TrialState.PRUNED if values is None else TrialState.COMPLETE,
                    params=self._params(trial.point),
                    distributions=self._distributions,
                    values=values,
                    system_attrs={
                        f"constraints:{name}": violation
                        for name, violation in self._violations(trial).items()
                    },
                )
            )

    def _sampler(self, batch: int) -> BaseSampler:
        digest = hashlib.sha256(f"{self._seed}/{batch}".encode()).digest()
        seed = int.from_bytes(digest[:4], "big")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            if self._kind is SamplerKind.RANDOM:
                return RandomSampler(seed=seed)
            if self._kind is SamplerKind.EVOLUTION:
                return NSGAIISampler(population_size=self._size, seed=seed)
            # Without the liar, all of a batch would crowd around the same place.
            return TPESampler(seed=seed, n_startup_trials=self._size, constant_liar=True)

    def _values(self, trial: Trial) -> list[float] | None:
        measures = trial.outcome.measures
        if not trial.judged(self._goals):
            return None
        return [float(value) for value in self._goals.values(measures)]

    def _violations(self, trial: Trial) -> dict[str, float]:
        if not trial.judged(self._goals):
            return {}
        found = self._goals.violations(trial.outcome.measures)
        return {
            str(part): float(violation)
            for part, violation in zip(self._goals.constraints, found, strict=True)
        }

    def _params(self, point: Point) -> dict[str, int]:
        return {
            axis.key: index + _offset(axis)
            for axis, index in zip(self._space.axes, point, strict=True)
        }

    def _point(self, params: dict[str, Any]) -> Point:
        return tuple(int(params[axis.key]) - _offset(axis) for axis in self._space.axes)


def make_sampler(
    kind: SamplerKind, space: SearchSpace, goals: Goals, *, size: int, seed: str
) -> Sampler:
    """The sampler of a kind; see `OptunaSampler` for the arguments."""
    if kind is SamplerKind.GRID:
        return GridSampler(space, size)
    return OptunaSampler(kind, space, goals, size=size, seed=seed)


def _distribution(axis: Range | Choices) -> BaseDistribution:
    if isinstance(axis, Choices):
        return CategoricalDistribution(range(axis.count))
    offset = _offset(axis)
    return IntDistribution(offset, offset + axis.count - 1, log=axis.log)


def _offset(axis: Range | Choices) -> int:
    """Where an axis' indices begin for Optuna: a logarithm needs the numbers, in steps."""
    return int(axis.low / axis.step) if isinstance(axis, Range) and axis.log else 0


def _compare(points: Sequence[Point], trials: Sequence[Trial]) -> None:
    for point, trial in zip(points, trials, strict=False):
        if point != trial.point:
            raise OtherPointsError(
                f"trial {trial.number} of the study is {trial.point}, and would now be {point}"
            )
