"""Serving stream connections: what is asked for in the address, and SUBSCRIBE afterwards.

Binance's routes are ``/ws[/stream...]``, ``/stream?streams=a/b``, and the same below ``/public``,
``/market`` and ``/private``. Any stream is given on any route. Unknown streams are taken without
complaint and stay silent, as on Binance. ccxt's numeric tails (``/public/ws/3``) mean nothing.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson
from aiohttp import WSMsgType, web

from services.paper_exchange.streams.hub import Connection
from services.paper_exchange.venue import Venue

STREAMS_MAX: Final = 200
PING_S: Final = 180
_ROUTES: Final = ("public", "market", "private")


def is_stream_path(path: str) -> bool:
    """The path is one of the stream routes."""
    parts = [part for part in path.split("/") if part]
    if parts and parts[0] in _ROUTES:
        parts = parts[1:]
    return bool(parts) and parts[0] in ("ws", "stream")


class StreamServer:
    """Accepts stream connections.

    Args:
        venue: The exchange.
        on_market_subscriber: Called when somebody subscribes to a market stream.
    """

    def __init__(self, venue: Venue, *, on_market_subscriber: Callable[[], None]) -> None:
        self._venue = venue
        self._on_market_subscriber = on_market_subscriber

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one connection until it ends."""
        socket = web.WebSocketResponse(heartbeat=PING_S, compress=False)
        await socket.prepare(request)
        parts = [part for part in request.path.split("/") if part]
        parts = parts[1:] if parts[0] in _ROUTES else parts
        connection = Connection(socket, request.transport, combined=parts[0] == "stream")
        hub = self._venue.hub
        hub.join(connection)
        try:
            asked = [part for part in parts[1:] if not part.isdigit()]
            for name in ("streams", "listenKey"):
                asked += [item for item in request.query.get(name, "").split("/") if item]
            self._subscribe(connection, asked)
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    connection.send(orjson.dumps(self._command(connection, message.data)))
        finally:
            hub.leave(connection)
            await connection.close()
        return socket

    def _command(self, connection: Connection, text: str) -> dict[str, Any]:
        try:
            command = orjson.loads(text)
        except orjson.JSONDecodeError:
            return _error(None, 3, "Invalid JSON: expected value at line 1 column 1")
        if not isinstance(command, dict):
            return _error(None, 2, "Invalid request: the request must be an object")
        number, method = command.get("id"), command.get("method")
        params = command.get("params", [])
        if not isinstance(params, list) or not all(isinstance(item, str) for item in params):
            return _error(number, 2, "Invalid request: params must be an array of strings")
        result: Any = None
        match method:
            case "SUBSCRIBE":
                if len(connection.streams | set(params)) > STREAMS_MAX:
                    return _error(number, 2, f"Invalid request: more than {STREAMS_MAX} streams")
                self._subscribe(connection, params)
            case "UNSUBSCRIBE":
                for stream in params:
                    self._venue.hub.unsubscribe(connection, stream)
            case "LIST_SUBSCRIPTIONS":
                result = sorted(connection.streams)
            case "SET_PROPERTY" if params:
                connection.combined = params[-1] == "true"
            case "GET_PROPERTY":
                result = connection.combined
            case _:
                return _error(number, 2, f"Invalid request: unknown method {method!r}")
        return {"result": result, "id": number}

    def _subscribe(self, connection: Connection, streams: Iterable[str]) -> None:
        for stream in streams:
            self._venue.hub.subscribe(connection, stream)
            if "@" in stream or stream.startswith("!"):
                self._venue.market_streams.open(stream)
                self._on_market_subscriber()


def _error(number: Any, code: int, text: str) -> dict[str, Any]:
    return {"error": {"code": code, "msg": text}, "id": number}
