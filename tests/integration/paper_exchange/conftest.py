"""A paper exchange in this process, on real sockets, with a market that the test plays by hand."""

import hashlib
import hmac
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from decimal import Decimal as D
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import ccxt.pro
import orjson
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from opensqt.core.exchange.market import MarketTrade, Quote
from opensqt.core.exchange.ticks import Happening, Tick
from opensqt.runtime.certificates import ensure_development_certificates, tls_config_of
from opensqt.runtime.tasks import BackgroundTasks
from services.paper_exchange.app import PaperExchange
from services.paper_exchange.config import PaperExchangeConfig

TRADER = ("paper-trade", "paper-trade-secret")
READER = ("paper-read", "paper-read-secret")
SYMBOL = "BTCUSDT"
UNIFIED = "BTC/USDT:USDT"


class MovableClock:
    """The wall clock, moved by the test."""

    def __init__(self) -> None:
        self.moved_ns = 0

    def now_ns(self) -> int:
        return time.time_ns() + self.moved_ns

    def move(self, seconds: float) -> None:
        self.moved_ns += round(seconds * 1e9)


class Answer:
    """An HTTP answer, read."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def code(self) -> int:
        return int(self.json["code"])


class Paper:
    """The exchange under test and an HTTP client."""

    def __init__(
        self, exchange: PaperExchange, clock: MovableClock, http: aiohttp.ClientSession
    ) -> None:
        self.exchange = exchange
        self.clock = clock
        self.http = http

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.exchange.ports['plain']}"

    @property
    def control_url(self) -> str:
        return f"http://127.0.0.1:{self.exchange.ports['control']}/control"

    def quote(
        self, bid: object, ask: object, bid_quantity: object = 5, ask_quantity: object = 5
    ) -> None:
        self._play(
            Quote(
                bid=D(str(bid)),
                ask=D(str(ask)),
                bid_quantity=D(str(bid_quantity)),
                ask_quantity=D(str(ask_quantity)),
                time_ns=0,
            )
        )

    def trade(self, price: object, quantity: object, by: str = "seller", trade_id: int = 1) -> None:
        self._play(
            MarketTrade(
                price=D(str(price)),
                quantity=D(str(quantity)),
                buyer_is_maker=by == "seller",
                time_ns=0,
                trade_id=trade_id,
            )
        )

    def _play(self, happening: Happening) -> None:
        self.exchange.venue.play(Tick(offset_ns=0, symbol=SYMBOL, happening=happening))

    async def request(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, body: str = ""
    ) -> Answer:
        request = self.http.request(
            method, URL(self.url + path, encoded=True), headers=headers or {}, data=body or None
        )
        async with request as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def signed(
        self,
        method: str,
        path: str,
        *,
        key: tuple[str, str] = TRADER,
        in_body: bool = False,
        **params: Any,
    ) -> Answer:
        params.setdefault("timestamp", self.clock.now_ns() // 1_000_000)
        query = urlencode(params)
        signature = hmac.new(key[1].encode(), query.encode(), hashlib.sha256).hexdigest()
        whole = f"{query}&signature={signature}"
        headers = {"X-MBX-APIKEY": key[0]}
        if in_body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            return await self.request(method, path, headers=headers, body=whole)
        return await self.request(method, f"{path}?{whole}", headers=headers)

    async def order(self, side: str, quantity: object, price: object = None, **more: Any) -> Answer:
        params = {"symbol": SYMBOL, "side": side, "quantity": quantity, "type": "MARKET"}
        if price is not None:
            params |= {"type": "LIMIT", "price": price, "timeInForce": "GTC"}
        return await self.signed("POST", "/fapi/v1/order", **params | more)

    async def control(self, path: str, body: Any = None) -> Answer:
        method = "GET" if body is None else "POST"
        data = None if body is None else orjson.dumps(body)
        async with self.http.request(method, f"{self.control_url}/{path}", data=data) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def listen_key(self) -> str:
        headers = {"X-MBX-APIKEY": READER[0]}
        answer = await self.request("POST", "/fapi/v1/listenKey", headers=headers)
        return str(answer.json["listenKey"])


OpenPaper = Callable[..., Awaitable[Paper]]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    ensure_development_certificates(directory)
    return directory


@pytest.fixture
async def open_paper(certificates: Path) -> AsyncIterator[OpenPaper]:
    """Opens an exchange with any configuration; by default its market waits to be played."""
    tls = tls_config_of(certificates, "paper_exchange")
    crashes: list[BaseException] = []
    async with AsyncExitStack() as stack:

        async def open_one(**config: Any) -> Paper:
            config.setdefault("market", {"start": "when_told"})
            config.setdefault("listen", {})
            config["listen"] |= {"plain_port": 0, "certificate": tls.certificate, "key": tls.key}
            clock = MovableClock()
            exchange = PaperExchange(PaperExchangeConfig.model_validate(config), clock=clock)
            tasks = await stack.enter_async_context(BackgroundTasks(on_crash=crashes.append))
            await exchange.start(tasks)
            stack.push_async_callback(exchange.stop)
            http = await stack.enter_async_context(aiohttp.ClientSession())
            return Paper(exchange, clock, http)

        yield open_one
    assert not crashes


@pytest.fixture
async def paper(open_paper: OpenPaper) -> Paper:
    paper = await open_paper()
    paper.quote("60000.0", "60000.1")
    paper.trade("60000.0", "0.001")
    return paper


class OnlyBinance(AbstractResolver):
    """Binance's hosts are here; no others exist."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if not host.endswith(".binance.com"):
            raise OSError(f"{host} is not to be contacted")
        return [
            ResolveResult(
                hostname=host,
                host="127.0.0.1",
                port=self._port,
                family=socket.AF_INET,
                proto=0,
                flags=0,
            )
        ]

    async def close(self) -> None:
        """Nothing is held."""


