"""From what a trader wrote down to a search that can run."""

from dataclasses import dataclass
from pathlib import Path

from opensqt.backtest.assembly import check_first_price, make_bots, read_market
from opensqt.backtest.case import Mode
from opensqt.backtest.search.about import about
from opensqt.backtest.search.evaluation import BacktestSetup
from opensqt.backtest.search.goals import Goals, Objective
from opensqt.backtest.search.kinds import DEFAULT_BATCH, SamplerKind
from opensqt.backtest.search.measures import MEASURES
from opensqt.backtest.search.searching import Search
from opensqt.backtest.search.settings import read_space
from opensqt.backtest.search.space_config import SpaceConfig
from opensqt.backtest.search.walk import TooLittleHistoryError, between, history_of, windows
from opensqt.backtest.tape import Tape
from opensqt.core.exchange.rules import MarketRules
from opensqt.runtime.backtest_config import BacktestConfig, CandleWay
from opensqt.runtime.bot_config import BotConfig
from opensqt.runtime.config import ConfigError, ConfigProblem, refuse

GRID_MAX = 1_000_000
"""Points of a grid search; more would never end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a trader asks for."""

    bot: BotConfig
    assumed: BacktestConfig
    market: MarketRules
    space: SpaceConfig
    data: Path
    start_ns: int | None = None
    end_ns: int | None = None
    strict: bool = False
    kind: SamplerKind = SamplerKind.BAYESIAN
    trials: int | None = None
    """Of each window; None: all points of a grid, else `DEFAULT_TRIALS`."""
    batch: int | None = None
    seed: int = 0
    mode: Mode = Mode.AUTO


DEFAULT_TRIALS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A search, what its workers need, and what its study is about."""

    plan: Search
    setup: BacktestSetup
    tape: Tape
    about: dict[str, str]


def prepare(wanted: Wanted) -> Prepared:
    """Read the data, and refuse what cannot be searched.

    Raises:
        ConfigError: Naming every key, its value, and what is allowed.
        DamagedData: The data cannot be read, or something is wrong with it and `strict`.
    """
    goals = _goals(wanted.space)
    space = read_space(wanted.space, wanted.market.instrument)
    markets = {wanted.bot.symbol: wanted.market}
    (bot,) = make_bots([wanted.bot], markets, wanted.assumed)
    if wanted.assumed.candles is CandleWay.WORST and "grid.direction" in wanted.space.space:
        raise refuse(
            "space.grid.direction", "", "candles: nearest; the worst way depends on the direction"
        )
    tape = read_market(
        wanted.data,
        bot,
        wanted.assumed,
        start_ns=wanted.start_ns,
        end_ns=wanted.end_ns,
        strict=wanted.strict,
    )
    check_first_price(wanted.bot, tape, wanted.market.instrument)
    walk = wanted.space.walk_forward
    try:
        cut = windows(history_of([tape]), walk.to_walk() if walk else None)
        for window in cut:
            for span in (window.train, window.test):
                if span:
                    between(tape, span)
    except TooLittleHistoryError as error:
        problem = ConfigProblem(
            key="walk_forward" if walk else "data", value="", allowed=str(error)
        )
        raise ConfigError((problem,), source="the search") from None
    plan = Search(
        space=space,
        goals=goals,
        kind=wanted.kind,
        trials=_trials(wanted, space.grid_size),
        batch=wanted.batch or DEFAULT_BATCH[wanted.kind],
        seed=wanted.seed,
        windows=cut,
    )
    setup = BacktestSetup(
        bot=wanted.bot,
        assumed=wanted.assumed,
        market=wanted.market,
        tape=tape,
        wanted=frozenset(goals.measures),
        mode=wanted.mode,
    )
    return Prepared(plan=plan, setup=setup, tape=tape, about=about(plan, setup, tape))


def _trials(wanted: Wanted, grid_size: int) -> int:
    if wanted.kind is not SamplerKind.GRID:
        return wanted.trials or DEFAULT_TRIALS
    if grid_size > (wanted.trials or GRID_MAX):
        raise refuse(
            "trials",
            f"{grid_size:,} points of the grid",
            f"up to {wanted.trials or GRID_MAX:,}; give ranges fewer points, more trials, "
            "or take another sampler",
        )
    return grid_size


def _goals(space: SpaceConfig) -> Goals:
    problems = tuple(
        ConfigProblem(key=f"{section}.{name}", value="", allowed=f"one of {', '.join(MEASURES)}")
        for section, names in (
            ("objectives", space.objectives),
            ("constraints", space.constraints),
        )
        for name in names
        if name not in MEASURES
    )
    if problems:
        raise ConfigError(problems, source="the space")
    return Goals(
        objectives=tuple(
            Objective(measure=name, direction=direction)
            for name, direction in space.objectives.items()
        ),
        constraints=tuple(bound.to_constraint(name) for name, bound in space.constraints.items()),
    )
