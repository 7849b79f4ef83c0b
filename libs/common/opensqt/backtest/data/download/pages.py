"""Getting market data from an exchange's public REST, through ccxt, page by page.

Every page is added to a file beside the one that is wanted. A call that finds such a file goes on
behind its last row. Numbers stay the text that the exchange sent.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import ccxt.async_support

from opensqt.backtest.data.download.part import Part
from opensqt.backtest.data.download.wanted import DownloadError, Wanted, WantedError

ATTEMPTS: Final = 6
"""Of each page, before the exchange counts as out of reach."""
BACKOFF_S: Final = 0.5
BACKOFF_S_MAX: Final = 10.0
REQUEST_TIMEOUT_MS: Final = 15_000
PAGE: Final = 1000
"""Rows of a page; what Binance gives of all of them."""
_WINDOW_MS: Final = 3_600_000
"""Of trades, what is asked for at once at most."""
HEADINGS: Final = {
    Wanted.CANDLES: "ts_ms,open,high,low,close,volume",
    Wanted.MARK: "ts_ms,open,high,low,close",
    Wanted.TRADES: "ts_ms,price,quantity,buyer_is_maker,id",
    Wanted.FUNDING: "ts_ms,funding_rate",
}

Progress = Callable[[int], None]
"""Takes the time reached, in ms."""
Row = tuple[int, str]
"""Its time in ms, and its line."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is wanted of one symbol."""

    symbol: str
    """The exchange's own name of it, or ccxt's."""
    wanted: Wanted
    start_ms: int
    end_ms: int
    """Until before when."""
    interval: str = "1m"
    """Of candles, such as 1m."""


@asynccontextmanager
async def open_exchange(
    exchange_id: str, base_url: str | None = None, *, backoff_s: float = BACKOFF_S
) -> AsyncIterator["Pages"]:
    """An exchange of ccxt's, for its public data.

    Args:
        exchange_id: ccxt's name of it, such as ``binanceusdm``.
        base_url: Stands in for its hosts, such as ``http://127.0.0.1:8080``.
        backoff_s: How long to wait before the second attempt; doubles with every other one.

    Raises:
        WantedError: ccxt knows no such exchange.
        DownloadError: It does not answer.
    """
    if exchange_id not in ccxt.async_support.exchanges:
        raise WantedError(
            f"ccxt knows no exchange {exchange_id!r}; allowed are its ids, such as binanceusdm"
        )
    exchange = getattr(ccxt.async_support, exchange_id)(
        {"enableRateLimit": True, "timeout": REQUEST_TIMEOUT_MS}
    )
    exchange.number = str
    if base_url is not None:
        exchange.urls["api"] = _elsewhere(exchange.urls["api"], base_url.rstrip("/"))
    pages = Pages(exchange, backoff_s)
    try:
        await pages.again(exchange.load_markets)
        yield pages
    finally:
        await exchange.close()


