"""The account's event stream: whole and in order, with every gap told.

Whatever casts doubt on its completeness is told as a gap, which its consumer closes by look-ups. An
expired listen key (which ccxt passes over) and a full inbox end the connection, too. An event that
cannot be read does not: what it meant to say shows in a look-up, and the next one may be readable.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from opensqt.adapters.ccxt.answers import TEXT_MAX
from opensqt.adapters.ccxt.client import BinanceUsdmClient
from opensqt.adapters.ccxt.order_payloads import streamed_order
from opensqt.adapters.ccxt.position_payloads import streamed_positions
from opensqt.adapters.ccxt.sockets import Backoff, Socket
from opensqt.adapters.inbox import QueueInbox
from opensqt.core.events import Position
from opensqt.ports import AccountEvent, Clock, DependencyError, StreamDown, StreamUp
from opensqt.runtime.metrics import Metrics

KEEP_ALIVE_S: Final = 20 * 60.0
"""A listen key lives for an hour."""
KEEP_ALIVE_RETRY_S: Final = 60.0
EVENTS_MAX: Final = 50_000

_REPEATED: Final = frozenset(
    {
        "TRADE_LITE",  # what ORDER_TRADE_UPDATE says as well
        "ACCOUNT_CONFIG_UPDATE",  # leverage and multi-assets mode
        "STRATEGY_UPDATE",
        "GRID_UPDATE",
        "CONDITIONAL_ORDER_TRIGGER_REJECT",
        "ALGO_UPDATE",  # trigger orders, which we do not place
    }
)

_log = structlog.get_logger(__name__)


class AccountStream:
    """Follows one account and fills `inbox`.

    Args:
        client: Dials the socket; its key may be a read-only one.
        account: Our name of the account.
        clock: Tells when a frame came.
        metrics: Where events are counted.
        create_key: Creates a listen key, or returns the living one with a new hour.
        keep_key: Prolongs it; raises DependencyError when that fails.
    """

    def __init__(
        self,
        client: BinanceUsdmClient,
        account: str,
        *,
        clock: Clock,
        metrics: Metrics,
        create_key: Callable[[], Awaitable[str]],
        keep_key: Callable[[], Awaitable[None]],
    ) -> None:
        self.inbox: QueueInbox[AccountEvent] = QueueInbox()
        self._client = client
        self._account = account
        self._clock = clock
        self._create_key = create_key
        self._keep_key = keep_key
        self._epoch = 0
        self._up = False
        self._positions: dict[str, Position] = {}
        self._events = metrics.counter("account_events", "Events of the account stream", ["kind"])
        self._unreadable = metrics.counter(
            "account_events_unreadable", "Events that could not be read, and were looked up"
        )
        self._losses = metrics.counter("account_connections_lost", "Account sockets lost")

    async def run(self) -> None:
        """Follow until cancelled."""
        backoff = Backoff()
        while True:
            try:
                reason = await self._follow(backoff)
            except DependencyError as error:
                reason = str(error)
            if self._up:
                self._losses.inc()
            _log.warning("account_stream_down", account=self._account, reason=reason)
            self._up = False
            self.inbox.put(StreamDown(reason=reason))
            await backoff.wait()

    async def _follow(self, backoff: Backoff) -> str:
        url = self._client.get_private_ws_url("linear", await self._create_key())
        socket = Socket(self._client, url, on_frame=lambda frame: self._on_frame(frame, socket))

        def on_open() -> None:
            backoff.succeeded()
            self._up = True
            self._begin()

        keeping = asyncio.create_task(self._keep_alive(socket))
        try:
            return await socket.follow(on_open)
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping

    def _begin(self) -> None:
        # From the clock, so that it also grows from one process to the next.
        self._epoch = max(self._epoch + 1, self._clock.now_ns() // 1_000_000)
        self.inbox.put(StreamUp(epoch=self._epoch))

    async def _keep_alive(self, socket: Socket) -> None:
        failures = 0
        while True:
            await asyncio.sleep(KEEP_ALIVE_RETRY_S if failures else KEEP_ALIVE_S)
            try:
                await self._keep_key()
                failures = 0
            except DependencyError as error:
                failures += 1
                _log.warning("listen_key_not_prolonged", error=str(error), failures=failures)
                if failures >= 10:
                    socket.end("the listen key could not be prolonged")
                    return

    def _on_frame(self, frame: dict[str, Any], socket: Socket) -> None:
        """Take an event; raising ends the connection, which makes the consumer look up."""
        kind = str(frame["e"])
        self._events.labels(kind if kind in _KNOWN else "unknown").inc()
        if len(self.inbox) >= EVENTS_MAX:
            socket.end(f"{EVENTS_MAX} events wait; their consumer does not keep up")
        elif kind == "listenKeyExpired":
            socket.end("the listen key expired")
        elif kind == "MARGIN_CALL":
            _log.error("margin_call", account=self._account, positions=frame.get("p"))
        elif kind in _TAKEN:
            try:
                self._take(kind, frame)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                self._doubt(frame, error)
        elif kind not in _REPEATED:
            _log.warning("account_event_unknown", kind=kind)

    def _take(self, kind: str, frame: dict[str, Any]) -> None:
        now_ns = self._clock.now_ns()
        if kind == "ORDER_TRADE_UPDATE":
            self.inbox.put(streamed_order(frame, account=self._account, receive_time_ns=now_ns))
            return
        for update in streamed_positions(
            frame, self._positions, account=self._account, receive_time_ns=now_ns
        ):
            self._positions[update.position.symbol] = update.position
            self.inbox.put(update)

    def _doubt(self, frame: dict[str, Any], error: Exception) -> None:
        """An event says something, and we do not know what: only a look-up can tell."""
        self._unreadable.inc()
        _log.error("account_event_unreadable", account=self._account, raw=frame, error=str(error))
        self.inbox.put(StreamDown(reason=f"an event could not be read: {error}"[:TEXT_MAX]))
        self._begin()


_TAKEN: Final = frozenset({"ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE"})
_KNOWN: Final = _REPEATED | _TAKEN | {"listenKeyExpired", "MARGIN_CALL"}
