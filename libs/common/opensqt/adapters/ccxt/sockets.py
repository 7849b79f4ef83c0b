"""One WebSocket from dialling to its loss. Whoever follows it dials again."""

import asyncio
import contextlib
import re
from collections.abc import Callable
from typing import Any, Final

import structlog

from opensqt.adapters.ccxt.answers import TEXT_MAX
from opensqt.adapters.ccxt.client import BinanceUsdmClient

CHECK_INTERVAL_S: Final = 1.0
CLOSE_TIMEOUT_S: Final = 2.0
RETRY_DELAY_S_MIN: Final = 0.1
RETRY_DELAY_S_MAX: Final = 10.0

_URL: Final = re.compile(r"(?:wss?|https?)://\S+")

_log = structlog.get_logger(__name__)


class Socket:
    """Hands the frames of one connection over until it is lost.

    ccxt pings it and notices missing pongs. A frame that its taker cannot handle ends the
    connection: the taker says so by raising, and begins anew with a look-up.

    Args:
        client: Dials.
        url: Where.
        streams: Subscribed to on connecting; none when the URL says it all.
        on_frame: Takes every frame but the answers to SUBSCRIBE.
        silence_s_max: A connection without frames for so long counts as lost; None: silence is
            usual there.
    """

    def __init__(
        self,
        client: BinanceUsdmClient,
        url: str,
        *,
        streams: tuple[str, ...] = (),
        on_frame: Callable[[Any], None],
        silence_s_max: float | None = None,
    ) -> None:
        self._client = client
        self._url = url
        self._streams = streams
        self._on_frame = on_frame
        self._silence_s_max = silence_s_max
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.Future[str] = self._loop.create_future()
        self._heard_s = self._loop.time()

    def end(self, reason: str) -> None:
        """Give the connection up."""
        if not self._end.done():
            self._end.set_result(reason)

    async def follow(self, on_open: Callable[[], None]) -> str:
        """Dial and listen; returns why it ended, without secrets.

        Args:
            on_open: Called once the connection stands.
        """
        self._client.sinks[self._url] = self._take
        request = None
        if self._streams:
            request = {"method": "SUBSCRIBE", "params": list(self._streams), "id": 1}
        lost = self._client.watch(self._url, "frames", request, "frames")
        connection = self._client.clients[self._url]
        try:
            await asyncio.wait(
                (lost, connection.connected, self._end), return_when=asyncio.FIRST_COMPLETED
            )
            if not lost.done() and not self._end.done():
                self._heard_s = self._loop.time()
                on_open()
            while not lost.done() and not self._end.done():
                await asyncio.wait(
                    (lost, self._end),
                    timeout=CHECK_INTERVAL_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                self._check_silence()
            return self._end.result() if self._end.done() else _reason(lost)
        finally:
            self._client.sinks.pop(self._url, None)
            if self._client.clients.get(self._url) is connection:
                del self._client.clients[self._url]
            lost.cancel()
            # A dead peer does not say goodbye, and nobody should wait for it.
            closing = asyncio.ensure_future(_close(connection))
            _CLOSING.add(closing)
            closing.add_done_callback(_CLOSING.discard)

    def _take(self, frame: Any) -> None:
        self._heard_s = self._loop.time()
        try:
            if isinstance(frame, dict) and "e" in frame:
                self._on_frame(frame)
            elif isinstance(frame, dict) and frame.get("error"):
                self.end(f"the exchange refused the subscription: {frame['error']}"[:TEXT_MAX])
        except Exception as error:
            _log.exception("frame_not_handled")
            self.end(f"a frame could not be handled: {error!r}"[:TEXT_MAX])

    def _check_silence(self) -> None:
        silence_s = self._loop.time() - self._heard_s
        if self._silence_s_max is not None and silence_s > self._silence_s_max:
            self.end(f"no frame for {silence_s:.0f} s")


class Backoff:
    """How long to wait before the next try: longer with every failure, short after a success."""

    def __init__(self) -> None:
        self._delay_s = RETRY_DELAY_S_MIN

    def succeeded(self) -> None:
        """Begin with the shortest delay again."""
        self._delay_s = RETRY_DELAY_S_MIN

    async def wait(self) -> None:
        """Wait before the next try."""
        delay_s, self._delay_s = self._delay_s, min(self._delay_s * 2, RETRY_DELAY_S_MAX)
        await asyncio.sleep(delay_s)


_CLOSING: Final[set[asyncio.Future[None]]] = set()


async def _close(connection: Any) -> None:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await connection.close()


def _reason(lost: asyncio.Future[Any]) -> str:
    if lost.cancelled():
        return "closed"
    error = lost.exception()
    return without_urls(str(error) or type(error).__name__)


def without_urls(text: str) -> str:
    """Words for a log, without URLs, which may hold signatures and listen keys."""
    return _URL.sub("<url>", text)[:TEXT_MAX]
