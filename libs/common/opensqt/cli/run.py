"""`opensqt run`: paper-trades bots in this process alone, and goes on where it was stopped.

What plays and reads markets needs the libraries of research, and is imported when the command runs.
"""

import asyncio
import logging
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import structlog
import typer

from opensqt.backtest.markets import DEFAULT_MARKETS
from opensqt.cli.case import STDOUT, Asked, case_of, check_places, refusals
from opensqt.cli.data_times import parse_time
from opensqt.cli.exit_codes import ExitCode
from opensqt.cli.market_options import EndOption, MarketsOption, StartOption, StrictOption
from opensqt.cli.output import CommandError, Output, command
from opensqt.cli.run_view import RunView, tell_end
from opensqt.cli.up import DEFAULT_CONFIG, DEFAULT_RECORDING, parse_duration
from opensqt.core.errors import Refusal
from opensqt.core.numbers import NotExactError, parse_decimal
from opensqt.ports import CheckpointError
from opensqt.runtime.backtest_config import BacktestConfig
from opensqt.runtime.bot_config import BotConfig
from opensqt.runtime.config import load_config

if TYPE_CHECKING:
    from opensqt.backtest.case import Case
    from opensqt.solo.run import Ended, SoloRun

SPEED_MAX: Final = 10_000.0


def run(
    engine: Annotated[
        str,
        typer.Option(
            help="simple: everything in this process. The durable engine, with its services, is "
            "what `opensqt up` runs."
        ),
    ] = "simple",
    config: Annotated[
        list[Path] | None,
        typer.Option(
            "--config",
            "-c",
            help="A bot's configuration, the same that trades live; several for several bots, "
            f"each with an account of its own. By default {DEFAULT_CONFIG}.",
        ),
    ] = None,
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            "-d",
            "--recording",
            help="The market to play: all that `opensqt backtest --data` reads, a file or a "
            "folder.",
        ),
    ] = DEFAULT_RECORDING,
    start: StartOption = None,
    end: EndOption = None,
    speed: Annotated[
        str,
        typer.Option(
            metavar="TIMES", help="How many times faster than it was; max: as fast as it goes."
        ),
    ] = "1",
    duration: Annotated[
        str | None,
        typer.Option(
            help="Stop after this time on your own clock, such as 30s, 5m or 1h; by default at "
            "the end of the data."
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint",
            "--checkpoints",
            metavar="FILE",
            help="Keep the run in this file, and go on where it was stopped or killed; it has "
            "room for many bots. By default nothing is kept.",
        ),
    ] = None,
    assume: Annotated[
        Path | None,
        typer.Option(
            "--assume",
            "-a",
            help="What is assumed, as for `opensqt backtest`, but for latency: here everything "
            "arrives at once.",
        ),
    ] = None,
    deposit: Annotated[
        str | None,
        typer.Option(help="What each account has at first, in quote; by default as assumed."),
    ] = None,
    markets: MarketsOption = DEFAULT_MARKETS,
    strict: StrictOption = False,
    json_out: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="FILE",
            help="Write the summary and every order and fill, for programs and for `opensqt "
            "diff`; - writes the summary alone to stdout, and nothing else.",
        ),
    ] = None,
    summary: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the summary alone to this file, as JSON."),
    ] = None,
) -> None:
    """Paper-trade bots on a recorded market, in one process.

    The bot's state is in memory, its checkpoints are in a SQLite file.
    Stopped by Ctrl-C, or killed at any moment, the same command with the
    same file goes on where it was, and the simulated exchange with it.
    Ends with a summary that holds our books against the exchange's own.
    Exit code 0: they agree, and no order was doubled.

    Six minutes of recorded trades, twenty times faster:

    opensqt run --speed 20

    Two days of a month, kept in a file, and as a run to compare:

    opensqt run -c config/backtest.btcusdt.yaml
    -d recordings/btcusdt_perp_1m_202505.csv.gz
    --from 2025-05-10 --to 2025-05-12 --speed max
    --checkpoint run.sqlite --json paper.json

    What differs from a backtest of the same data that assumes no latency
    (opensqt backtest, the same -c, -d, --from and --to, with
    --assume config/backtest.instant.yaml --json backtest.json), and why:

    opensqt diff backtest.json paper.json
    """
    with command(as_json=json_out == STDOUT) as output, _explained():
        _refuse_engine(engine)
        times = _speed(speed)
        duration_s = parse_duration(duration) if duration else None
        check_places(json_out, summary)
        asked = Asked(
            bots=_bots(config or [DEFAULT_CONFIG]),
            assumed=_assumed(assume, deposit),
            data=data,
            markets=markets,
            start_ns=parse_time(start, "--from") if start else None,
            end_ns=parse_time(end, "--to") if end else None,
            strict=strict,
        )
        cases = _apart(case_of(asked))
        with _checkpoints(checkpoint) as path:
            ended, stopped = asyncio.run(
                _run(cases, path, output, speed=times, duration_s=duration_s)
            )
        tell_end(output, ended, json_out=json_out, summary=summary)
        if stopped and checkpoint is not None:
            output.note(f"stopped; the same command goes on from {checkpoint}")
        if any(not one.comparison.agree or one.comparison.duplicates for one in ended):
            raise typer.Exit(ExitCode.FAILURE)


