"""The exchange as the adversary: whatever it answers, no order is taken for refused or for placed."""

from typing import Any, Final

import pytest

from opensqt.adapters.ccxt import transport
from opensqt.core.orders import EndReason, OrderStatus
from opensqt.ports import CancelOutcome, DependencyError
from tests.integration.ccxt.answering import (
    EXCHANGES,
    SECRET,
    Connection,
    Script,
    Serve,
)
from tests.integration.ccxt.bodies import ID_KEYS, ORDER_ID_KEYS, success
from tests.integration.ccxt.known_answers import REFUSED_FOR_MARGIN
from tests.integration.ccxt.test_orders import order

pytestmark = pytest.mark.integration

HTML = "text/html; charset=utf-8"

GARBAGE: Final[dict[str, dict[str, Any]]] = {
    "an empty 200": {"body": b""},
    "a blank 200": {"body": b" \r\n"},
    "an empty object": {"body": b"{}"},
    "an empty list": {"body": b"[]"},
    "null": {"body": b"null"},
    "a number": {"body": b"12"},
    "text": {"body": b'"ok"'},
    "HTML with 200": {"body": b"<html>maintenance</html>", "content_type": HTML},
    "HTML that says it is JSON": {"body": b"<html>maintenance</html>"},
    "truncated JSON": {"body": b'{"orderId": 12, "clientOrd'},
    "JSON after a byte order mark": {"body": b"\xef\xbb\xbf{}"},
    "bytes that are no text": {"body": b"\xff\xfe\x00\x01{"},
    "an unknown charset": {"body": b"{}", "content_type": "application/json; charset=utf-99"},
    "JSON nested without end": {"body": b"[" * 100_000},
    "objects nested without end": {"body": b'{"a":' * 100_000},
    "a number without end": {"body": b'{"orderId": ' + b"9" * 10_000 + b"}"},
    "not a number": {"body": b'{"orderId": NaN}'},
    "a body that is not compressed as it says": {
        "body": b"{}",
        "headers": {"Content-Encoding": "gzip"},
    },
    "only a word of an error": {"body": b'{"msg": "Margin is insufficient."}'},
    "a code that nobody knows": {
        "status": 400,
        "body": b'{"code": -9999, "retCode": 9999, "label": "OH", "msg": "Oh."}',
    },
    "a code that is no code": {
        "status": 400,
        "body": b'{"code": {"a": 1}, "retCode": [], "label": null}',
    },
    "400 without code": {"status": 400, "body": b"{}"},
    "401 without code": {"status": 401, "body": b""},
    "402": {"status": 402, "body": b""},
    "404 in HTML": {"status": 404, "body": b"<html>404</html>", "content_type": HTML},
    "500 in HTML": {"status": 500, "body": b"<html>500</html>", "content_type": HTML},
    "502 in HTML": {"status": 502, "body": b"<html>Bad Gateway</html>", "content_type": HTML},
    "503 without words": {"status": 503, "body": b""},
    "504": {"status": 504, "body": b""},
    "520": {"status": 520, "body": b"<html>cloud</html>", "content_type": HTML},
    "204": {"status": 204, "body": b""},
}


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.invariant(1, 35)
async def test_garbage_proves_nothing(serve: Serve, exchange: str) -> None:
    for name, answer in GARBAGE.items():
        script = Script(**answer)
        async with serve(exchange, script) as connection:
            await proves_nothing(name, script, connection)


async def proves_nothing(name: str, script: Script, connection: Connection) -> None:
    placed = await connection.venue.place(order())
    assert placed.status is OrderStatus.UNKNOWN, name
    assert placed.end_reason in {EndReason.NONE, EndReason.OTHER}, name
    assert len(script.sent) == 1, f"{name}: never sent twice"
    assert (await connection.venue.cancel(order())).outcome is CancelOutcome.UNKNOWN, name
    with pytest.raises(DependencyError) as raised:
        assert await connection.venue.find_order("BTCUSDT", "gb0001") is ..., name
    assert raised.value.__suppress_context__ or raised.value.__context__ is None, name
    for text in (placed.end_text, str(raised.value)):
        assert "signature" not in text, name
        assert "http" not in text.replace("HTTP", ""), name
        assert SECRET not in text, name
    assert not connection.requests.held_until_ns, name


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_refusal_under_a_failing_status_proves_nothing(serve: Serve, exchange: str) -> None:
    body = REFUSED_FOR_MARGIN[exchange]
    for status in (300, 500, 502, 504):
        script = Script(status=status, body=body)
        async with serve(exchange, script) as connection:
            await proves_nothing(f"{status}", script, connection)


