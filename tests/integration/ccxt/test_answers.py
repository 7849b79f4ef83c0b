"""Every line of the tables of answers, from raw HTTP through ccxt."""

import asyncio
import time

import orjson
import pytest

from opensqt.adapters.ccxt.answers import TABLES, Answer, Proof, Verdict, classify, row_for
from opensqt.core.orders import EndReason, OrderStatus
from opensqt.ports import CancelOutcome, DependencyError
from opensqt.runtime.clock import SystemClock
from tests.integration.ccxt.answering import EXCHANGES, Connection, Script, Serve
from tests.integration.ccxt.bodies import refusal, sighting, success
from tests.integration.ccxt.known_answers import Known, known_answers
from tests.integration.ccxt.test_orders import order

pytestmark = pytest.mark.integration

KNOWN = known_answers()

CANCEL_OUTCOMES = {
    Proof.REFUSED: CancelOutcome.REFUSED,
    Proof.NO_SUCH_ORDER: CancelOutcome.GONE,
    Proof.NOT_OPEN: CancelOutcome.GONE,
    Proof.UNKNOWN: CancelOutcome.UNKNOWN,
}


def raw(known: Known) -> list[tuple[int, bytes]]:
    """The statuses and bodies that say it, in every form of the exchange."""
    if not known.code:
        return [(known.status, f"<html>{known.words}</html>".encode())]
    return [(known.status, body) for body in refusal(known.exchange, known.code, known.words)]


def test_every_line_decides_about_some_answer() -> None:
    reached = {
        id(row_for(k.exchange, Answer(status=k.status, code=k.code, text=k.words))) for k in KNOWN
    }
    for exchange, table in TABLES.items():
        shadowed = [row for row in table if id(row) not in reached]
        assert not shadowed, f"{exchange}: no answer reaches {shadowed}"


def test_every_exchange_has_a_table_and_a_venue() -> None:
    assert set(TABLES) == set(EXCHANGES) == {known.exchange for known in KNOWN}


GATE_KNOWS_NOTHING = (404, b'{"label": "ORDER_NOT_FOUND", "message": "Order not found"}')

GROUPS = sorted({(k.exchange, k.proof.name, k.reason.name) for k in KNOWN})


@pytest.mark.parametrize(("exchange", "proof", "reason"), GROUPS)
@pytest.mark.invariant(34, 36, 40)
async def test_what_answers_prove(serve: Serve, exchange: str, proof: str, reason: str) -> None:
    script = Script()
    async with serve(exchange, script) as connection:
        for known in KNOWN:
            if (known.exchange, known.proof.name, known.reason.name) == (exchange, proof, reason):
                for status, body in raw(known):
                    script.status, script.body = status, body
                    await prove(known, script, connection)


async def prove(known: Known, script: Script, connection: Connection) -> None:
    script.sent.clear()
    connection.requests._held_until_ns = 0
    placed = await connection.venue.place(order())
    assert len(script.sent) == 1, f"{known}: never sent twice"
    rejected = known.proof is Proof.REFUSED
    assert placed.status is (OrderStatus.REJECTED if rejected else OrderStatus.UNKNOWN), known
    assert placed.end_reason is known.reason, known
    if connection.requests.held_until_ns:
        assert known.status in {403, 418, 429}, known
        connection.requests._held_until_ns = 0
    canceled = await connection.venue.cancel(order())
    assert canceled.outcome is CANCEL_OUTCOMES[known.proof], known
    connection.requests._held_until_ns = 0
    if known.proof is Proof.NO_SUCH_ORDER:
        assert await connection.venue.find_order("BTCUSDT", "gb0001") is None, known
    else:
        with pytest.raises(DependencyError):
            await connection.venue.find_order("BTCUSDT", "gb0001")


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_an_order_that_was_taken(serve: Serve, exchange: str) -> None:
    sent = order()
    script = Script(body=success(exchange, sent))
    async with serve(exchange, script) as connection:
        placed = await connection.venue.place(sent)
        assert (placed.status, placed.end_reason) == (OrderStatus.NEW, EndReason.NONE)
        assert placed.exchange_order_id == "12"
        script.body = sighting(exchange, sent)
        found = await connection.venue.find_order("BTCUSDT", "gb0001")
        assert (found.status, found.exchange_order_id) == (OrderStatus.NEW, "12")


