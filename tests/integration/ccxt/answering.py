"""A server that answers orders as it is told, under the name of any exchange, and what talks to it.

Everything is real but the exchange: ccxt's client, aiohttp, TCP, TLS, and the resolver that leads
the exchange's names here and nowhere else.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import web

from opensqt.adapters.ccxt import open_binance_usdm
from opensqt.adapters.ccxt.client import BinanceSpotClient
from opensqt.adapters.ccxt.egress import BINANCE_HOSTS, open_session
from opensqt.adapters.ccxt.raw_client import RawClient
from opensqt.adapters.ccxt.requests import Requests
from opensqt.adapters.ccxt.venues import (
    BinanceSpotDesk,
    BitgetClient,
    BitgetDesk,
    BybitClient,
    BybitDesk,
    Desk,
    GateClient,
    GateDesk,
    OkxClient,
    OkxDesk,
)
from opensqt.core.grid.results import PlacementResult
from opensqt.core.orders import Order
from opensqt.ports import CancelAnswer
from opensqt.runtime.clock import SystemClock
from opensqt.runtime.config_models import EndpointConfig, ExchangeConfig
from opensqt.runtime.metrics import Metrics
from tests.integration.ccxt.tls import Identity

SECRET = "very-secret-secret"
TIMEOUT_MS = 500


class Venue(Protocol):
    """What every exchange's trading side can do."""

    async def place(self, order: Order) -> PlacementResult: ...

    async def cancel(self, order: Order) -> CancelAnswer: ...

    async def find_order(self, symbol: str, client_oid: str) -> Any: ...


@dataclass(slots=True, kw_only=True)
class Connection:
    """A venue, and what its requests have learned."""

    venue: Venue
    requests: Requests


@dataclass(slots=True, kw_only=True)
class Sent:
    """A request as the exchange got it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str


@dataclass(slots=True, kw_only=True)
class Script:
    """What requests about orders are answered."""

    status: int = 200
    body: bytes = b"{}"
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    fault: str = ""
    """hang; disconnect: after the request; cut: in the middle of the body; endless: a body."""
    first: list[tuple[int, bytes]] = field(default_factory=list)
    """Statuses and bodies of the first answers."""
    sent: list[Sent] = field(default_factory=list)


DESKS: dict[str, tuple[type[RawClient], type[Desk]]] = {
    "binance": (BinanceSpotClient, BinanceSpotDesk),
    "bybit": (BybitClient, BybitDesk),
    "okx": (OkxClient, OkxDesk),
    "bitget": (BitgetClient, BitgetDesk),
    "gate": (GateClient, GateDesk),
}
EXCHANGES = ("binanceusdm", *DESKS)
HOSTS = BINANCE_HOSTS.union(*(client.hosts for client, _ in DESKS.values()))
CLOCK_PATHS = ("/time", "/server/time")


@asynccontextmanager
async def connect(
    exchange: str, endpoint: EndpointConfig, *, clock: Any = None, timeout_ms: int = TIMEOUT_MS
) -> AsyncIterator[Connection]:
    """The trading side of `exchange`, whose names lead to `endpoint`."""
    clock = clock or SystemClock()
    if exchange == "binanceusdm":
        config = ExchangeConfig.model_validate(
            {
                "api_key": "some-api-key",
                "api_secret": SECRET,
                "endpoint": endpoint,
                "request_timeout_ms": timeout_ms,
            }
        )
        async with open_binance_usdm(
            config, account="main", clock=clock, metrics=Metrics()
        ) as usdm:
            yield Connection(venue=usdm, requests=usdm._requests)
        return
    make_client, make_desk = DESKS[exchange]
    session = open_session(endpoint, hosts=make_client.hosts)
    client = make_client(
        session=session,
        api_key="some-api-key",
        api_secret=SECRET,
        password="some-password",
        timeout_ms=timeout_ms,
    )
    requests = Requests(client, clock=clock, recv_window_ms=5000, metrics=Metrics())
    try:
        await requests.compare_clocks()
        yield Connection(venue=make_desk(client, requests), requests=requests)
    finally:
        await client.close()  # type: ignore[attr-defined]  # ccxt has no types
        await session.close()


@asynccontextmanager
async def answering(script: Script, identity: Identity) -> AsyncIterator[EndpointConfig]:
    """A server under the names of all exchanges, which answers by `script`."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path.endswith(CLOCK_PATHS):
            return web.json_response(_clock(request.host, SystemClock().now_ns() // 1_000_000))
        script.sent.append(
            Sent(
                method=request.method,
                path=request.path,
                query=dict(request.query),
                headers={name.lower(): value for name, value in request.headers.items()},
                body=await request.text(),
            )
        )
        if script.fault:
            return await _fail(script.fault, request)
        status, body = script.first.pop(0) if script.first else (script.status, script.body)
        return web.Response(
            status=status,
            body=body,
            headers={"Content-Type": script.content_type, **script.headers},
        )

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield EndpointConfig(port=runner.addresses[0][1], ca=identity.certificate)
    finally:
        await runner.cleanup()


Serve = Callable[[str, Script], AbstractAsyncContextManager[Connection]]


def serving(identity: Identity) -> Serve:
    """Opens a venue whose exchange answers by a script."""

    @asynccontextmanager
    async def run(exchange: str, script: Script) -> AsyncIterator[Connection]:
        async with (
            answering(script, identity) as endpoint,
            connect(exchange, endpoint) as connection,
        ):
            yield connection

    return run


@asynccontextmanager
async def raw_server(
    identity: Identity | None, answer: Any, *, keep: bool = False
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that answers each request with bytes, and hangs up: its port, and what it heard."""
    heard: list[bytes] = []

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length or 0))
                heard.append(head)
                writer.write(answer(head))
                await writer.drain()
                if not keep:
                    break
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    context = None
    if identity is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(identity.certificate, identity.key)
    server = await asyncio.start_server(serve_one, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], heard


async def _fail(fault: str, request: web.Request) -> web.StreamResponse:
    if fault == "hang":
        await asyncio.sleep(5)
    if fault in ("cut", "endless"):
        length = {"Content-Length": "1000"} if fault == "cut" else {}
        response = web.StreamResponse(headers=length)
        await response.prepare(request)
        await response.write(b'{"orderId": 1')
        if fault == "endless":
            for _ in range(16):
                await response.write(b" " * 2**20)
            await asyncio.sleep(5)
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def _clock(host: str, now_ms: int) -> dict[str, Any]:
    """The time, as the exchange of that name tells it."""
    match host:
        case "api.bybit.com":
            return {"retCode": 0, "result": {"timeNano": str(now_ms * 1_000_000)}}
        case "www.okx.com":
            return {"code": "0", "msg": "", "data": [{"ts": str(now_ms)}]}
        case "api.bitget.com":
            return {"code": "00000", "msg": "success", "data": {"serverTime": str(now_ms)}}
        case "api.gateio.ws":
            return {"server_time": now_ms}
        case _:
            return {"serverTime": now_ms}
