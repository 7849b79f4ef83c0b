"""WebSocket streams: routes, subscriptions, market events, the user data stream."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest

from .conftest import READER, SYMBOL, OpenPaper, Paper

Event = dict[str, Any]


class Stream:
    """A WebSocket client that reads JSON."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def next(self, wanted: Callable[[Any], bool] = lambda _: True) -> Any:
        async with asyncio.timeout(5):
            while True:
                message = await self.socket.receive()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    raise ConnectionError(message.type)
                event = orjson.loads(message.data)
                if wanted(event):
                    return event

    async def ask(self, method: str, params: Any = None, number: int = 1) -> Any:
        await self.socket.send_json({"method": method, "params": params or [], "id": number})
        return await self.next(lambda answer: "id" in answer)


@asynccontextmanager
async def connected(paper: Paper, path: str) -> AsyncIterator[Stream]:
    async with paper.http.ws_connect(paper.url + path) as socket:
        stream = Stream(socket)
        await stream.ask("LIST_SUBSCRIPTIONS")  # what the path asks for is in place
        yield stream


@pytest.mark.parametrize(
    "path",
    [
        "/ws/btcusdt@trade",
        "/market/ws/btcusdt@trade",
        "/public/ws/btcusdt@trade/btcusdt@bookTicker",
    ],
)
async def test_bare_routes(paper: Paper, path: str) -> None:
    async with connected(paper, path) as stream:
        paper.trade("60001", "0.5", "buyer", trade_id=7)
        event = await stream.next(lambda event: event.get("e") == "trade")
    assert event == event | {
        "s": SYMBOL,
        "t": 7,
        "p": "60001.00",
        "q": "0.500",
        "m": False,
        "X": "MARKET",
    }
    assert event["T"] <= event["E"]


@pytest.mark.parametrize(
    "path",
    ["/stream?streams=btcusdt@trade", "/market/stream?streams=btcusdt@bookTicker/btcusdt@trade"],
)
async def test_combined_routes(paper: Paper, path: str) -> None:
    async with connected(paper, path) as stream:
        paper.trade("60001", "0.5")
        event = await stream.next(lambda event: event.get("stream") == "btcusdt@trade")
    assert event["data"]["p"] == "60001.00"


async def test_subscriptions(paper: Paper) -> None:
    async with connected(paper, "/public/ws/3") as stream:
        answer = await stream.ask("SUBSCRIBE", ["btcusdt@bookTicker", "btcusdt@aggTrade"], number=9)
        assert answer == {"result": None, "id": 9}
        listed = await stream.ask("LIST_SUBSCRIPTIONS")
        assert listed["result"] == ["btcusdt@aggTrade", "btcusdt@bookTicker"]
        paper.quote("60005", "60005.1", 1, 2)
        event = await stream.next()
        assert event == event | {
            "e": "bookTicker",
            "b": "60005.00",
            "B": "1.000",
            "a": "60005.10",
            "A": "2.000",
        }
        await stream.ask("UNSUBSCRIBE", ["btcusdt@bookTicker"])
        paper.quote("60006", "60006.1")
        paper.trade("60006", "1", trade_id=11)
        assert (await stream.next())["a"] == 11


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"method": "DANCE", "id": 1}', '{"method": "SUBSCRIBE", "params": "x", "id": 1}'],
)
async def test_bad_commands_are_answered_with_an_error(paper: Paper, text: str) -> None:
    async with connected(paper, "/ws") as stream:
        await stream.socket.send_str(text)
        assert (await stream.next())["error"]["code"] in (2, 3)


async def test_slow_streams(open_paper: OpenPaper) -> None:
    paper = await open_paper(market={"start": "when_told", "mark_price_interval_s": 0.05})
    names = ["markPrice", "markPrice@1s", "ticker", "miniTicker", "kline_1m", "depth5@100ms"]
    async with connected(paper, "/ws/" + "/".join(f"btcusdt@{name}" for name in names)) as stream:
        paper.quote("60000", "60000.1", 3, 4)
        paper.trade("60000", "2")
        seen: dict[str, Event] = {}
        wanted = {"markPriceUpdate", "24hrTicker", "24hrMiniTicker", "kline", "depthUpdate"}
        while seen.keys() < wanted:
            event = await stream.next()
            seen[event["e"]] = event
    assert seen["markPriceUpdate"]["p"] == "60000.00"
    assert seen["markPriceUpdate"]["r"] == "0.0001"
    assert seen["markPriceUpdate"]["T"] > seen["markPriceUpdate"]["E"]
    assert seen["24hrTicker"]["w"] == "60000.00"
    assert seen["24hrMiniTicker"]["v"] == "2.000"
    assert seen["kline"]["k"]["x"] is False
    assert len(seen["depthUpdate"]["b"]) == 5
    assert seen["depthUpdate"]["b"][0] == ["60000.00", "3.000"]


