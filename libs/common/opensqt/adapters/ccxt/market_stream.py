"""The market streams of one symbol: two sockets that are dialled again, for ever."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Final

import structlog

from opensqt.adapters.ccxt.client import BinanceUsdmClient
from opensqt.adapters.ccxt.market_payloads import streamed_candle, streamed_funding
from opensqt.adapters.ccxt.prices import MarketInbox
from opensqt.adapters.ccxt.sockets import Backoff, Socket
from opensqt.ports import Clock
from opensqt.runtime.metrics import Metrics

PRICE_SILENCE_S_MAX: Final = 60.0
"""A traded market without any trade or quote for so long: better dial again than wait."""
MARK_SILENCE_S_MAX: Final = 15.0
"""Mark prices come every second."""

_socket_numbers = count()

_log = structlog.get_logger(__name__)


class MarketStream:
    """Follows one symbol and fills `inbox`.

    Args:
        client: Dials the sockets.
        symbol: The market.
        clock: Tells when a frame came.
        metrics: Where connections and unreadable frames are counted.
        funding_interval: Looks up the funding interval in hours; None when it is not known.
    """

    def __init__(
        self,
        client: BinanceUsdmClient,
        symbol: str,
        *,
        clock: Clock,
        metrics: Metrics,
        funding_interval: Callable[[str], Awaitable[int | None]],
    ) -> None:
        self.inbox = MarketInbox(symbol, clock)
        self._client = client
        self._symbol = symbol
        self._clock = clock
        self._funding_interval = funding_interval
        self._interval_hours: int | None = None
        self._unreadable = metrics.counter(
            "market_frames_unreadable", "Market frames that are not as documented", ["symbol"]
        ).labels(symbol)
        self._losses = metrics.counter(
            "market_connections_lost", "Market sockets that were lost", ["symbol"]
        ).labels(symbol)

    async def run(self) -> None:
        """Follow until cancelled."""
        name = self._symbol.lower()
        async with asyncio.TaskGroup() as group:
            group.create_task(
                self._follow(
                    "public",
                    (f"{name}@bookTicker", f"{name}@trade"),
                    PRICE_SILENCE_S_MAX,
                    on_lost=self.inbox.forget,
                )
            )
            group.create_task(
                self._follow(
                    "market", (f"{name}@markPrice@1s", f"{name}@kline_1m"), MARK_SILENCE_S_MAX
                )
            )
            group.create_task(self._learn_interval())

    async def _follow(
        self,
        category: str,
        streams: tuple[str, ...],
        silence_s_max: float,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        backoff = Backoff()
        # ccxt tells its sockets apart by URL; the number is nothing to the exchange.
        url = f"{self._client.get_ws_url('linear', category)}/{next(_socket_numbers)}"
        while True:
            socket = Socket(
                self._client,
                url,
                streams=streams,
                on_frame=self._on_frame,
                silence_s_max=silence_s_max,
            )
            reason = await socket.follow(on_open=backoff.succeeded)
            on_lost()
            self._losses.inc()
            _log.warning(
                "market_stream_lost", symbol=self._symbol, category=category, reason=reason
            )
            await backoff.wait()

    async def _learn_interval(self) -> None:
        self._interval_hours = await self._funding_interval(self._symbol)

    def _on_frame(self, frame: dict[str, Any]) -> None:
        """A frame that cannot be read is passed over: the next one is newer anyway."""
        try:
            kind = frame["e"]
            if kind == "bookTicker":
                self.inbox.on_book_ticker(frame)
            elif kind == "trade":
                self.inbox.on_trade(frame)
            elif kind == "markPriceUpdate":
                funding = streamed_funding(
                    frame,
                    interval_hours=self._interval_hours,
                    receive_time_ns=self._clock.now_ns(),
                )
                if funding is not None:
                    self.inbox.put(funding)
            elif kind == "kline":
                self.inbox.put(streamed_candle(frame))
        except (KeyError, TypeError, ValueError) as error:
            self._unreadable.inc()
            _log.error("market_frame_unreadable", symbol=self._symbol, error=repr(error))