OpenCcxt = Callable[..., Awaitable[Any]]


@pytest.fixture
async def by_resolver(certificates: Path) -> AsyncIterator[OpenCcxt]:
    """ccxt.pro with its production URLs, which lead to the exchange by name and certificate."""
    async with AsyncExitStack() as stack:

        async def open_client(paper: Paper, key: tuple[str, str] = TRADER) -> Any:
            context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
            connector = aiohttp.TCPConnector(
                resolver=OnlyBinance(paper.exchange.ports["tls"]), ssl=context
            )
            session = await stack.enter_async_context(
                aiohttp.ClientSession(connector=connector, trust_env=False)
            )
            client = ccxt.pro.binanceusdm(
                {
                    "apiKey": key[0],
                    "secret": key[1],
                    "session": session,
                    "enableRateLimit": False,
                    "options": {
                        "fetchCurrencies": False,
                        "fetchOpenOrders": {"warnWithoutSymbol": False},
                    },
                }
            )
            stack.push_async_callback(client.close)
            return client

        yield open_client


@pytest.fixture
async def by_url() -> AsyncIterator[OpenCcxt]:
    """ccxt.pro with its URLs replaced, over plain HTTP."""
    async with AsyncExitStack() as stack:

        async def open_client(paper: Paper, key: tuple[str, str] = TRADER) -> Any:
            client = ccxt.pro.binanceusdm(
                {
                    "apiKey": key[0],
                    "secret": key[1],
                    "enableRateLimit": False,
                    "options": {
                        "fetchCurrencies": False,
                        "fetchOpenOrders": {"warnWithoutSymbol": False},
                    },
                }
            )
            api, streams = client.urls["api"], paper.url.replace("http", "ws")
            for name, value in api.items():
                if isinstance(value, str):
                    api[name] = "http://127.0.0.1:1"
            for version in ("", "V2", "V3"):
                for kind in ("fapiPublic", "fapiPrivate"):
                    api[kind + version] = f"{paper.url}/fapi/{version.lower() or 'v1'}"
            api["ws"] = {
                "linear": f"{streams}/ws",
                "ws-api": {"linear": f"{streams}/ws-fapi/v1"},
            }
            client.exceptions["exact"] |= client.exceptions["linear"]["exact"]
            stack.push_async_callback(client.close)
            return client

        yield open_client