async def test_a_candle_closes_without_a_trade(paper: Paper) -> None:
    async with connected(paper, "/ws/btcusdt@kline_1m") as stream:
        paper.clock.move(60)
        event = await stream.next(lambda event: event["k"]["x"])
        assert event["k"]["c"] == "60000.00"


async def test_depth_differences_rebuild_the_book_from_any_snapshot(paper: Paper) -> None:
    async with connected(paper, "/ws/btcusdt@depth@100ms") as stream:
        book: dict[str, dict[str, str]] = {}
        last = 0
        for step in range(60):
            price = 60_000 + step % 7
            paper.quote(price, f"{price}.1", 1 + step % 3, 2)
            if step == 20:
                snapshot = (await paper.request("GET", "/fapi/v1/depth?symbol=BTCUSDT")).json
                book = {"b": dict(snapshot["bids"]), "a": dict(snapshot["asks"])}
                last = snapshot["lastUpdateId"]
            await asyncio.sleep(0.01)
        final = (await paper.request("GET", "/fapi/v1/depth?symbol=BTCUSDT")).json
        synced = False
        while last < final["lastUpdateId"]:
            event = await stream.next()
            if event["u"] < last:
                continue
            assert event["pu"] == last if synced else event["U"] <= last + 1
            synced, last = True, event["u"]
            for side in ("b", "a"):
                book[side].update(event[side])
    for side, name in (("b", "bids"), ("a", "asks")):
        assert {p: q for p, q in book[side].items() if float(q)} == dict(final[name])


