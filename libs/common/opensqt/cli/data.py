"""`opensqt data`: getting, converting and checking market data.

What works with data needs the libraries of research, and is imported when a command runs.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opensqt.backtest.markets import DEFAULT_MARKETS
from opensqt.cli.data_download import download
from opensqt.cli.data_times import time_text
from opensqt.cli.exit_codes import EPILOG, ExitCode
from opensqt.cli.output import CommandError, JsonOption, Output, command
from opensqt.cli.research import research_needed
from opensqt.runtime.config import ConfigError

if TYPE_CHECKING:
    from opensqt.backtest.data.survey import Survey

FORMS_HELP = (
    "Files that are read: raw Binance streams (.jsonl), tables of candles, trades, funding and "
    "mark candles (.csv with headings such as ts_ms,open,high,low,close,volume, "
    "ts_ms,funding_rate, and those of Binance's public archives), gzipped or zipped; and Parquet "
    "that `convert` wrote."
)

app = typer.Typer(
    no_args_is_help=True,
    epilog=EPILOG,
    help="Get, convert and check market data for backtests.\n\n" + FORMS_HELP,
)
app.command(epilog=EPILOG)(download)


class Form(StrEnum):
    """What to convert to."""

    PARQUET = "parquet"
    CSV = "csv"


@app.command(epilog=EPILOG)
def check(
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders of them.")],
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 when anything is wrong.")
    ] = False,
    markets: Annotated[
        Path, typer.Option("--markets", help="Trading rules, to hold prices against the tick.")
    ] = DEFAULT_MARKETS,
    as_json: JsonOption = False,
) -> None:
    """Say what data files hold, and what is wrong: gaps, duplicates, time that goes back and more.

    Nothing is changed. A file that cannot be read at all ends with exit code 1; what is wrong
    within one does so with --strict.

    Example: opensqt data check recordings --strict
    """
    with command(as_json=as_json) as output, _reading():
        from opensqt.backtest.data.survey import survey

        ticks = _ticks(markets)
        found = [one for path in paths for one in survey(path, ticks)]
        if as_json:
            output.json([_survey_json(one) for one in found])
        else:
            _tell(output, found)
        if any(one.damage or (strict and one.problems) for one in found):
            raise typer.Exit(ExitCode.FAILURE)


@app.command(epilog=EPILOG)
def convert(
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders of them.")],
    to: Annotated[Form, typer.Option(help="What to write.")] = Form.PARQUET,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write into; left out: beside each file.")
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Refuse a file in which anything is wrong. Otherwise rows that cannot be used are "
            "left out, and said; nothing is ever filled in.",
        ),
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace files that are there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Convert data files to Parquet, or back to CSV; numbers stay exact.

    A recording of raw streams becomes a file for each of its tables: NAME.trades, NAME.quotes and
    NAME.marks, which a backtest reads as one market again.

    Example: opensqt data convert recordings/btcusdt_usdm_20240808.jsonl.gz --out data
    """
    with command(as_json=as_json) as output, _reading():
        from opensqt.backtest.data.sources.folder import data_files
        from opensqt.backtest.data.sources.problems import Problems

        problems = Problems(strict=strict)
        written = [
            row
            for path in paths
            for file in data_files(path)
            for row in _convert(file, to, out or file.parent, problems, overwrite=overwrite)
        ]
        notes = problems.notes()
        if as_json:
            output.json(
                {
                    "written": [{"file": str(path), "rows": rows} for path, rows in written],
                    "notes": [_note_json(note) for note in notes],
                }
            )
            return
        for path, rows in written:
            output.line(f"{path}: {rows:,} rows")
        for note in notes:
            output.note(f"{note.count} x {note.kind}: {note.text}")


@contextmanager
def _reading() -> Iterator[None]:
    """What goes wrong with data becomes a message."""
    with research_needed():
        from opensqt.adapters.replay.source import DamagedData

        try:
            yield
        except DamagedData as error:
            raise CommandError(str(error), ExitCode.USAGE) from error
        except OSError as error:
            raise CommandError(f"cannot be written: {error}", ExitCode.FAILURE) from error


def _ticks(path: Path) -> Mapping[str, Decimal]:
    """What prices of each symbol must be multiples of; nothing where our own rules are not."""
    from opensqt.backtest.markets import load_markets

    if path == DEFAULT_MARKETS and not path.exists():
        return {}
    try:
        return {name: rules.instrument.tick_size for name, rules in load_markets(path).items()}
    except ConfigError as error:
        raise CommandError(str(error), ExitCode.USAGE) from error


def _convert(
    file: Path, to: Form, folder: Path, problems: object, *, overwrite: bool
) -> list[tuple[Path, int]]:
    from opensqt.backtest.data.funding import interval_minutes
    from opensqt.backtest.data.sources.opened import bare_name
    from opensqt.backtest.data.sources.problems import Problems
    from opensqt.backtest.data.sources.read import read_file
    from opensqt.backtest.data.sources.table import DataKind
    from opensqt.backtest.data.writing import write_table

    assert isinstance(problems, Problems)
    tables = read_file(file, problems)
    for table in tables:
        if table.kind is DataKind.FUNDING:
            interval_minutes(table, problems)  # says which are unknown
    symbols = {table.symbol for table in tables}
    written = []
    for table in tables:
        name = bare_name(file)
        if len(symbols) > 1:
            name += f".{table.symbol}"
        if len(tables) > 1:
            name += f".{table.kind}"
        path = folder / f"{name}.{to}"
        if path.exists() and not overwrite:
            raise CommandError(
                f"{path} is there already; allowed: --overwrite, or another --out",
                ExitCode.USAGE,
            )
        folder.mkdir(parents=True, exist_ok=True)
        write_table(table, path)
        written.append((path, len(table)))
    return written


def _tell(output: Output, found: "list[Survey]") -> None:
    rows = [
        (
            one.path.name,
            table.kind,
            table.symbol or None,
            f"{table.rows:,}",
            time_text(table.first_ns),
            time_text(table.last_ns),
            f"{table.interval_s:g}" if table.interval_s else None,
            table.tick,
        )
        for one in found
        for table in one.tables
    ]
    output.table(("file", "holds", "symbol", "rows ", "first", "last", "every s ", "tick "), rows)
    for one in found:
        if one.damage:
            output.line(f"DAMAGED {one.path.name}: {one.damage}")
        for note in one.problems:
            output.line(f"WRONG {note.count:,} x {note.kind}: {note.text}")
        for note in one.remarks:
            output.line(f"note: {note.text}")
    wrong = sum(note.count for one in found for note in one.problems)
    damaged = sum(bool(one.damage) for one in found)
    output.line(f"{len(found)} files, {damaged} damaged, {wrong:,} things wrong")


def _survey_json(one: "Survey") -> dict[str, object]:
    return {
        "file": str(one.path),
        "damage": one.damage,
        "tables": [
            {
                "kind": table.kind,
                "symbol": table.symbol,
                "rows": table.rows,
                "first": time_text(table.first_ns),
                "last": time_text(table.last_ns),
                "interval_s": table.interval_s,
                "tick": table.tick,
            }
            for table in one.tables
        ],
        "problems": [_note_json(note) for note in one.problems],
        "remarks": [_note_json(note) for note in one.remarks],
    }


def _note_json(note: object) -> dict[str, object]:
    return {name: getattr(note, name) for name in ("kind", "count", "text")}
