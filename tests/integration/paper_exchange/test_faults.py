"""Injected faults: what clients see, and what is true in the books."""

import asyncio
from typing import Any

import aiohttp
import orjson
import pytest

from .conftest import SYMBOL, OpenPaper, Paper


async def opened(open_paper: OpenPaper, **faults: Any) -> Paper:
    paper = await open_paper(faults=faults)
    paper.quote("60000", "60000.1")
    paper.trade("60000", "1")
    return paper


def orders(paper: Paper) -> list[str]:
    return [
        order.client_order_id for order in paper.exchange.venue.account("paper").orders.values()
    ]


async def outcome(paper: Paper, number: int) -> str:
    try:
        answer = await paper.order("BUY", "0.01", "59000", newClientOrderId=f"x{number}")
    except aiohttp.ClientError:
        return "broken"
    if answer.status == 200:
        try:
            return str(answer.json["status"])
        except orjson.JSONDecodeError:
            return "empty" if not answer.body else "truncated"
    return f"{answer.status} {answer.headers['Content-Type']}"


async def test_a_lost_answer_leaves_the_order_in_the_books(open_paper: OpenPaper) -> None:
    paper = await opened(open_paper, lost_answer=1)
    seen = {await outcome(paper, number) for number in range(30)}
    assert seen == {
        "broken",
        "504 text/html; charset=utf-8",
        "408 application/json",
        "truncated",
        "empty",
    }
    assert len(orders(paper)) == 30


async def test_a_lost_request_never_arrives(open_paper: OpenPaper) -> None:
    paper = await opened(open_paper, lost_request=1)
    assert {await outcome(paper, number) for number in range(5)} == {"broken"}
    assert orders(paper) == []
    with pytest.raises(aiohttp.ClientError):
        await paper.signed("DELETE", "/fapi/v1/order", symbol=SYMBOL, orderId=1)


@pytest.mark.parametrize(
    ("fault", "text", "effect"),
    [
        (
            "unknown_503",
            "Unknown error, please check your request or try again later.",
            "sometimes",
        ),
        ("unavailable_503", "Service Unavailable.", "never"),
        (
            "internal_503",
            "Internal error; unable to process your request. Please try again.",
            False,
        ),
    ],
)
async def test_the_three_kinds_of_503(
    open_paper: OpenPaper, fault: str, text: str, effect: str
) -> None:
    paper = await opened(open_paper, **{fault: 1})
    for number in range(20):
        answer = await paper.order("BUY", "0.01", "59000", newClientOrderId=f"x{number}")
        assert (answer.status, answer.json["msg"]) == (503, text)
    assert 0 < len(orders(paper)) < 20 if effect == "sometimes" else not orders(paper)


async def test_queries_lag(open_paper: OpenPaper) -> None:
    paper = await opened(open_paper, query_lag_ms=1000)
    await paper.order("BUY", "0.01", "59000", newClientOrderId="x")
    query = {"symbol": SYMBOL, "origClientOrderId": "x"}
    assert (await paper.signed("GET", "/fapi/v1/order", **query)).code == -2013
    assert (await paper.signed("GET", "/fapi/v1/openOrders", symbol=SYMBOL)).json == []
    paper.clock.move(1)
    assert (await paper.signed("GET", "/fapi/v1/order", **query)).status == 200


async def received(paper: Paper, count: int) -> list[int]:
    """The trade ids that a subscriber sees of `count` trades."""
    async with paper.http.ws_connect(paper.url + "/ws/btcusdt@trade") as socket:
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 1})
        await socket.receive()
        for number in range(count):
            paper.trade("60000", "1", trade_id=number)
        seen: list[int] = []
        try:
            async with asyncio.timeout(0.5):
                while True:
                    seen.append(orjson.loads((await socket.receive()).data)["t"])
        except TimeoutError:
            return seen


async def test_events_are_dropped(open_paper: OpenPaper) -> None:
    paper = await opened(open_paper, market={"drop": 0.5})
    seen = await received(paper, 100)
    assert 20 < len(seen) < 80
    assert seen == sorted(seen)


async def test_events_are_doubled(open_paper: OpenPaper) -> None:
    paper = await opened(open_paper, market={"duplicate": 1})
    assert await received(paper, 3) == [0, 0, 1, 1, 2, 2]


async def test_events_change_places_and_none_is_lost(open_paper: OpenPaper) -> None:
    paper = await opened(open_paper, market={"reorder": 0.3})
    seen = await received(paper, 100)
    assert sorted(seen) == list(range(100))
    assert seen != list(range(100))
    assert all(abs(place - number) <= 1 for place, number in enumerate(seen))


async def test_delayed_events_hold_up_those_behind_them(open_paper: OpenPaper) -> None:
    paper = await opened(open_paper, market={"delay": 0.3, "delay_ms_max": 50})
    assert await received(paper, 30) == list(range(30))


async def test_the_user_stream_has_its_own_faults(open_paper: OpenPaper) -> None:
    paper = await opened(open_paper, user={"drop": 1})
    key = await paper.listen_key()
    async with paper.http.ws_connect(f"{paper.url}/ws/{key}/btcusdt@trade") as socket:
        await paper.order("BUY", "0.01", "59000")
        paper.trade("60000", "1")
        assert orjson.loads((await socket.receive()).data)["e"] == "trade"


async def test_connections_are_cut(open_paper: OpenPaper) -> None:
    paper = await opened(open_paper, disconnect_every_s=0.2)
    async with paper.http.ws_connect(paper.url + "/ws/btcusdt@trade") as socket:
        async with asyncio.timeout(2):
            message = await socket.receive()
    assert message.type in (
        aiohttp.WSMsgType.CLOSED,
        aiohttp.WSMsgType.ERROR,
        aiohttp.WSMsgType.CLOSE,
    )


async def test_the_same_seed_has_the_same_faults(open_paper: OpenPaper) -> None:
    runs = []
    for _ in range(2):
        paper = await opened(open_paper, lost_answer=0.3, unavailable_503=0.3)
        runs.append([await outcome(paper, number) for number in range(20)])
    assert runs[0] == runs[1]


async def test_answers_take_their_time(open_paper: OpenPaper) -> None:
    paper = await opened(open_paper, latency_ms_min=100, latency_ms_max=120)
    began = asyncio.get_running_loop().time()
    await paper.request("GET", "/fapi/v1/ping")
    assert asyncio.get_running_loop().time() - began >= 0.1