@pytest.mark.parametrize("exchange", ["binanceusdm", "binance"])
async def test_a_refusal_with_200_proves_nothing_where_none_is_documented(
    serve: Serve, exchange: str
) -> None:
    script = Script(body=REFUSED_FOR_MARGIN[exchange])
    async with serve(exchange, script) as connection:
        await proves_nothing("a code with 200", script, connection)


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_success_about_another_order_proves_nothing(serve: Serve, exchange: str) -> None:
    sent = order()
    key, id_key = ID_KEYS[exchange], ORDER_ID_KEYS[exchange]
    changes: list[dict[str, Any]] = [
        {key: "gb0002"},
        {key: ""},
        {key: None},
        {key: ...},
        {id_key: ""},
        {id_key: None},
        {id_key: ...},
        *CONTRADICTIONS.get(exchange, []),
    ]
    for change in changes:
        script = Script(body=success(exchange, sent, **change))
        async with serve(exchange, script) as connection:
            placed = await connection.venue.place(sent)
            assert placed.status is OrderStatus.UNKNOWN, change
            assert len(script.sent) == 1, change


CONTRADICTIONS: Final[dict[str, list[dict[str, Any]]]] = {
    "binanceusdm": [
        {"symbol": "ETHUSDT"},
        {"side": "SELL"},
        {"price": "59990.20"},
        {"price": 59990.1},
        {"price": "-1"},
        {"origQty": "0.1"},
        {"origQty": "many"},
    ],
    "binance": [{"symbol": "ETHUSDT"}, {"symbol": ...}],
    "okx": [{"sCode": "51008"}, {"sCode": ...}],
    "gate": [
        {"contract": "ETHUSDT"},
        {"size": "-0.010"},
        {"size": 1},
        {"price": "59990.20"},
        {"text": "gb0001"},
    ],
}


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_success_of_any_content_type_is_one(serve: Serve, exchange: str) -> None:
    script = Script(body=success(exchange, order()), content_type="text/plain")
    async with serve(exchange, script) as connection:
        assert (await connection.venue.place(order())).status is OrderStatus.NEW


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.invariant(1)
async def test_redirects_are_not_followed(serve: Serve, exchange: str, status: int) -> None:
    # A 307 would send the signed order once more.
    script = Script(status=status, headers={"Location": "https://api.binance.com/elsewhere"})
    async with serve(exchange, script) as connection:
        await proves_nothing(f"{status}", script, connection)
        assert all("elsewhere" not in sent.path for sent in script.sent)


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.invariant(1, 39)
async def test_connections_that_break_prove_nothing(serve: Serve, exchange: str) -> None:
    for fault in ("disconnect", "cut"):
        script = Script(fault=fault)
        async with serve(exchange, script) as connection:
            await proves_nothing(fault, script, connection)


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_silence_proves_nothing(serve: Serve, exchange: str) -> None:
    script = Script(fault="hang")
    async with serve(exchange, script) as connection:
        assert (await connection.venue.place(order())).status is OrderStatus.UNKNOWN
        assert len(script.sent) == 1


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_body_without_end_is_not_read_to_its_end(
    serve: Serve, exchange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "BODY_MAX", 2**21)
    script = Script(fault="endless")
    async with serve(exchange, script) as connection:
        placed = await connection.venue.place(order())
        assert placed.status is OrderStatus.UNKNOWN
        assert "ClientPayloadError" in placed.end_text, "not read until the time is up"
