"""REST, byte by byte as Binance would answer."""

import asyncio
from typing import Any

import orjson
import pytest

from .conftest import READER, SYMBOL, TRADER, OpenPaper, Paper

KEY = {"X-MBX-APIKEY": TRADER[0]}


class TestAuthentication:
    async def test_a_missing_key(self, paper: Paper) -> None:
        answer = await paper.request("GET", "/fapi/v2/balance?timestamp=1&signature=x")
        assert (answer.status, answer.code) == (401, -2014)

    async def test_an_unknown_key(self, paper: Paper) -> None:
        answer = await paper.signed("GET", "/fapi/v2/balance", key=("nobody", "x"))
        assert (answer.status, answer.code) == (401, -2015)

    async def test_a_key_that_may_not_trade(self, paper: Paper) -> None:
        answer = await paper.signed(
            "DELETE", "/fapi/v1/order", key=READER, symbol=SYMBOL, orderId=1
        )
        assert answer.code == -2015

    async def test_a_wrong_signature(self, paper: Paper) -> None:
        answer = await paper.signed("GET", "/fapi/v2/balance", key=(TRADER[0], "wrong"))
        assert (answer.status, answer.code) == (400, -1022)

    async def test_a_missing_signature_or_timestamp(self, paper: Paper) -> None:
        answer = await paper.request("GET", "/fapi/v2/balance?timestamp=1", headers=KEY)
        assert answer.code == -1102
        answer = await paper.request("GET", "/fapi/v2/balance?signature=x", headers=KEY)
        assert answer.code == -1102

    @pytest.mark.parametrize(
        ("off_ms", "window", "code"),
        [
            (-6000, 5000, -1021),
            (-6000, 10_000, None),
            (2000, 5000, -1021),
            (900, 5000, None),
            (0, 70_000, -1131),
        ],
    )
    async def test_the_window_of_time(
        self, paper: Paper, off_ms: int, window: int, code: int | None
    ) -> None:
        timestamp = paper.clock.now_ns() // 1_000_000 + off_ms
        answer = await paper.signed(
            "GET", "/fapi/v2/balance", timestamp=timestamp, recvWindow=window
        )
        assert answer.status == 200 if code is None else answer.code == code

    async def test_a_signature_that_comes_first_or_in_the_body(self, paper: Paper) -> None:
        answer = await paper.signed(
            "POST", "/fapi/v1/leverage", in_body=True, symbol=SYMBOL, leverage=7
        )
        assert answer.json["leverage"] == 7