class Pages:
    """Gets pages of an exchange's public data.

    Args:
        exchange: ccxt's.
        backoff_s: How long to wait before the second attempt.
    """

    def __init__(self, exchange: Any, backoff_s: float) -> None:
        self._exchange = exchange
        self._backoff_s = backoff_s

    async def fetch(self, asked: Asked, part: Part, progress: Progress) -> None:
        """Get all that is wanted into a part.

        Raises:
            WantedError: The exchange lists no such symbol, or does not have what is wanted.
            DownloadError: It does not answer, or refuses. What was got is in the part.
        """
        market = self._market(asked)
        end_ms = min(asked.end_ms, self._exchange.milliseconds())
        since_ms = asked.start_ms if part.last_ms is None else part.last_ms
        seen = part.tail
        while since_ms < end_ms:
            after = self._id_to_follow(asked, part)
            until_ms = min(since_ms + _WINDOW_MS, end_ms) - 1
            answer = await self.again(
                lambda: self._page(asked, market, since_ms, until_ms, after)  # noqa: B023  # awaited
            )
            page = sorted(answer, key=itemgetter(0))
            within = [row for row in page if asked.start_ms <= row[0] < end_ms]
            new = [line for _, line in within if line not in seen]
            part.append(new)
            if len(page) >= PAGE:
                if not new and page[-1][0] < end_ms:
                    raise DownloadError(
                        f"{asked.symbol}: more than {PAGE} {asked.wanted} at {since_ms} ms cannot "
                        "be paged through; --archive can have them"
                    )
                since_ms = page[-1][0]
            elif asked.wanted is Wanted.TRADES and after is None:
                since_ms = until_ms + 1
            else:
                since_ms = end_ms
            seen = frozenset(line for time_ms, line in page if time_ms == since_ms)
            progress(since_ms)

    async def again(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask, and ask again when there is no answer.

        Raises:
            DownloadError: There is none still, or it is a refusal.
        """
        wait_s = self._backoff_s
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await ask()
            except ccxt.async_support.NetworkError as error:
                if attempt == ATTEMPTS:
                    raise DownloadError(
                        f"no answer after {ATTEMPTS} attempts: {_short(error)}", unreachable=True
                    ) from error
            except ccxt.async_support.BaseError as error:
                raise DownloadError(f"refused: {_short(error)}") from error
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, BACKOFF_S_MAX)
        raise AssertionError("the last attempt returns or raises")

    def _market(self, asked: Asked) -> str:
        exchange = self._exchange
        found = exchange.markets_by_id.get(asked.symbol) or []
        if asked.symbol in exchange.markets:
            return asked.symbol
        if not found:
            some = ", ".join(sorted(exchange.markets_by_id)[:8])
            raise WantedError(
                f"{exchange.id} lists no {asked.symbol}; it lists {some}"
                + (" ..." if len(exchange.markets_by_id) > 8 else "")
            )
        perpetual = [market for market in found if market.get("swap")]
        return str((perpetual or found)[0]["symbol"])

    def _id_to_follow(self, asked: Asked, part: Part) -> int | None:
        """The last trade that is there, where the exchange counts on from an id."""
        if asked.wanted is not Wanted.TRADES or not self._exchange.id.startswith("binance"):
            return None
        return int(part.last.rpartition(",")[2]) if part.last else None

    async def _page(
        self, asked: Asked, market: str, since_ms: int, until_ms: int, after: int | None
    ) -> Sequence[Row]:
        exchange = self._exchange
        if asked.wanted is Wanted.TRADES:
            by_time = since_ms, PAGE, {"until": until_ms}
            by_id = None, PAGE, {"fromId": (after or 0) + 1}
            trades = await exchange.fetch_trades(market, *(by_time if after is None else by_id))
            return [_trade_row(trade) for trade in sorted(trades, key=_as_they_happened)]
        if asked.wanted is Wanted.FUNDING:
            rates = await exchange.fetch_funding_rate_history(market, since_ms, PAGE)
            return [
                (rate["timestamp"], _line(rate["timestamp"], rate["fundingRate"])) for rate in rates
            ]
        if asked.interval not in exchange.timeframes:
            raise WantedError(
                f"{exchange.id} has no candles of {asked.interval}; allowed are "
                f"{', '.join(exchange.timeframes)}"
            )
        of_mark = asked.wanted is Wanted.MARK
        candles = await exchange.fetch_ohlcv(
            market, asked.interval, since_ms, PAGE, {"price": "mark"} if of_mark else {}
        )
        length_ms = exchange.parse_timeframe(asked.interval) * 1000
        now_ms = exchange.milliseconds()
        rows = [(candle[0], _line(*candle[: 5 if of_mark else 6])) for candle in candles]
        return [row for row in rows if row[0] + length_ms <= now_ms]  # what is still open is left


def _as_they_happened(trade: Any) -> tuple[int, int]:
    """By time, then by number: ccxt sorts ids as text, 10 before 9."""
    number = str(trade["id"])
    return trade["timestamp"], int(number) if number.isdecimal() else 0


def _trade_row(trade: Any) -> Row:
    maker = "true" if trade["side"] == "sell" else "false"
    cells = (trade["timestamp"], trade["price"], trade["amount"], maker, trade["id"])
    return trade["timestamp"], _line(*cells)


def _line(*cells: object) -> str:
    if any(cell is None for cell in cells):
        raise DownloadError(f"an answer without all that belongs to it: {cells}")
    return ",".join(map(str, cells))


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:300] + "..."


def _elsewhere(urls: Any, base_url: str) -> Any:
    """Addresses of the exchange, with another host."""
    if isinstance(urls, dict):
        return {name: _elsewhere(url, base_url) for name, url in urls.items()}
    return base_url + urlsplit(urls).path if isinstance(urls, str) else urls