async def test_ids_beyond_what_a_float_holds(serve: Serve) -> None:
    body = success("binanceusdm", order(), orderId=2**53 + 1)
    async with serve("binanceusdm", Script(body=body)) as connection:
        placed = await connection.venue.place(order())
        assert placed.exchange_order_id == "9007199254740993"


@pytest.mark.parametrize(
    ("exchange", "row", "reason"),
    [
        (
            "bybit",
            {"orderStatus": "Cancelled", "rejectReason": "EC_PostOnlyWillTakeLiquidity"},
            EndReason.POST_ONLY_WOULD_TAKE,
        ),
        (
            "bybit",
            {"orderStatus": "Rejected", "rejectReason": "EC_PostOnlyWillTakeLiquidity"},
            EndReason.POST_ONLY_WOULD_TAKE,
        ),
        (
            "bybit",
            {"orderStatus": "Cancelled", "rejectReason": "EC_PerCancelRequest"},
            EndReason.CANCEL_REQUESTED,
        ),
        ("okx", {"state": "canceled", "cancelSource": "31"}, EndReason.POST_ONLY_WOULD_TAKE),
        (
            "gate",
            {"status": "finished", "finish_as": "stp"},
            EndReason.SELF_TRADE_PREVENTION,
        ),
        ("gate", {"status": "finished", "finish_as": "liquidated"}, EndReason.FORCED),
    ],
)
@pytest.mark.invariant(51)
async def test_an_order_that_was_taken_and_then_refused(
    serve: Serve, exchange: str, row: dict[str, str], reason: EndReason
) -> None:
    async with serve(exchange, Script(body=sighting(exchange, order(), **row))) as connection:
        found = await connection.venue.find_order("BTCUSDT", "gb0001")
        assert found.status.terminal
        assert found.end_reason is reason


@pytest.mark.invariant(38)
async def test_gate_forgets_client_ids_but_not_the_orders(serve: Serve) -> None:
    # Scenario 38: more than a minute after a fill, the order is found among those that ended.
    filled = orjson.loads(sighting("gate", order(), status="finished", finish_as="filled"))
    others = [{**filled, "text": f"t-other{n}"} for n in range(99)]
    for ended, found in ([*others, filled], True), (others, False), ([], False):
        script = Script(body=orjson.dumps(ended), first=[GATE_KNOWS_NOTHING])
        async with serve("gate", script) as connection:
            seen = await connection.venue.find_order("BTCUSDT", "gb0001")
            assert (seen is not None and seen.status is OrderStatus.FILLED) is found
            assert [sent.query.get("status") for sent in script.sent] == [None, "finished"]
    script = Script(
        body=orjson.dumps([*others, {**filled, "text": "web"}]), first=[GATE_KNOWS_NOTHING]
    )
    async with serve("gate", script) as connection:
        with pytest.raises(DependencyError, match="too many orders have ended"):
            await connection.venue.find_order("BTCUSDT", "gb0001")


async def test_bybit_goes_on_to_the_history(serve: Serve) -> None:
    nothing = b'{"retCode": 0, "retMsg": "OK", "result": {"list": []}}'
    seen = sighting("bybit", order(), orderStatus="Filled", rejectReason="EC_NoError")
    for body, found in ((seen, True), (nothing, False)):
        async with serve("bybit", Script(body=body, first=[(200, nothing)])) as connection:
            order_seen = await connection.venue.find_order("BTCUSDT", "gb0001")
            assert (order_seen is not None) is found
            assert order_seen is None or order_seen.status is OrderStatus.FILLED


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_requests_carry_id_and_expiry(serve: Serve, exchange: str) -> None:
    # What the exchange must check, as it reads it: the id, and until when the order is good.
    sent = order(reduce_only=exchange != "binance")
    script = Script(body=success(exchange, sent))
    async with serve(exchange, script) as connection:
        await connection.venue.place(sent)
        (request,) = script.sent
        whole = request.body + str(request.query)
        assert sent.client_oid in whole
        assert "59990.1" in whole
        until_ms = _until_ms(exchange, request.headers, request.body)
        assert abs(until_ms - sent.deadline_ns / 1e6) < 1500
        assert until_ms < time.time() * 1000 + 6000
        if sent.reduce_only:
            words = ('"reduceOnly":true', "reduceOnly=true", '"YES"', '"reduce_only":true')
            assert any(word in whole.replace(" ", "") for word in words)
        late = await connection.venue.place(order(deadline_ns=time.time_ns() - 1))
        assert late.status is OrderStatus.NOT_PLACED
        assert len(script.sent) == 1


