"""Getting files of Binance's public archives: zipped tables, one for each month or day.

Whole months are taken as one file where there is one, else as days; funding comes in months only.
Each file is checked against the checksum that lies beside it. A file that is there is not got
again. The files are kept as they are, since a backtest reads them.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import aiohttp

from opensqt.backtest.data.download.wanted import DownloadError, Wanted

ARCHIVE_URL: Final = "https://data.binance.vision/data/futures/um"
"""Binance's archive of its USD-M futures."""
ATTEMPTS: Final = 5
BACKOFF_S: Final = 0.5
WAIT_S_MAX: Final = 60.0
"""When a host says how long to wait, so long at most."""
TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
"""Of silence. A month of trades may take as long as it takes."""
_PIECE_BYTES: Final = 1 << 20
_FOLDERS: Final = {
    Wanted.CANDLES: "klines",
    Wanted.TRADES: "aggTrades",
    Wanted.FUNDING: "fundingRate",
    Wanted.MARK: "markPriceKlines",
}
_NOT_FOUND: Final = 404
_REFUSALS: Final = frozenset(range(400, 500)) - {_NOT_FOUND, 408, 425, 429}
"""Answers that another attempt does not change."""


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
        beside = path.with_name(f".{path.name}.part")
        try:
            found = await self._again(url, lambda answer: _save(answer, beside))
            if found is None:
                return False
            checksum = await self._again(f"{url}.CHECKSUM", lambda answer: answer.text("latin-1"))
            told = (checksum or "").split()[:1] or ["none"]
            if found != told[0]:
                raise DownloadError(
                    f"{url}: its checksum is {found}, but the archive's is {told[0]}"
                )
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        return True

    async def _again(
        self, url: str, take: Callable[[aiohttp.ClientResponse], Awaitable[str]]
    ) -> str | None:
        """What is taken of an answer; None when nothing is at the address.

        Raises:
            DownloadError: There is no answer after several attempts, or a refusal.
        """
        wait_s = self._backoff_s
        for attempt in range(1, ATTEMPTS + 1):
            told_s = 0.0
            try:
                async with self._session.get(url, timeout=TIMEOUT) as answer:
                    if answer.status == _NOT_FOUND:
                        return None
                    if answer.status in _REFUSALS:
                        raise DownloadError(f"{url}: refused with {answer.status} {answer.reason}")
                    told_s = _told_to_wait_s(answer)
                    answer.raise_for_status()
                    return await take(answer)
            except (aiohttp.ClientError, TimeoutError) as error:
                if attempt == ATTEMPTS:
                    text = f"{url}: no answer after {ATTEMPTS} attempts: {error}"
                    raise DownloadError(text, unreachable=True) from error
            await asyncio.sleep(max(wait_s, told_s))
            wait_s *= 2
        raise AssertionError("the last attempt returns or raises")


async def _save(answer: aiohttp.ClientResponse, path: Path) -> str:
    """Write a body to a file; returns its checksum."""
    digest = hashlib.sha256()
    with path.open("wb") as file:  # nobody else waits
        async for piece in answer.content.iter_chunked(_PIECE_BYTES):
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def _told_to_wait_s(answer: aiohttp.ClientResponse) -> float:
    """What a busy host asks for, within reason."""
    told = answer.headers.get("Retry-After", "")
    return min(float(told), WAIT_S_MAX) if told.isdecimal() else 0.0


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
