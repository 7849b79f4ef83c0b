"""From what a command was told to a case: for `opensqt backtest`, and for `opensqt run`.

What computes needs the libraries of research, and is imported when a case is made.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opensqt.cli.data_times import time_text
from opensqt.cli.exit_codes import ExitCode
from opensqt.cli.output import CommandError
from opensqt.cli.research import research_needed
from opensqt.runtime.backtest_config import BacktestConfig
from opensqt.runtime.bot_config import BotConfig
from opensqt.runtime.config import ConfigError

if TYPE_CHECKING:
    from opensqt.backtest.case import Case

STDOUT: Final = Path("-")
"""Where a file could be named: print it instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for."""

    bots: tuple[BotConfig, ...]
    assumed: BacktestConfig
    data: Path
    markets: Path
    start_ns: int | None
    end_ns: int | None
    strict: bool


def case_of(asked: Asked) -> "Case":
    """The case that was asked for, its data read.

    Raises:
        ConfigError: A bot, or what is assumed, cannot be.
        DamagedData: The data cannot be read, or is wrong and `strict` was asked for.
        CommandError: The span is none, or no engine can run this.
    """
    from opensqt.backtest.assembly import (
        build_case,
        check_first_price,
        check_named,
        make_bots,
        read_market,
    )
    from opensqt.backtest.data.coverage import compared
    from opensqt.backtest.markets import load_markets
    from opensqt.backtest.run import check

    if asked.start_ns is not None and asked.end_ns is not None:
        _check_span(asked.start_ns, asked.end_ns)
    markets = load_markets(asked.markets)
    bots = make_bots(asked.bots, markets, asked.assumed)
    tapes = {}
    for config, bot in zip(asked.bots, bots, strict=True):
        check_named(asked.data, bot.symbol, markets)
        tape = read_market(
            asked.data,
            bot,
            asked.assumed,
            start_ns=asked.start_ns,
            end_ns=asked.end_ns,
            strict=asked.strict,
        )
        check_first_price(config, tape, bot.instrument)
        tapes[bot.symbol] = tape
    tapes = compared(
        tapes, asked.data, strict=asked.strict, start_ns=asked.start_ns, end_ns=asked.end_ns
    )
    case = build_case(bots, markets, tapes, asked.assumed)
    try:
        check(case)
    except ValueError as error:
        raise CommandError(str(error), ExitCode.USAGE) from error
    return case


@contextmanager
def refusals() -> Iterator[None]:
    """What is wrong with settings or data becomes a message that says what is allowed."""
    with research_needed():
        from opensqt.adapters.replay.source import DamagedData

        try:
            yield
        except ConfigError as error:
            problems = [
                {"key": problem.key, "value": problem.value, "allowed": problem.allowed}
                for problem in error.problems
            ]
            raise CommandError(str(error), ExitCode.USAGE, problems=problems) from error
        except DamagedData as error:
            raise CommandError(str(error), ExitCode.USAGE) from error
        except OSError as error:
            raise CommandError(f"cannot be written: {error}", ExitCode.FAILURE) from error


def check_places(*places: Path | None) -> None:
    """Refuse a place that cannot be written to before anything is computed."""
    for path in places:
        if path is not None and path != STDOUT and not path.absolute().parent.is_dir():
            raise CommandError(f"{path}: no such directory: {path.parent}", ExitCode.USAGE)


def _check_span(start_ns: int, end_ns: int) -> None:
    if end_ns <= start_ns:
        raise CommandError(
            f"--to {time_text(end_ns)}: allowed is a time after --from {time_text(start_ns)}",
            ExitCode.USAGE,
        )