async def _run(
    cases: Sequence["Case"],
    path: Path,
    output: Output,
    *,
    speed: float | None,
    duration_s: float | None,
) -> tuple[tuple["Ended", ...], bool]:
    """Play to the end, or until told to stop; what came of it, and whether it was stopped."""
    from opensqt.solo.playing import play
    from opensqt.solo.run import SoloRun

    # What a program reads from stdout is the summary alone.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    with ExitStack() as opened:
        runs = [opened.enter_context(closing(SoloRun(case, checkpoints=path))) for case in cases]
        for run in runs:
            await _begin(run, output)
        if duration_s is not None:
            loop.call_later(duration_s, stop.set)
        view = RunView(runs, output)
        view.begin(speed)
        await play(runs, speed=speed, stop=stop, look=view.look)
        return tuple([await run.end() for run in runs]), not all(run.market.ended for run in runs)


async def _begin(run: "SoloRun", output: Output) -> None:
    bot_id = run.bot.bot_id
    done = await run.begin(lambda now, of: output.note(f"{bot_id}: coming back: {now} of {of}"))
    if done:
        output.note(f"{bot_id}: going on after {done} of {run.market.count} events")


def _apart(case: "Case") -> tuple["Case", ...]:
    from opensqt.solo.apart import apart

    return apart(case)


def _refuse_engine(engine: str) -> None:
    if engine == "durable":
        raise CommandError(
            "--engine durable: it needs the services, which `opensqt up` starts all; run that "
            "instead, or leave --engine out to trade in this process alone",
            ExitCode.USAGE,
        )
    if engine != "simple":
        raise CommandError(f"--engine {engine}: allowed: simple", ExitCode.USAGE)


def _bots(paths: Sequence[Path]) -> tuple[BotConfig, ...]:
    return tuple(load_config(BotConfig, path, env_prefix="OPENSQT_BOT_") for path in paths)


def _assumed(path: Path | None, deposit: str | None) -> BacktestConfig:
    assumed = load_config(BacktestConfig, path, env_prefix="OPENSQT_ASSUME_")
    if deposit is None:
        return assumed
    return assumed.model_copy(update={"deposit": _amount(deposit)})


def _amount(text: str) -> Decimal:
    try:
        amount = parse_decimal(text, name="--deposit")
    except NotExactError as error:
        raise CommandError(str(error), ExitCode.USAGE) from None
    if amount <= 0:
        raise CommandError(f"--deposit {text}: allowed is more than zero", ExitCode.USAGE)
    return amount


def _speed(text: str) -> float | None:
    """Market time per time; None: as fast as it goes."""
    if text in ("max", "0"):
        return None
    try:
        times = float(text)
    except ValueError:
        times = 0.0
    if not 0 < times <= SPEED_MAX:
        raise CommandError(
            f"--speed {text}: allowed is a number up to {SPEED_MAX:g}, or max", ExitCode.USAGE
        )
    return times


@contextmanager
def _checkpoints(path: Path | None) -> Iterator[Path]:
    """The file to use; without one, one that is gone afterwards."""
    if path is not None:
        if not path.absolute().parent.is_dir():
            raise CommandError(f"--checkpoint {path}: no such directory", ExitCode.USAGE)
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="opensqt-run-") as directory:
        yield Path(directory) / "checkpoints.sqlite"


@contextmanager
def _explained() -> Iterator[None]:
    """What was refused becomes a message that says what is allowed."""
    with refusals():
        try:
            yield
        except Refusal as error:
            raise CommandError(str(error), ExitCode.USAGE) from error
        except CheckpointError as error:
            raise CommandError(str(error), ExitCode.FAILURE) from error
