"""`opensqt up`: paper-trades here, through every service, until it is told to stop."""

import asyncio
import re
from pathlib import Path
from typing import Annotated

import typer

from opensqt.cli.connection import RUN_ROOT
from opensqt.cli.exit_codes import ExitCode
from opensqt.cli.output import CommandError, JsonOption, Output, command
from opensqt.cli.up_run import InterruptedRunError, UpRun
from opensqt.embedded.free_ports import free_ports
from opensqt.embedded.paper.books import Comparison
from opensqt.embedded.paper.settings import PORT_NAMES, PaperSettings
from opensqt.embedded.paper.summary import summarise, summary_lines, write_summary
from opensqt.embedded.postgres_server import PostgresServerError
from opensqt.embedded.run_directory import RunRoot, remove_databases
from opensqt.embedded.stack import StackError
from opensqt.embedded.unprivileged import NoUnprivilegedUserError
from opensqt.runtime.bot_config import BotConfig
from opensqt.runtime.config import ConfigError, load_config

DEFAULT_CONFIG = Path("config/bot.example.yaml")
DEFAULT_RECORDING = Path("recordings/btcusdt_usdm_20240808.jsonl.gz")
FAULTS = ("none", "mild", "rough")
SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}


def up(
    config: Annotated[
        Path, typer.Option("--config", help="The bot's configuration.")
    ] = DEFAULT_CONFIG,
    recording: Annotated[
        Path, typer.Option(help="The market to play: recorded raw streams of Binance.")
    ] = DEFAULT_RECORDING,
    speed: Annotated[
        float, typer.Option(min=0.01, max=10_000, help="Play it this many times faster.")
    ] = 1.0,
    duration: Annotated[
        str | None,
        typer.Option(
            help="Stop after this time of trading, such as 30s, 5m or 1h; "
            "by default at the end of the recording."
        ),
    ] = None,
    summary: Annotated[
        Path | None, typer.Option(help="Also write the summary to this file, as JSON.")
    ] = None,
    faults: Annotated[
        str, typer.Option(help=f"What goes wrong at the exchange: {', '.join(FAULTS)}.")
    ] = "none",
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the run's databases, to look into them later.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Paper-trade a grid on a recorded market, through every service.

    Starts NATS, PostgreSQL, a paper exchange and all services on free ports, trades until Ctrl-C,
    the duration, or the end of the recording, and ends with a summary that holds our books against
    the exchange's own. Exit code 0: they agree, and no order was doubled.
    """
    with command(as_json=as_json) as output:
        bot = _load_bot(config)
        duration_s = parse_duration(duration) if duration else None
        _refuse_unusable(recording, summary, faults)
        root = RunRoot(Path(RUN_ROOT))
        ports = dict(zip(PORT_NAMES, free_ports(len(PORT_NAMES)), strict=True))
        run = root.create(ports)
        settings = PaperSettings(
            bot=bot,
            source={"kind": "recording", "path": str(recording.absolute())},
            speed=speed,
            faults=faults,
            ports=ports,
            certificates=root.certificates,
            directory=run.path,
        )
        try:
            comparison = asyncio.run(UpRun(settings, run, output, duration_s=duration_s).run())
        except StackError as error:
            code = ExitCode.USAGE if error.refused else ExitCode.FAILURE
            raise CommandError(str(error), code, logs=str(run.logs)) from error
        except (PostgresServerError, NoUnprivilegedUserError, OSError) as error:
            text = f"{error}; `opensqt doctor` may say more"
            raise CommandError(text, ExitCode.FAILURE, logs=str(run.logs)) from error
        except InterruptedRunError as error:
            raise CommandError(str(error), ExitCode.FAILURE, logs=str(run.logs)) from error
        finally:
            if not keep:
                remove_databases(run.path)
        finish(output, comparison, summary, run.path / "summary.json")


def parse_duration(text: str) -> float:
    """Read a time such as ``30s``, ``1.5m`` or ``1h``, in seconds; a bare number is seconds.

    Raises:
        CommandError: It is none, or not positive.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", text.strip())
    if found is None or not float(found[1]):
        raise CommandError(
            f"--duration {text}: allowed is a number with s, m or h, such as 30s", ExitCode.USAGE
        )
    return float(found[1]) * SECONDS[found[2]]


def _load_bot(path: Path) -> BotConfig:
    try:
        return load_config(BotConfig, path, env_prefix="OPENSQT_BOT_")
    except ConfigError as error:
        raise CommandError(str(error), ExitCode.USAGE) from error


def refuse_paths(recording: Path, summary: Path | None) -> None:
    """Refuse a recording that is not there, and a summary that has no place.

    Raises:
        CommandError: Naming the option.
    """
    if not recording.is_file():
        raise CommandError(
            f"--recording {recording}: no such file; run this in the project's directory, "
            "or name a recording",
            ExitCode.USAGE,
        )
    if summary is not None and not summary.absolute().parent.is_dir():
        raise CommandError(f"--summary {summary}: no such directory", ExitCode.USAGE)


def _refuse_unusable(recording: Path, summary: Path | None, faults: str) -> None:
    refuse_paths(recording, summary)
    if faults not in FAULTS:
        raise CommandError(f"--faults {faults}: allowed: {', '.join(FAULTS)}", ExitCode.USAGE)


def finish(
    output: Output, comparison: Comparison, *paths: Path | None, note: str | None = None
) -> None:
    """Tell the end of a paper run.

    Args:
        output: Where.
        comparison: Our books beside the exchange's.
        paths: Files that the summary is written to as well.
        note: What else a person should know.

    Raises:
        Exit: With a failure, when the books disagree or an order was doubled.
    """
    summary = summarise(comparison)
    for path in paths:
        if path is not None:
            write_summary(path, summary)
    if output.as_json:
        output.json(summary)
    for line in summary_lines(comparison):
        output.line(line)
    if note is not None:
        output.note(note)
    if not comparison.agree or comparison.duplicates:
        raise typer.Exit(ExitCode.FAILURE)