def _until_ms(exchange: str, headers: dict[str, str], body: str) -> float:
    match exchange:
        case "bybit":
            return int(headers["x-bapi-timestamp"]) + int(headers["x-bapi-recv-window"])
        case "okx":
            return int(headers["exptime"])
        case "bitget":
            return int(headers["access-timestamp"]) + 30_000
        case "gate":
            return int(headers["x-gate-exptime"])
        case _:
            form = dict(pair.split("=") for pair in body.split("&"))
            return int(form["timestamp"]) + int(form["recvWindow"])


@pytest.mark.invariant(54)
async def test_too_many_requests_silence_us_for_as_long_as_we_are_told(serve: Serve) -> None:
    script = Script(
        status=429, body=b'{"code": -1003, "msg": "Too many."}', headers={"Retry-After": "7"}
    )
    async with serve("binanceusdm", script) as connection:
        before = SystemClock().now_ns()
        await connection.venue.place(order())
        assert 6.9e9 < connection.requests.held_until_ns - before < 7.5e9
        placed = await connection.venue.place(order())
        assert placed.status is OrderStatus.NOT_PLACED
        assert len(script.sent) == 1


async def test_bybit_bars_an_address_for_ten_minutes(serve: Serve) -> None:
    script = Script(status=403, body=b"access too frequent", content_type="text/plain")
    async with serve("bybit", script) as connection:
        await connection.venue.place(order())
        silent_s = (connection.requests.held_until_ns - SystemClock().now_ns()) / 1e9
        assert 590 < silent_s <= 600


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.invariant(55)
async def test_an_order_refused_for_its_timestamp_sets_the_clock(
    serve: Serve, exchange: str
) -> None:
    # Scenario 55: refused for sure, not in doubt; and the clocks are compared at once.
    code = {
        "binanceusdm": "-1021",
        "binance": "-1021",
        "bybit": "10002",
        "okx": "50102",
        "bitget": "40008",
        "gate": "REQUEST_EXPIRED",
    }[exchange]
    script = Script(status=400, body=refusal(exchange, code, "Timestamp.")[0])
    async with serve(exchange, script) as connection:
        placed = await connection.venue.place(order())
        assert (placed.status, placed.end_reason) == (OrderStatus.REJECTED, EndReason.TIMESTAMP)
        requests = connection.requests
        requests._offset_ms = 40_000
        keeping = asyncio.create_task(requests.keep_clock())
        try:
            async with asyncio.timeout(5):
                while abs(requests._offset_ms) > 1000:
                    await asyncio.sleep(0.01)
            requests._offset_ms = 40_000
            await connection.venue.place(order())
            async with asyncio.timeout(5):
                while abs(requests._offset_ms) > 1000:
                    await asyncio.sleep(0.01)
        finally:
            keeping.cancel()


def test_an_answer_of_another_exchange_proves_nothing() -> None:
    margin = Answer(status=400, code="-2019", text="Margin is insufficient.")
    assert classify("binanceusdm", margin).proof is Proof.REFUSED
    assert classify("bybit", margin) == Verdict(proof=Proof.UNKNOWN, listed=False)


@pytest.mark.parametrize(("body", "hedging"), [(b"true", True), (b'"false"', False)])
@pytest.mark.invariant(56)
async def test_the_position_mode(serve: Serve, body: bytes, hedging: bool) -> None:  # noqa: FBT001
    script = Script(body=b'{"dualSidePosition": ' + body + b"}")
    async with serve("binanceusdm", script) as connection:
        assert await connection.venue.hedge_mode() is hedging  # type: ignore[attr-defined]


async def test_whether_the_key_may_trade_is_not_guessed(serve: Serve) -> None:
    for status, body, said in (
        (400, b'{"code": -2011, "msg": "Unknown order sent."}', ""),
        (401, b'{"code": -2015, "msg": "Invalid API-key, IP, or permissions."}', "-2015"),
    ):
        async with serve("binanceusdm", Script(status=status, body=body)) as connection:
            assert said in await connection.venue.trading_refusal("BTCUSDT")  # type: ignore[attr-defined]
    for status, body in (
        (503, b""),
        (400, b'{"code": -1121, "msg": "Invalid symbol."}'),
        (200, b"{}"),
    ):
        async with serve("binanceusdm", Script(status=status, body=body)) as connection:
            with pytest.raises(DependencyError):
                await connection.venue.trading_refusal("BTCUSDT")  # type: ignore[attr-defined]
