"""Every line of the table of answers, from raw HTTP through ccxt; and whatever has no line."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from opensqt.adapters.ccxt import BinanceUsdmExchange, open_binance_usdm
from opensqt.adapters.ccxt.answers import TABLE, Answer, Proof, Row, classify
from opensqt.core.orders import EndReason, OrderStatus
from opensqt.ports import CancelOutcome, DependencyError
from opensqt.runtime.certificates import tls_config_of
from opensqt.runtime.clock import SystemClock
from opensqt.runtime.config_models import ExchangeConfig
from opensqt.runtime.metrics import Metrics
from tests.integration.ccxt.test_orders import order

pytestmark = pytest.mark.integration

SECRET = "very-secret-secret"


@dataclass(slots=True, kw_only=True)
class Script:
    """What the next request to /order is answered."""

    status: int = 200
    body: bytes = b"{}"
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    fault: str = ""
    requests: list[str] = field(default_factory=list)


Serve = Callable[[Script], AbstractAsyncContextManager[BinanceUsdmExchange]]


@pytest.fixture
def serve(exchange_certificates: Path) -> Serve:
    tls = tls_config_of(exchange_certificates, "paper_exchange")

    @asynccontextmanager
    async def run(script: Script) -> AsyncIterator[BinanceUsdmExchange]:
        async def answer(request: web.Request) -> web.StreamResponse:
            if request.path.endswith("/time"):
                return web.json_response({"serverTime": SystemClock().now_ns() // 1_000_000})
            script.requests.append(f"{request.method} {request.path}")
            await request.read()
            if script.fault == "hang":
                await asyncio.sleep(5)
            if script.fault in ("disconnect", "cut"):
                if script.fault == "cut":
                    response = web.StreamResponse(headers={"Content-Length": "1000"})
                    await response.prepare(request)
                    await response.write(b'{"orderId": 1')
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            return web.Response(
                status=script.status,
                body=script.body,
                content_type=script.content_type,
                headers=script.headers,
            )

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        config = ExchangeConfig.model_validate(
            {
                "api_key": "some-api-key",
                "api_secret": SECRET,
                "endpoint": {"port": runner.addresses[0][1], "ca": tls.ca},
                "request_timeout_ms": 500,
            }
        )
        try:
            async with open_binance_usdm(
                config, account="main", clock=SystemClock(), metrics=Metrics()
            ) as exchange:
                yield exchange
        finally:
            await runner.cleanup()

    return run


def raw(row: Row) -> Script:
    status = row.status or 400
    if row.code is None:
        return Script(status=status, body=(row.text or "busy").encode(), content_type="text/html")
    body = {"code": int(row.code), "msg": f"Words with {row.text} in them."}
    return Script(status=status, body=orjson.dumps(body))


def name(row: Row) -> str:
    return f"{row.status or '4xx'} {row.code or ''} {row.text}".strip()


@pytest.mark.parametrize("row", TABLE, ids=name)
async def test_every_line_of_the_table(serve: Serve, row: Row) -> None:
    script = raw(row)
    async with serve(script) as exchange:
        placed = await exchange.place(order())
        if row.verdict.proof is Proof.REFUSED:
            assert placed.status is OrderStatus.REJECTED
        else:
            assert placed.status is OrderStatus.UNKNOWN
        assert placed.end_reason is row.verdict.reason
        assert script.requests == ["POST /fapi/v1/order"], "never sent twice"


@pytest.mark.parametrize("row", [r for r in TABLE if r.status not in {418, 429}], ids=name)
async def test_every_line_for_cancels_and_look_ups(serve: Serve, row: Row) -> None:
    expected = {
        Proof.REFUSED: CancelOutcome.REFUSED,
        Proof.NO_SUCH_ORDER: CancelOutcome.GONE,
        Proof.UNKNOWN: CancelOutcome.UNKNOWN,
    }
    async with serve(raw(row)) as exchange:
        assert (await exchange.cancel(order())).outcome is expected[row.verdict.proof]
        if row.verdict.proof is Proof.NO_SUCH_ORDER:
            assert await exchange.find_order("BTCUSDT", "gb0001") is None
        else:
            with pytest.raises(DependencyError):
                await exchange.find_order("BTCUSDT", "gb0001")


DOUBTFUL = {
    "an empty body": Script(body=b""),
    "an empty object": Script(body=b"{}"),
    "a list": Script(body=b"[]"),
    "HTML": Script(body=b"<html>maintenance</html>", content_type="text/html"),
    "truncated JSON": Script(body=b'{"orderId": 12, "clientOrd'),
    "null": Script(body=b"null"),
    "a body that is cut": Script(fault="cut"),
    "a broken connection": Script(fault="disconnect"),
    "silence": Script(fault="hang"),
    "an order without id": Script(body=b'{"clientOrderId": "gb0001"}'),
    "an order with an empty id": Script(body=b'{"clientOrderId": "gb0001", "orderId": null}'),
    "another order": Script(body=b'{"clientOrderId": "gb0002", "orderId": 5}'),
    "a code with 200": Script(body=b'{"code": -2019, "msg": "Margin is insufficient."}'),
    "a code that nobody knows": Script(status=400, body=b'{"code": -9999, "msg": "Oh."}'),
    "500": Script(status=500, body=b'{"code": -2019, "msg": "Margin is insufficient."}'),
    "502": Script(status=502, body=b"<html>Bad Gateway</html>", content_type="text/html"),
    "503 without words": Script(status=503, body=b""),
    "504": Script(status=504, body=b""),
    "403 of the firewall": Script(status=403, body=b"<html>403</html>", content_type="text/html"),
    "400 without code": Script(status=400, body=b"{}"),
    "302": Script(status=302, body=b""),
}


@pytest.mark.invariant(1, 35)
@pytest.mark.parametrize("script", DOUBTFUL.values(), ids=DOUBTFUL.keys())
async def test_whatever_is_not_in_the_table_is_unknown(serve: Serve, script: Script) -> None:
    script.requests.clear()
    async with serve(script) as exchange:
        placed = await exchange.place(order())
        assert placed.status is OrderStatus.UNKNOWN
        assert script.requests.count("POST /fapi/v1/order") == 1, "never sent twice"
        assert (await exchange.cancel(order())).outcome is CancelOutcome.UNKNOWN
        with pytest.raises(DependencyError) as raised:
            await exchange.find_order("BTCUSDT", "gb0001")
        for text in (placed.end_text, str(raised.value)):
            assert "signature" not in text
            assert "http" not in text.replace("HTTP", "")
            assert SECRET not in text
        assert raised.value.__cause__ is None
        assert raised.value.__suppress_context__


async def test_a_plain_success(serve: Serve) -> None:
    body = orjson.dumps({"clientOrderId": "gb0001", "orderId": 2**53 + 1, "status": "NEW"})
    async with serve(Script(body=body)) as exchange:
        placed = await exchange.place(order())
        assert placed.status is OrderStatus.NEW
        assert placed.end_reason is EndReason.NONE
        assert placed.exchange_order_id == "9007199254740993"


@pytest.mark.invariant(54)
async def test_too_many_requests_silence_us_for_as_long_as_we_are_told(serve: Serve) -> None:
    script = Script(
        status=429, body=b'{"code": -1003, "msg": "Too many."}', headers={"Retry-After": "7"}
    )
    async with serve(script) as exchange:
        before = SystemClock().now_ns()
        await exchange.place(order())
        assert 6.9e9 < exchange.held_until_ns - before < 7.5e9
        placed = await exchange.place(order())
        assert placed.status is OrderStatus.NOT_PLACED
        assert len(script.requests) == 1


@pytest.mark.parametrize(("body", "hedging"), [(b"true", True), (b'"false"', False)])
async def test_the_position_mode(serve: Serve, body: bytes, hedging: bool) -> None:  # noqa: FBT001
    async with serve(Script(body=b'{"dualSidePosition": ' + body + b"}")) as exchange:
        assert await exchange.hedge_mode() is hedging


def test_other_exchanges_have_no_lines_yet() -> None:
    answer = Answer(status=400, code="-2019", text="Margin is insufficient.")
    assert classify("binanceusdm", answer).proof is Proof.REFUSED
    assert classify("bybit", answer).proof is Proof.UNKNOWN
    assert not classify("bybit", answer).listed