class TestUserStream:
    @pytest.mark.parametrize("how", ["path", "query", "subscribe", "combined"])
    async def test_the_ways_to_listen(self, paper: Paper, how: str) -> None:
        key = await paper.listen_key()
        path = {
            "path": f"/ws/{key}",
            "query": f"/private/ws?listenKey={key}",
            "subscribe": "/ws",
            "combined": f"/stream?streams={key}",
        }[how]
        async with connected(paper, path) as stream:
            if how == "subscribe":
                await stream.ask("SUBSCRIBE", [key])
            await paper.order("BUY", "0.01", "59000", newClientOrderId="x")
            event = await stream.next()
            order = (event["data"] if how == "combined" else event)["o"]
            assert (order["c"], order["X"], order["x"]) == ("x", "NEW", "NEW")

    async def test_fills_and_the_account(self, paper: Paper) -> None:
        key = await paper.listen_key()
        async with connected(paper, f"/ws/{key}") as stream:
            await paper.order("BUY", "0.01", "60000", newClientOrderId="x")
            await stream.next()
            paper.trade("60000", "5.004")
            account, order = (await stream.next())["a"], (await stream.next())["o"]
            assert account["m"] == "ORDER"
            assert account["P"][0] == account["P"][0] | {
                "s": SYMBOL,
                "pa": "0.004",
                "ep": "60000.00",
            }
            assert account["B"][0] == {
                "a": "USDT",
                "wb": "9999.95200000",
                "cw": "9999.95200000",
                "bc": "0.00000000",
            }
            assert order == order | {
                "X": "PARTIALLY_FILLED",
                "x": "TRADE",
                "l": "0.004",
                "z": "0.004",
                "L": "60000.00",
                "n": "0.04800000",
                "N": "USDT",
                "m": True,
                "R": False,
                "rp": "0.00000000",
            }
            first = order["t"]
            paper.trade("59000", "1")
            order = (await stream.next(lambda event: "o" in event))["o"]
            assert (order["X"], order["z"], order["t"]) == ("FILLED", "0.010", first + 1)
            await paper.order("SELL", "0.01", newClientOrderId="y")
            order = (await stream.next(lambda event: event.get("o", {}).get("x") == "TRADE"))["o"]
            assert (order["c"], order["m"]) == ("y", False)

    async def test_funding(self, open_paper: OpenPaper) -> None:
        paper = await open_paper(funding={"interval_s": 0.3, "rate": "0.001"})
        paper.quote("60000", "60000.1")
        paper.trade("60000", "1")
        key = await paper.listen_key()
        async with connected(paper, f"/ws/{key}") as stream:
            await paper.order("BUY", "0.01")
            event = await stream.next(lambda event: event.get("a", {}).get("m") == "FUNDING_FEE")
            assert event["a"]["B"][0]["bc"] == "-0.60000000"
        rates = (await paper.request("GET", "/fapi/v1/fundingRate?symbol=BTCUSDT")).json
        assert rates[-1]["fundingRate"] == "0.001"
        incomes = (await paper.signed("GET", "/fapi/v1/income", incomeType="FUNDING_FEE")).json
        assert incomes[0]["income"] == "-0.60000000"

    async def test_leverage_is_told(self, paper: Paper) -> None:
        key = await paper.listen_key()
        async with connected(paper, f"/ws/{key}") as stream:
            await paper.signed("POST", "/fapi/v1/leverage", symbol=SYMBOL, leverage=3)
            event = await stream.next()
            assert (event["e"], event["ac"]) == ("ACCOUNT_CONFIG_UPDATE", {"s": SYMBOL, "l": 3})

    async def test_a_key_without_keep_alive_expires(self, open_paper: OpenPaper) -> None:
        paper = await open_paper(
            market={"start": "when_told", "mark_price_interval_s": 0.05},
            limits={"listen_key_s": 60},
        )
        paper.quote("60000", "60000.1")
        headers = {"X-MBX-APIKEY": READER[0]}
        key = await paper.listen_key()
        assert await paper.listen_key() == key
        async with connected(paper, f"/ws/{key}") as stream:
            paper.clock.move(50)
            assert (await paper.request("PUT", "/fapi/v1/listenKey", headers=headers)).status == 200
            paper.clock.move(50)
            await asyncio.sleep(0.15)
            assert paper.exchange.venue.listen_keys.of("paper") == key
            paper.clock.move(11)
            event = await stream.next()
            assert (event["e"], event["listenKey"]) == ("listenKeyExpired", key)
            await paper.order("BUY", "0.01", "59000")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await stream.next()
        answer = await paper.request("PUT", "/fapi/v1/listenKey", headers=headers)
        assert answer.code == -1125
        assert await paper.listen_key() != key

    async def test_a_closed_key_is_silent(self, paper: Paper) -> None:
        key = await paper.listen_key()
        headers = {"X-MBX-APIKEY": READER[0]}
        assert (await paper.request("DELETE", "/fapi/v1/listenKey", headers=headers)).json == {}
        async with connected(paper, f"/ws/{key}") as stream:
            await paper.order("BUY", "0.01", "59000")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await stream.next()


async def test_a_client_that_does_not_read_is_disconnected(
    paper: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.paper_exchange.streams.hub.QUEUE_MAX", 5)
    async with connected(paper, "/ws/btcusdt@trade") as stream:
        for number in range(10):  # without letting the writer write
            paper.trade("60000", "1", trade_id=number)
        with pytest.raises((ConnectionError, aiohttp.ClientError)):
            await stream.next(lambda _: False)
    async with asyncio.timeout(2):
        while paper.exchange.venue.hub.connections:
            await asyncio.sleep(0.01)


async def test_the_websocket_api_answers_errors_with_their_codes(paper: Paper) -> None:
    async with paper.http.ws_connect(paper.url + "/ws-fapi/v1") as socket:
        requests: list[tuple[Any, int]] = [
            ("{", -1102),
            ("[]", -1102),
            ({"id": 1, "method": "order.dance"}, -1020),
            ({"id": 1, "method": "order.place", "params": {"apiKey": "nobody"}}, -2015),
            ({"id": 1, "method": "depth", "params": {"symbol": "NOPE"}}, -1121),
        ]
        for request, code in requests:
            await socket.send_str(
                request if isinstance(request, str) else orjson.dumps(request).decode()
            )
            answer = orjson.loads((await socket.receive()).data)
            assert answer["error"]["code"] == code
            assert answer["status"] >= 400
        await socket.send_json({"id": "a", "method": "time"})
        answer = orjson.loads((await socket.receive()).data)
        assert (answer["id"], answer["status"]) == ("a", 200)
