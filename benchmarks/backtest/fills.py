"""The fills of an engine held against those that the grid must have, one by one."""

from collections import Counter
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from benchmarks.backtest.engines.floor import Rule, as_rows, by_loop
from benchmarks.backtest.ticks import Grid, Ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How an engine's fills differ from the grid's."""

    fills: int
    missing: int
    """Fills of the grid that the engine does not have, at that time and price."""
    extra: int
    """Fills of the engine that the grid does not have."""
    explained: bool
    """With the engine's own rule in force the grid has exactly the engine's fills."""


class Expected:
    """The fills that the grid has on some ticks, by the rule of what a trade fills."""

    def __init__(self, ticks: Ticks, grid: Grid) -> None:
        self._ticks, self._grid = ticks, grid
        self._by_rule: dict[Rule, NDArray[np.int64]] = {}

    def compare(self, fills: NDArray[np.int64], *, rule: str, ticks: int) -> Comparison:
        """Compare the fills of an engine that saw so many of the ticks."""
        mine, theirs = _rows(self._of(Rule.ALL, ticks)), _rows(fills)
        return Comparison(
            fills=theirs.total(),
            missing=(mine - theirs).total(),
            extra=(theirs - mine).total(),
            explained=theirs == _rows(self._of(Rule(rule), ticks)),
        )

    def _of(self, rule: Rule, ticks: int) -> NDArray[np.int64]:
        if rule not in self._by_rule:
            market = SimpleNamespace(**{n: getattr(self._ticks, n) for n in Ticks.__slots__})
            grid = SimpleNamespace(**{n: getattr(self._grid, n) for n in Grid.__slots__})
            self._by_rule[rule] = as_rows(by_loop(market, grid, rule), market, grid)
        rows = self._by_rule[rule]
        seen = rows[:, 0] <= self._ticks.time_ns[ticks - 1]
        return np.asarray(rows[seen], dtype=np.int64)


def _rows(fills: NDArray[np.int64]) -> Counter[tuple[int, ...]]:
    """Without their order: within a trade it says nothing."""
    return Counter(tuple(row) for row in fills.tolist())
