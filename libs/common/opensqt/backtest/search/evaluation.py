"""One trial: a backtest of some settings in a stretch of history, and what it came to."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from opensqt.backtest.assembly import build_case, check_first_price, make_bots
from opensqt.backtest.case import Case, Mode
from opensqt.backtest.run import check, run
from opensqt.backtest.search.measures import judge
from opensqt.backtest.search.settings import with_settings
from opensqt.backtest.search.shared_tape import SharedTape
from opensqt.backtest.search.space import Value
from opensqt.backtest.search.trials import Outcome, Status
from opensqt.backtest.search.walk import Span, between
from opensqt.backtest.tape import Tape
from opensqt.core.exchange.rules import MarketRules
from opensqt.core.grid.config import GridConfigError
from opensqt.runtime.backtest_config import BacktestConfig
from opensqt.runtime.bot_config import BotConfig
from opensqt.runtime.config import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestSetup:
    """What a search's backtests have in common."""

    bot: BotConfig
    """As it is configured; a trial changes some of its settings."""
    assumed: BacktestConfig
    market: MarketRules
    tape: Tape | SharedTape
    wanted: frozenset[str]
    """The measures that are asked for."""
    mode: Mode = Mode.AUTO

    def open(self) -> "BacktestEvaluator":
        """Make the evaluator."""
        tape = self.tape.open() if isinstance(self.tape, SharedTape) else self.tape
        return BacktestEvaluator(self, tape)


class BacktestEvaluator:
    """Judges settings by backtests on a market that it holds."""

    def __init__(self, setup: BacktestSetup, tape: Tape) -> None:
        self._setup, self._whole = setup, tape
        self._span: Span | None = None
        self._tape = tape

    def judge(self, settings: Mapping[str, Value], span: Span) -> Outcome:
        """What settings would have done in a stretch of history."""
        try:
            case = self.case(settings, span)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            why = first["msg"].removeprefix("Value error, ")
            return Outcome(status=Status.IMPOSSIBLE, why=f"{where}: {why}" if where else why)
        except ConfigError as error:
            return Outcome(status=Status.IMPOSSIBLE, why="; ".join(map(str, error.problems)))
        except GridConfigError as error:
            return Outcome(status=Status.IMPOSSIBLE, why=str(error))
        result = run(case, mode=self._setup.mode)
        measures = judge(case, result, self._setup.wanted)
        return Outcome(status=Status.JUDGED, measures=measures)

    def case(self, settings: Mapping[str, Value], span: Span) -> Case:
        """What is run for a trial.

        Raises:
            ValidationError: The settings contradict each other.
            GridConfigError: They do.
            ConfigError: The exchange would not take such orders, or not give such leverage.
        """
        setup = self._setup
        config, assumed = with_settings(setup.bot, setup.assumed, settings)
        markets = {config.symbol: setup.market}
        bots = make_bots([config], markets, assumed)
        tape = self._cut(span)
        check_first_price(config, tape, setup.market.instrument)
        case = build_case(bots, markets, {config.symbol: tape}, assumed)
        check(case)
        return case

    def _cut(self, span: Span) -> Tape:
        # Trial after trial is of the same stretch.
        if span != self._span:
            self._tape, self._span = between(self._whole, span), span
        return self._tape
