"""`opensqt backtest`: what a bot would have done on recorded history, and what it would have made.

What computes needs the libraries of research, and is imported when the command runs.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from opensqt.backtest.markets import DEFAULT_MARKETS
from opensqt.cli.backtest_summary import print_summary
from opensqt.cli.case import STDOUT, Asked, case_of, check_places, refusals
from opensqt.cli.data_times import parse_time
from opensqt.cli.exit_codes import ExitCode
from opensqt.cli.market_options import EndOption, MarketsOption, StartOption, StrictOption
from opensqt.cli.output import CommandError, Output, command
from opensqt.runtime.backtest_config import BacktestConfig
from opensqt.runtime.bot_config import BotConfig
from opensqt.runtime.config import load_config

if TYPE_CHECKING:
    from opensqt.backtest.case import Case
    from opensqt.backtest.result import Result

PROGRESS_AFTER_EVENTS: Final = 200_000
"""Shorter markets are done before a bar could be read."""


class ModeName(StrEnum):
    """The engines, as `backtest.case.Mode` has them."""

    AUTO = "auto"
    EVERY = "every"
    STEP = "step"
    SKIP = "skip"
    INTEGER = "integer"


def backtest(
    config: Annotated[
        list[Path],
        typer.Option(
            "--config",
            "-c",
            help="A bot's configuration, the same that trades live; several for several bots.",
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            "-d",
            help="A file of the market, or a folder in which every symbol's files are found by "
            "name. Funding and mark prices beside it are taken, too. `opensqt data --help` says "
            "which forms are read.",
        ),
    ],
    start: StartOption = None,
    end: EndOption = None,
    assume: Annotated[
        Path | None,
        typer.Option(
            "--assume",
            "-a",
            help="What is assumed: deposit, leverage, latency, fees, how orders fill, the way in a "
            "candle, funding. By default as in config/backtest.example.yaml: 10,000 in quote, 5x, "
            "50 ms each way, the fees of --markets, the funding in the data.",
        ),
    ] = None,
    markets: MarketsOption = DEFAULT_MARKETS,
    mode: Annotated[
        ModeName,
        typer.Option(
            help="The engine; the result is the same with each. auto: the fastest that the case "
            "allows; every: shows every event to everything, the reference."
        ),
    ] = ModeName.AUTO,
    strict: StrictOption = False,
    json_out: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="FILE",
            help="Write everything exactly, with each order and fill, for programs and for "
            "`opensqt diff`; - writes the figures alone to stdout, and nothing else.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a report to look at: one HTML file of some MB that works offline.",
        ),
    ] = None,
    parquet: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write orders, fills, payments and equity as Parquet."),
    ] = None,
) -> None:
    """Run bots on recorded history: the code that trades live, with every assumption priced.

    Orders queue, fill by what really traded, arrive late, pay fees, funding and
    margin, and are refused or liquidated as on the exchange: see docs/backtest.md.
    What to be careful about is said last, after the figures.

    A month of BTCUSDT, with a report to look at:

    opensqt backtest -c config/backtest.btcusdt.yaml
    -d recordings/btcusdt_perp_1m_202505.csv.gz --report report.html

    Two days of it, as cautious assumptions have it, add:

    --from 2025-05-10 --to 2025-05-12 --assume config/backtest.cautious.yaml

    Two bots that share a margin, everything as tables:

    opensqt backtest -c btc.yaml -c eth.yaml -d my-data/
    --parquet out --json run.json
    """
    with command(as_json=json_out == STDOUT) as output, refusals():
        check_places(json_out, report, parquet)
        asked = Asked(
            bots=tuple(load_config(BotConfig, path, env_prefix="OPENSQT_BOT_") for path in config),
            assumed=load_config(BacktestConfig, assume, env_prefix="OPENSQT_ASSUME_"),
            data=data,
            markets=markets,
            start_ns=parse_time(start, "--from") if start else None,
            end_ns=parse_time(end, "--to") if end else None,
            strict=strict,
        )
        case = case_of(asked)
        result = _run(case, mode)
        _tell(asked, case, result, output, Places(json_out, report, parquet))


class Places(NamedTuple):
    """Where to write what came of it; None: not asked for."""

    json: Path | None
    report: Path | None
    parquet: Path | None


def _run(case: "Case", mode: ModeName) -> "Result":
    from opensqt.backtest.case import Mode
    from opensqt.backtest.run import run

    events = sum(len(tape.trades) + len(tape.quotes) for tape in case.tapes.values())
    with _progress(events) as progress:
        try:
            return run(case, mode=Mode(mode.value), progress=progress)
        except ValueError as error:
            if mode is ModeName.AUTO:
                raise
            raise CommandError(str(error), ExitCode.USAGE) from error  # not for this case


@contextmanager
def _progress(events: int) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, if a person is there to see it and the market is long enough."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    hidden = not console.is_terminal or events < PROGRESS_AFTER_EVENTS
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task("events", total=events)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _tell(asked: Asked, case: "Case", result: "Result", output: Output, places: Places) -> None:
    from opensqt.backtest.report.as_json import report_json, write_json
    from opensqt.backtest.report.contents import Contents

    contents = Contents.of(case, result, asked.assumed)
    written: list[Path] = []
    if places.report is not None:
        from opensqt.backtest.report.page import write_page

        write_page(places.report, contents)
        written.append(places.report)
    if places.parquet is not None:
        from opensqt.backtest.report.as_parquet import write_parquet

        written += write_parquet(places.parquet, contents)
    if places.json == STDOUT:
        output.json(report_json(contents))
        return
    if places.json is not None:
        write_json(places.json, contents)
        written.append(places.json)
    print_summary(output, contents)
    for path in written:
        output.line(f"written: {path}")
