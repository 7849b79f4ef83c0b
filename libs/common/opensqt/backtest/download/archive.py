"""Getting files of Binance's public archives: zipped tables, one for each month or day.

Whole months are taken as one file where there is one, else as days; funding comes in months only.
Each file is checked against the checksum that lies beside it. A file that is there is not got
again. The files are kept as they are, since a backtest reads them.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import aiohttp

from opensqt.backtest.download.wanted import DownloadError, Wanted

ARCHIVE_URL: Final = "https://data.binance.vision/data/futures/um"
"""Binance's archive of its USD-M futures."""
ATTEMPTS: Final = 5
BACKOFF_S: Final = 0.5
TIMEOUT_S: Final = 300.0
_FOLDERS: Final = {
    Wanted.CANDLES: "klines",
    Wanted.TRADES: "aggTrades",
    Wanted.FUNDING: "fundingRate",
    Wanted.MARK: "markPriceKlines",
}
_NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFile:
    """A file of the archive."""

    period: str
    """``monthly`` or ``daily``."""
    name: str
    folder: str
    """Below the period."""
    days: tuple[date, ...]
    """What it covers."""

    def url(self, base_url: str) -> str:
        """Where it is."""
        return f"{base_url}/{self.period}/{self.folder}/{self.name}"


def files_of(
    symbol: str, wanted: Wanted, start: date, end: date, interval: str
) -> Iterator[ArchiveFile]:
    """The files for the days from `start` until before `end`, the largest that fit."""
    day = start
    while day < end:
        month = _month_of(day)
        inside = tuple(one for one in month if start <= one < end)
        if wanted is Wanted.FUNDING or inside == month:
            yield _file(symbol, wanted, month, interval)
        else:
            yield from (_file(symbol, wanted, (one,), interval) for one in inside)
        day = month[-1] + timedelta(days=1)


class Archive:
    """Gets files of an archive.

    Args:
        session: For the requests.
        base_url: Where the archive is.
        backoff_s: How long to wait before the second attempt; doubles with every other one.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str = ARCHIVE_URL,
        *,
        backoff_s: float = BACKOFF_S,
    ) -> None:
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._backoff_s = backoff_s

    async def fetch(  # what, of when, and where to
        self,
        symbol: str,
        wanted: Wanted,
        *,
        start_ns: int,
        end_ns: int,
        interval: str,
        folder: Path,
        progress: Callable[[str], None],
    ) -> tuple[list[Path], list[str]]:
        """Get all files that hold some of a span.

        Returns:
            The files that are there now, and the names of those that the archive does not have.

        Raises:
            DownloadError: The archive does not answer, or a file does not fit its checksum.
        """
        start = _day(start_ns)
        end = _day(end_ns - 1) + timedelta(days=1)
        folder = folder / _FOLDERS[wanted] if wanted is Wanted.MARK else folder
        folder.mkdir(parents=True, exist_ok=True)
        got: list[Path] = []
        missing: list[str] = []
        waiting = list(files_of(symbol, wanted, start, end, interval))
        while waiting:
            file = waiting.pop(0)
            path = folder / file.name
            if path.exists() or await self._get(file, path):
                got.append(path)
                progress(file.name)
            elif len(file.days) > 1 and wanted is not Wanted.FUNDING:
                days = (_file(symbol, wanted, (day,), interval) for day in file.days)
                waiting[:0] = days  # the month is not closed yet
            else:
                missing.append(file.name)
        return got, missing

    async def _get(self, file: ArchiveFile, path: Path) -> bool:
        url = file.url(self._base_url)
        body = await self._body(url)
        if body is None:
            return False
        checksum = await self._body(f"{url}.CHECKSUM")
        found = hashlib.sha256(body).hexdigest()
        told = checksum.decode("ascii", "replace").split()[0] if checksum else ""
        if found != told:
            raise DownloadError(f"{url}: its checksum is {found}, but the archive says {told!r}")
        beside = path.with_name(f".{path.name}.part")
        beside.write_bytes(body)
        beside.replace(path)
        return True

    async def _body(self, url: str) -> bytes | None:
        """What is at an address; None when nothing is."""
        wait_s = self._backoff_s
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._session.get(
                    url, timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)
                ) as answer:
                    if answer.status == _NOT_FOUND:
                        return None
                    answer.raise_for_status()
                    return await answer.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                if attempt == ATTEMPTS:
                    text = f"{url}: no answer after {ATTEMPTS} attempts: {error}"
                    raise DownloadError(text, unreachable=True) from error
            await asyncio.sleep(wait_s)
            wait_s *= 2
        raise AssertionError("the last attempt returns or raises")


def _file(symbol: str, wanted: Wanted, days: tuple[date, ...], interval: str) -> ArchiveFile:
    daily = len(days) == 1 and wanted is not Wanted.FUNDING
    kind = _FOLDERS[wanted]
    of_candles = wanted in (Wanted.CANDLES, Wanted.MARK)
    when = days[0].isoformat() if daily else f"{days[0]:%Y-%m}"
    return ArchiveFile(
        period="daily" if daily else "monthly",
        folder=f"{kind}/{symbol}" + (f"/{interval}" if of_candles else ""),
        name=f"{symbol}-{interval if of_candles else kind}-{when}.zip",
        days=days,
    )


def _month_of(day: date) -> tuple[date, ...]:
    first = day.replace(day=1)
    days = [first]
    while (following := days[-1] + timedelta(days=1)).month == first.month:
        days.append(following)
    return tuple(days)


def _day(time_ns: int) -> date:
    return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).date()