class TestOrders:
    async def test_an_acknowledgement_does_not_tell_what_filled(self, paper: Paper) -> None:
        answer = await paper.order("BUY", "0.01", newClientOrderId="x")
        assert (answer.json["status"], answer.json["executedQty"]) == ("NEW", "0.000")

    async def test_a_result_does(self, paper: Paper) -> None:
        answer = await paper.order("BUY", "0.01", newOrderRespType="RESULT")
        assert answer.json == answer.json | {
            "status": "FILLED",
            "executedQty": "0.010",
            "avgPrice": "60000.10",
            "cumQuote": "600.00100",
            "type": "MARKET",
            "timeInForce": "GTC",
            "positionSide": "BOTH",
        }

    @pytest.mark.parametrize(
        ("order", "code"),
        [
            ({"symbol": "NOPE"}, -1121),
            ({"symbol": ""}, -1102),
            ({"side": "HOLD"}, -1117),
            ({"side": ""}, -1102),
            ({"type": "ICEBERG"}, -1116),
            ({"type": "STOP_MARKET"}, -4120),
            ({"quantity": "many"}, -1102),
            ({"quantity": "NaN"}, -1102),
            ({"quantity": "0.0001"}, -1111),
            ({"quantity": "0"}, -4003),
            ({"price": "59000.05"}, -4014),
            ({"price": "59000.001"}, -1111),
            ({"price": ""}, -1102),
            ({"price": "0"}, -4001),
            ({"timeInForce": "SOON"}, -1115),
            ({"timeInForce": ""}, -1102),
            ({"timeInForce": "GTD"}, -1102),
            ({"type": "MARKET"}, -1106),
            ({"positionSide": "LONG"}, -4061),
            ({"newClientOrderId": "a b"}, -1100),
            ({"newClientOrderId": "a" * 37}, -4015),
            ({"newOrderRespType": "NEVER"}, -1130),
        ],
    )
    async def test_bad_orders(self, paper: Paper, order: dict[str, str], code: int) -> None:
        good = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "quantity": "0.01"}
        good |= {"price": "59000", "timeInForce": "GTC"}
        answer = await paper.signed("POST", "/fapi/v1/order", **good | order)
        assert (answer.status, answer.code) == (400, code)
        assert not paper.exchange.venue.account("paper").open_orders

    async def test_unknown_parameters_are_passed_over(self, paper: Paper) -> None:
        answer = await paper.order("BUY", "0.01", "59000", whatever="1")
        assert answer.status == 200

    async def test_a_batch_is_answered_one_by_one(self, paper: Paper) -> None:
        good = {
            "symbol": SYMBOL,
            "side": "BUY",
            "type": "LIMIT",
            "quantity": "0.01",
            "price": "59000",
            "timeInForce": "GTC",
        }
        orders = [
            good | {"newClientOrderId": "one"},
            good | {"price": "0"},
            good | {"newClientOrderId": "one"},
        ]
        answer = await paper.signed(
            "POST", "/fapi/v1/batchOrders", batchOrders=orjson.dumps(orders).decode()
        )
        assert [item.get("code", item.get("status")) for item in answer.json] == [
            "NEW",
            -4001,
            -4116,
        ]
        assert answer.headers["X-MBX-ORDER-COUNT-10S"] == "3"
        answer = await paper.signed(
            "DELETE", "/fapi/v1/batchOrders", symbol=SYMBOL, origClientOrderIdList='["one","two"]'
        )
        assert [item.get("code", item.get("status")) for item in answer.json] == ["CANCELED", -2011]

    async def test_amending(self, paper: Paper) -> None:
        await paper.order("BUY", "0.01", "59000", newClientOrderId="x")
        answer = await paper.signed(
            "PUT",
            "/fapi/v1/order",
            symbol=SYMBOL,
            side="BUY",
            origClientOrderId="x",
            price="59001",
            quantity="0.02",
        )
        assert (answer.json["price"], answer.json["origQty"]) == ("59001.00", "0.020")
        again = await paper.signed(
            "PUT",
            "/fapi/v1/order",
            symbol=SYMBOL,
            side="BUY",
            origClientOrderId="x",
            price="59001",
            quantity="0.02",
        )
        assert again.code == -5027

    async def test_queries(self, paper: Paper) -> None:
        first = (await paper.order("BUY", "0.01", "59000", newClientOrderId="x")).json["orderId"]
        await paper.order("BUY", "0.01", newClientOrderId="y")
        assert (await paper.signed("GET", "/fapi/v1/openOrder", symbol=SYMBOL, orderId=first)).json[
            "clientOrderId"
        ] == "x"
        assert (
            await paper.signed("GET", "/fapi/v1/openOrder", symbol=SYMBOL, origClientOrderId="y")
        ).code == -2013
        assert (await paper.signed("GET", "/fapi/v1/order", symbol=SYMBOL)).code == -1102
        everything = (await paper.signed("GET", "/fapi/v1/allOrders", symbol=SYMBOL)).json
        assert [order["clientOrderId"] for order in everything] == ["x", "y"]
        later = await paper.signed("GET", "/fapi/v1/allOrders", symbol=SYMBOL, orderId=first + 1)
        assert [order["clientOrderId"] for order in later.json] == ["y"]
        (trade,) = (await paper.signed("GET", "/fapi/v1/userTrades", symbol=SYMBOL)).json
        assert (trade["maker"], trade["commission"]) == (False, "0.30000050")
        incomes = (await paper.signed("GET", "/fapi/v1/income")).json
        assert [row["incomeType"] for row in incomes] == ["TRANSFER", "COMMISSION"]

    async def test_cancel_all_and_the_dead_mans_switch(self, paper: Paper) -> None:
        await paper.order("BUY", "0.01", "59000")
        answer = await paper.signed("DELETE", "/fapi/v1/allOpenOrders", symbol=SYMBOL)
        assert answer.json["code"] == 200
        await paper.order("BUY", "0.01", "59000")
        await paper.signed(
            "POST", "/fapi/v1/countdownCancelAll", symbol=SYMBOL, countdownTime=60_000
        )
        assert (await paper.signed("GET", "/fapi/v1/openOrders", symbol=SYMBOL)).json
        paper.clock.move(61)
        await wait_for(lambda: not paper.exchange.venue.account("paper").open_orders)


