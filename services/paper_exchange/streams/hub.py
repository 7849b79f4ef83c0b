"""Connections and what they are subscribed to.

Each connection has a bounded queue and one task that writes it; a client that does not read is
disconnected, as on Binance, rather than kept up to date with the past.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any, Final

import orjson
import structlog
from aiohttp import WSMsgType, web

QUEUE_MAX: Final = 20_000
_log = structlog.get_logger(__name__)


class Connection:
    """One WebSocket client.

    Args:
        socket: The prepared socket.
        transport: What lies below it, to break it with.
        combined: Frames are ``{"stream": ..., "data": ...}`` instead of the bare event.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        *,
        combined: bool,
    ) -> None:
        self.socket = socket
        self._transport = transport
        self.combined = combined
        self.streams: set[str] = set()
        self._queue: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._cut = False
        self._writer = asyncio.create_task(self._write())

    def send(self, frame: bytes) -> None:
        """Queue a frame; a full queue ends the connection."""
        if self._cut:
            return
        if len(self._queue) >= QUEUE_MAX:
            _log.warning("stream_client_does_not_read")
            self.cut()
            return
        self._queue.append(frame)
        self._wake.set()

    def cut(self) -> None:
        """Break the connection without a goodbye."""
        self._cut = True
        self._writer.cancel()
        self._queue.clear()
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Stop writing and say goodbye."""
        self._writer.cancel()
        with suppress(Exception):
            await self.socket.close()

    async def _write(self) -> None:
        with suppress(ConnectionError, RuntimeError):
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._queue:
                    await self.socket.send_frame(self._queue.popleft(), WSMsgType.TEXT)


class Hub:
    """Who is subscribed to what."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self._subscribers: dict[str, set[Connection]] = {}

    def subscribed(self, stream: str) -> bool:
        """Somebody wants this stream."""
        return stream in self._subscribers

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams that somebody wants."""
        return tuple(self._subscribers)

    def subscribe(self, connection: Connection, stream: str) -> None:
        """Send `stream` to a connection from now on."""
        connection.streams.add(stream)
        self._subscribers.setdefault(stream, set()).add(connection)

    def unsubscribe(self, connection: Connection, stream: str) -> None:
        """Send it no longer."""
        connection.streams.discard(stream)
        subscribers = self._subscribers.get(stream, set())
        subscribers.discard(connection)
        if not subscribers:
            self._subscribers.pop(stream, None)

    def join(self, connection: Connection) -> None:
        """Note a connection."""
        self.connections.add(connection)

    def leave(self, connection: Connection) -> None:
        """Forget a connection and its subscriptions."""
        for stream in tuple(connection.streams):
            self.unsubscribe(connection, stream)
        self.connections.discard(connection)

    def publish(self, stream: str, event: Any) -> None:
        """Send an event to the subscribers of a stream."""
        subscribers = self._subscribers.get(stream)
        if not subscribers:
            return
        bare = orjson.dumps(event)
        combined: bytes | None = None
        for connection in tuple(subscribers):
            if connection.combined:
                if combined is None:
                    combined = b'{"stream":%b,"data":%b}' % (orjson.dumps(stream), bare)
                connection.send(combined)
            else:
                connection.send(bare)

    def cut_all(self) -> int:
        """Break every connection; how many there were."""
        cut = tuple(self.connections)
        for connection in cut:
            connection.cut()
        return len(cut)

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(connection.close() for connection in tuple(self.connections)))
