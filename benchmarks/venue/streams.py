"""The WebSocket half: subscriptions, and the flood that finds out how much a client can take."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal

import orjson
from aiohttp import WSMsgType, web

from benchmarks.venue.market import (
    BASE,
    INTERVAL,
    PRICES,
    SYMBOL,
    USER,
    Market,
    now_ms,
    price_frame,
    send,
)

FLOOD_FRAMES = 500
"""Frames of one write."""
TURN_S = 0.0005
BACKLOG_BYTES = 1 << 20
"""What may wait in our own buffer before a client that is slower is waited for."""


def handler_for(market: Market) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of all WebSocket connections to one market."""

    async def handle(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        market.requests[socket] = request
        # The account's stream is named by the listenKey, in the path or as a parameter.
        if "listenKey" in request.query or request.path.endswith("/bench"):
            market.listeners(USER).add(socket)
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    break
                command = orjson.loads(message.data)
                for stream in command.get("params") or ():
                    listeners = market.listeners(USER if stream == "bench" else stream)
                    if command["method"] == "SUBSCRIBE":
                        listeners.add(socket)
                    elif command["method"] == "UNSUBSCRIBE":
                        listeners.discard(socket)
                await socket.send_json({"result": None, "id": command.get("id")})
        finally:
            market.leave(socket)
        return socket

    return handle


async def beat(market: Market) -> None:
    """Mark price and funding, once a second, for ever."""
    while True:
        price, now = str(market.bid), now_ms()
        event = {"e": "markPriceUpdate", "E": now, "s": SYMBOL, "p": price, "ap": price}
        event |= {"i": price, "P": price, "r": "0.0001"}
        event |= {"T": (now // 28_800_000 + 1) * 28_800_000}
        for suffix in ("@markPrice", "@markPrice@1s"):
            for socket in tuple(market.listeners(SYMBOL.lower() + suffix)):
                await send(socket, orjson.dumps(event).decode())
        await asyncio.sleep(1)


async def flood(market: Market, frames: int, last_bid: str) -> float:
    """Send so many prices to the first listener as fast as it takes them, then a last one.

    The frames are framed here and written in bulk, so that the venue is never the slower side.

    Returns:
        When it began, by `perf_counter`, which all processes of a machine share on Linux.
    """
    (socket, *_) = market.listeners(PRICES)
    transport = market.requests[socket].transport
    assert transport is not None
    started = time.perf_counter()
    for first in range(0, frames, FLOOD_FRAMES):
        chunk = bytearray()
        for number in range(first, min(first + FLOOD_FRAMES, frames)):
            bid = BASE + number % 50 * INTERVAL / 100
            chunk += framed(price_frame(bid, market.next_id(), now_ms()))
        transport.write(bytes(chunk))
        while transport.get_write_buffer_size() > BACKLOG_BYTES:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)
    transport.write(framed(price_frame(Decimal(last_bid), market.next_id(), now_ms())))
    return started


async def pace(market: Market, rate: int, seconds: float) -> int:
    """Send changing prices evenly, as far as a loop's turns allow; how many were sent."""
    sent, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        for _ in range(int(elapsed * rate) - sent):
            await market.tick(trigger=False)
            sent += 1
        await asyncio.sleep(TURN_S)
    return sent


def framed(text: str) -> bytes:
    """A text as one WebSocket frame of a server, of 126 to 65535 bytes."""
    content = text.encode()
    return b"\x81\x7e" + len(content).to_bytes(2, "big") + content