class TestSettings:
    @pytest.mark.parametrize(
        ("path", "params", "code"),
        [
            ("/fapi/v1/leverage", {"leverage": 500}, -4028),
            ("/fapi/v1/leverage", {}, -1102),
            ("/fapi/v1/marginType", {"marginType": "CROSSED"}, -4046),
            ("/fapi/v1/positionSide/dual", {"dualSidePosition": "false"}, -4059),
            ("/fapi/v1/positionSide/dual", {"dualSidePosition": "true"}, -4068),
            ("/fapi/v1/multiAssetsMargin", {"multiAssetsMargin": "false"}, -4171),
        ],
    )
    async def test_what_cannot_be_set(
        self, paper: Paper, path: str, params: dict[str, Any], code: int
    ) -> None:
        assert (await paper.signed("POST", path, symbol=SYMBOL, **params)).code == code

    @pytest.mark.parametrize(
        "path",
        [
            "v2/account", "v3/account", "v2/balance", "v3/balance", "v2/positionRisk", "v3/positionRisk",
            "v1/positionSide/dual", "v1/multiAssetsMargin", "v1/leverageBracket", "v1/symbolConfig",
            "v1/accountConfig", "v1/income", "v1/adlQuantile", "v1/feeBurn", "v1/openAlgoOrders",
            "v1/rateLimit/order",
        ],
    )  # fmt: skip
    async def test_what_can_be_read(self, paper: Paper, path: str) -> None:
        assert (await paper.signed("GET", f"/fapi/{path}", key=READER)).status == 200

    async def test_fees(self, paper: Paper) -> None:
        answer = await paper.signed("GET", "/fapi/v1/commissionRate", symbol=SYMBOL)
        assert answer.json["makerCommissionRate"] == "0.0002"


class TestMarketData:
    @pytest.mark.parametrize(
        "path",
        [
            "ping", "time", "exchangeInfo", "depth?symbol=BTCUSDT", "trades?symbol=BTCUSDT",
            "aggTrades?symbol=BTCUSDT", "klines?symbol=BTCUSDT&interval=5m", "ticker/24hr",
            "ticker/24hr?symbol=BTCUSDT", "ticker/bookTicker?symbol=BTCUSDT", "ticker/price",
            "premiumIndex?symbol=BTCUSDT", "fundingRate", "fundingInfo", "openInterest?symbol=BTCUSDT",
        ],
    )  # fmt: skip
    async def test_public_endpoints_need_no_key(self, paper: Paper, path: str) -> None:
        answer = await paper.request("GET", f"/fapi/v1/{path}")
        assert answer.status == 200, answer.body
        assert int(answer.headers["X-MBX-USED-WEIGHT-1M"]) >= 0

    async def test_candles(self, paper: Paper) -> None:
        paper.trade("60010", "2", "buyer")
        (candle,) = (await paper.request("GET", "/fapi/v1/klines?symbol=BTCUSDT&interval=1m")).json
        assert len(candle) == 12
        assert candle[1:6] == ["60000.00", "60010.00", "60000.00", "60010.00", "2.001"]
        assert candle[8:10] == [2, "2.000"]
        assert candle[6] - candle[0] == 59_999

    async def test_bad_requests(self, paper: Paper) -> None:
        for path, code in {
            "depth?symbol=NOPE": -1121,
            "depth": -1102,
            "klines?symbol=BTCUSDT&interval=7m": -1120,
            "trades?symbol=BTCUSDT&limit=0": -1130,
            "aggTrades?symbol=BTCUSDT&startTime=2&endTime=1": -4063,
        }.items():
            assert (await paper.request("GET", f"/fapi/v1/{path}")).code == code

    async def test_unknown_paths(self, paper: Paper) -> None:
        assert (await paper.request("GET", "/fapi/v1/nothing")).status == 404
        assert (await paper.request("DELETE", "/fapi/v1/ping")).status == 405


class TestLimits:
    async def test_too_much_weight_is_429_and_then_418(self, open_paper: OpenPaper) -> None:
        paper = await open_paper(limits={"weight_per_minute": 5, "ban_after": 2, "ban_s": 120})
        for used in range(1, 6):
            answer = await paper.request("GET", "/fapi/v1/ping")
            assert answer.headers["X-MBX-USED-WEIGHT-1M"] == str(used)
        for _ in range(2):
            answer = await paper.request("GET", "/fapi/v1/ping")
            assert (answer.status, answer.code) == (429, -1003)
            assert 1 <= int(answer.headers["Retry-After"]) <= 60
        answer = await paper.request("GET", "/fapi/v1/ping")
        assert (answer.status, answer.headers["Retry-After"]) == (418, "120")
        paper.clock.move(61)
        assert (await paper.request("GET", "/fapi/v1/ping")).status == 418
        paper.clock.move(60)
        assert (await paper.request("GET", "/fapi/v1/ping")).status == 200

    async def test_too_many_orders(self, open_paper: OpenPaper) -> None:
        paper = await open_paper(limits={"orders_per_10s": 2})
        paper.quote("60000", "60000.1")
        for _ in range(2):
            assert (await paper.order("BUY", "0.01", "59000")).status == 200
        answer = await paper.order("BUY", "0.01", "59000")
        assert (answer.status, answer.code) == (429, -1015)
        assert len(paper.exchange.venue.account("paper").orders) == 2
        cancel = await paper.signed("DELETE", "/fapi/v1/allOpenOrders", symbol=SYMBOL)
        assert cancel.status == 200
        paper.clock.move(10)
        assert (await paper.order("BUY", "0.01", "59000")).status == 200


async def wait_for(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)
