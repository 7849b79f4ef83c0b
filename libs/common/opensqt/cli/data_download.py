"""`opensqt data download`: market data from an exchange or from Binance's public archives."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from opensqt.cli.data_times import parse_time
from opensqt.cli.exit_codes import ExitCode
from opensqt.cli.output import CommandError, JsonOption, command
from opensqt.cli.research import research_needed

if TYPE_CHECKING:
    from opensqt.backtest.data.download.pages import Asked, Pages

_S = 1_000_000_000
_MS = 1_000_000


class Kind(StrEnum):
    """What to get."""

    CANDLES = "candles"
    TRADES = "trades"
    FUNDING = "funding"
    MARK = "mark"


class Ending(StrEnum):
    """What to write."""

    PARQUET = "parquet"
    CSV = "csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What was asked for on the command line."""

    symbols: tuple[str, ...]
    kinds: tuple[Kind, ...]
    start_ns: int
    end_ns: int
    interval: str
    folder: Path
    ending: Ending
    exchange: str
    url: str | None


def download(
    symbols: Annotated[list[str], typer.Argument(help="Such as BTCUSDT, as the exchange has it.")],
    start: Annotated[str, typer.Option("--from", help="Day or time, UTC, such as 2025-05-04.")],
    end: Annotated[str, typer.Option("--to", help="Until before this day or time, UTC.")],
    kind: Annotated[
        list[Kind] | None,
        typer.Option(help="What to get; may be given several times. Candles and funding if not."),
    ] = None,
    interval: Annotated[str, typer.Option(help="Of candles and mark candles.")] = "1m",
    out: Annotated[Path, typer.Option(help="Folder to write into.")] = Path("data"),
    to: Annotated[Ending, typer.Option("--as", help="What to write.")] = Ending.PARQUET,
    exchange: Annotated[str, typer.Option(help="An exchange by ccxt's name.")] = "binanceusdm",
    archive: Annotated[
        bool,
        typer.Option(
            "--archive",
            help="Get files of Binance's public archives instead: faster for months of trades. "
            "They are kept as they are.",
        ),
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(help="Stands in for the exchange's or the archive's own address."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Get candles, trades, funding and mark candles; public data, no key is needed.

    An interrupted download goes on where it was when the same command is given again. The files
    are named so that `opensqt backtest --data FOLDER` finds those of a symbol.

    Example: opensqt data download BTCUSDT ETHUSDT --from 2025-05-01 --to 2025-06-01
    """
    with command(as_json=as_json) as output, research_needed():
        order = _Order(
            symbols=tuple(dict.fromkeys(symbols)),
            kinds=tuple(dict.fromkeys(kind or (Kind.CANDLES, Kind.FUNDING))),
            start_ns=parse_time(start, "--from"),
            end_ns=parse_time(end, "--to"),
            interval=interval,
            folder=out,
            ending=to,
            exchange=exchange,
            url=url,
        )
        if order.start_ns >= order.end_ns:
            raise CommandError(f"--from {start} is not before --to {end}", ExitCode.USAGE)
        with _errors():
            got, missing = asyncio.run((_from_archive if archive else _from_exchange)(order))
        if as_json:
            output.json({"files": [str(path) for path in got], "missing": missing})
        else:
            for path in got:
                output.line(str(path))
            for name in missing:
                output.note(f"the archive has no {name}")
        if missing:
            raise typer.Exit(ExitCode.FAILURE)


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    from opensqt.adapters.replay.source import DamagedData
    from opensqt.backtest.data.download.wanted import DownloadError, WantedError

    try:
        yield
    except WantedError as error:
        raise CommandError(str(error), ExitCode.USAGE) from error
    except DownloadError as error:
        code = ExitCode.UNREACHABLE if error.unreachable else ExitCode.FAILURE
        again = "; what was got is kept: give the same command again to go on"
        raise CommandError(str(error) + again, code) from error
    except DamagedData as error:
        raise CommandError(f"what was got cannot be read: {error}", ExitCode.FAILURE) from error
    except OSError as error:
        raise CommandError(f"cannot be written: {error}", ExitCode.FAILURE) from error


async def _from_exchange(order: _Order) -> tuple[list[Path], list[str]]:
    from opensqt.backtest.data.download.pages import Asked, open_exchange
    from opensqt.backtest.data.download.wanted import Wanted

    files = []
    async with open_exchange(order.exchange, order.url) as pages:
        with _progress() as bars:
            for symbol in order.symbols:
                for kind in order.kinds:
                    asked = Asked(
                        symbol=symbol,
                        wanted=Wanted(kind),
                        start_ms=order.start_ns // _MS,
                        end_ms=order.end_ns // _MS,
                        interval=order.interval,
                    )
                    path = order.folder / f"{_name(symbol, kind, order)}.{order.ending}"
                    await _fetch(pages, asked, path, bars)
                    files.append(path)
    return files, []


async def _fetch(pages: "Pages", asked: "Asked", path: Path, bars: Progress) -> None:
    """Get one file, unless it is there."""
    from opensqt.backtest.data.download.pages import HEADINGS
    from opensqt.backtest.data.download.part import Part
    from opensqt.backtest.data.sources.problems import Problems
    from opensqt.backtest.data.sources.text_tables import read_text_table
    from opensqt.backtest.data.writing import write_table

    if path.exists():  # noqa: ASYNC240  # nobody else waits
        return
    bar = bars.add_task(path.stem, total=asked.end_ms - asked.start_ms)
    with Part(path, HEADINGS[asked.wanted]) as part:
        await pages.fetch(asked, part, _reporter(bars, bar, asked.start_ms))
    if part.is_empty:
        part.path.unlink()
        raise CommandError(
            f"{asked.symbol}: the exchange has no {asked.wanted} of that time", ExitCode.FAILURE
        )
    write_table(read_text_table(part.path, Problems(strict=True)), path)
    part.path.unlink()
    bars.update(bar, completed=asked.end_ms - asked.start_ms)


def _reporter(bars: Progress, bar: TaskID, start_ms: int) -> Callable[[int], None]:
    return lambda reached_ms: bars.update(bar, completed=reached_ms - start_ms)


async def _from_archive(order: _Order) -> tuple[list[Path], list[str]]:
    import aiohttp

    from opensqt.backtest.data.download.archive import ARCHIVE_URL, Archive
    from opensqt.backtest.data.download.wanted import Wanted

    got: list[Path] = []
    missing: list[str] = []
    async with aiohttp.ClientSession(trust_env=True) as session:
        archive = Archive(session, order.url or ARCHIVE_URL)
        with _progress() as bars:
            for symbol in order.symbols:
                for kind in order.kinds:
                    bar = bars.add_task(f"{symbol} {kind}", total=None)
                    files, absent = await archive.fetch(
                        symbol,
                        Wanted(kind),
                        start_ns=order.start_ns,
                        end_ns=order.end_ns,
                        interval=order.interval,
                        folder=order.folder,
                        progress=lambda name, bar=bar: bars.update(bar, description=name),  # type: ignore[misc]
                    )
                    bars.update(bar, total=1, completed=1)
                    got += files
                    missing += absent
    return got, missing


def _name(symbol: str, kind: Kind, order: _Order) -> str:
    """Such as BTCUSDT_1m_20250504_20250601, which `sources.folder` understands."""
    what = {
        Kind.CANDLES: order.interval,
        Kind.MARK: f"mark_{order.interval}",
        Kind.TRADES: "trades",
        Kind.FUNDING: "funding",
    }[kind]
    plain = symbol.partition(":")[0].replace("/", "")
    return f"{plain}_{what}_{_stamp(order.start_ns)}_{_stamp(order.end_ns)}"


def _stamp(time_ns: int) -> str:
    moment = datetime.fromtimestamp(time_ns // _S, UTC)
    return f"{moment:%Y%m%d}" if time_ns % (86_400 * _S) == 0 else f"{moment:%Y%m%dT%H%M%S}"


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """Bars on stderr, where somebody watches."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        yield bars
