"""The REST half: what clients ask at their start, and orders."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import orjson
from aiohttp import web

from benchmarks.venue.market import INTERVAL, SYMBOL, TICK, Json, Market, now_ms

Handler = Callable[[Market, dict[str, str]], Awaitable[Any]]


class RefusedError(Exception):
    """An answer that is an error of Binance's."""


def answer(content: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")


def handler_for(market: Market) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of all REST requests to one market."""

    async def handle(request: web.Request) -> web.Response:
        arrived_ns = time.time_ns()
        # Binance takes parameters in the query, in the body, or in both.
        parameters = dict(request.query)
        if request.can_read_body:
            parameters |= {key: str(value) for key, value in (await request.post()).items()}
        parameters["arrived_ns"] = str(arrived_ns)
        parameters["hops"] = request.headers.get("X-Hops", "")
        route = ROUTES.get((request.method, request.path.rpartition("/fapi/")[2]))
        if route is None:
            return answer({"code": -5000, "msg": f"{request.method} {request.path}"}, 404)
        try:
            return answer(await route(market, parameters))
        except RefusedError as refused:
            return answer({"code": refused.args[0], "msg": refused.args[1]}, 400)

    return handle


async def place(market: Market, sent: dict[str, str]) -> Json:
    price = Decimal(sent["price"])
    market.arrived_ns.setdefault(price, int(sent["arrived_ns"]))
    if sent["hops"]:
        market.hops_ns.setdefault(price, [int(at) for at in sent["hops"].split(",")])
    number, now = market.next_id(), now_ms()
    order: Json = {
        "orderId": number,
        "symbol": SYMBOL,
        "status": "NEW",
        "clientOrderId": sent.get("newClientOrderId", f"venue{number}"),
        "price": sent["price"],
        "avgPrice": "0.00",
        "origQty": sent["quantity"],
        "executedQty": "0",
        "cumQty": "0",
        "cumQuote": "0",
        "timeInForce": sent.get("timeInForce", "GTC"),
        "type": "LIMIT",
        "reduceOnly": sent.get("reduceOnly", "false").lower() == "true",
        "closePosition": False,
        "side": sent["side"],
        "positionSide": "BOTH",
        "stopPrice": "0",
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": "LIMIT",
        "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE",
        "goodTillDate": 0,
        "time": now,
        "updateTime": now,
    }
    market.open[order["clientOrderId"]] = order
    # Told once the answer is on its way, as on the real exchange more often than not.
    asyncio.get_running_loop().call_soon(_tell, market, dict(order), "NEW")
    return order


async def cancel(market: Market, sent: dict[str, str]) -> Json:
    order = _find(market.open, sent)
    if order is None:
        raise RefusedError(-2011, "Unknown order sent.")
    del market.open[order["clientOrderId"]]
    order |= {"status": "CANCELED", "updateTime": now_ms()}
    market.ended[order["clientOrderId"]] = order
    asyncio.get_running_loop().call_soon(_tell, market, dict(order), "CANCELED")
    return order


_telling: set[asyncio.Task[None]] = set()


def _tell(market: Market, order: Json, execution: str) -> None:
    task = asyncio.create_task(market.tell_order(order, execution))
    _telling.add(task)
    task.add_done_callback(_telling.discard)


async def find(market: Market, sent: dict[str, str]) -> Json:
    order = _find(market.open | market.ended, sent)
    if order is None:
        raise RefusedError(-2013, "Order does not exist.")
    return order


def _find(orders: dict[str, Json], sent: dict[str, str]) -> Json | None:
    if "origClientOrderId" in sent:
        return orders.get(sent["origClientOrderId"])
    return next((o for o in orders.values() if str(o["orderId"]) == sent.get("orderId")), None)


async def open_orders(market: Market, _: dict[str, str]) -> list[Json]:
    return list(market.open.values())


async def all_orders(market: Market, _: dict[str, str]) -> list[Json]:
    return [*market.ended.values(), *market.open.values()][-500:]


async def nothing(_: Market, __: dict[str, str]) -> list[Json]:
    return []


async def done(_: Market, __: dict[str, str]) -> Json:
    return {"code": 200, "msg": "success"}


async def empty(_: Market, __: dict[str, str]) -> Json:
    return {}


async def server_time(_: Market, __: dict[str, str]) -> Json:
    return {"serverTime": now_ms()}


async def listen_key(_: Market, __: dict[str, str]) -> Json:
    return {"listenKey": "bench"}


async def exchange_info(_: Market, __: dict[str, str]) -> Json:
    lot = {"minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"}
    limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
    symbol: Json = {
        "symbol": SYMBOL,
        "pair": SYMBOL,
        "contractType": "PERPETUAL",
        "deliveryDate": 4_133_404_800_000,
        "onboardDate": 1_569_398_400_000,
        "status": "TRADING",
        "maintMarginPercent": "2.5",
        "requiredMarginPercent": "5",
        "baseAsset": "BTC",
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": 1,
        "quantityPrecision": 3,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.1", "maxPrice": "1000000"}
            | {"tickSize": str(TICK)},
            {"filterType": "LOT_SIZE", **lot},
            {"filterType": "MARKET_LOT_SIZE", **lot},
            {"filterType": "MAX_NUM_ORDERS", "limit": 1000},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
            {"filterType": "PERCENT_PRICE", "multiplierUp": "1.5", "multiplierDown": "0.5"}
            | {"multiplierDecimal": "4"},
        ],
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }
    return {
        "timezone": "UTC",
        "serverTime": now_ms(),
        "rateLimits": [limit | {"limit": 2400}],
        "exchangeFilters": [],
        "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
        "symbols": [symbol],
    }


async def klines(market: Market, sent: dict[str, str]) -> list[list[Any]]:
    price, rows = str(market.bid), []
    for minutes in range(int(sent.get("limit", "2")), 0, -1):
        opened = (now_ms() // 60_000 - minutes + 1) * 60_000
        row = [opened, price, price, price, price, "1", opened + 59_999, price, 1, "1", price, "0"]
        rows.append(row)
    return rows


async def premium_index(market: Market, sent: dict[str, str]) -> Any:
    price = str(market.bid)
    index: Json = {
        "symbol": SYMBOL,
        "markPrice": price,
        "indexPrice": price,
        "estimatedSettlePrice": price,
        "lastFundingRate": "0.0001",
        "nextFundingTime": (now_ms() // 28_800_000 + 1) * 28_800_000,
        "interestRate": "0.0001",
        "time": now_ms(),
    }
    return index if "symbol" in sent else [index]


async def funding_info(_: Market, __: dict[str, str]) -> list[Json]:
    cap = {"adjustedFundingRateCap": "0.02", "adjustedFundingRateFloor": "-0.02"}
    return [{"symbol": SYMBOL, **cap, "fundingIntervalHours": 8, "disclaimer": False}]


async def book_ticker(market: Market, sent: dict[str, str]) -> Any:
    quote = {"symbol": SYMBOL, "bidPrice": str(market.bid), "bidQty": "1", "askQty": "1"}
    quote |= {"askPrice": str(market.bid + TICK), "time": str(now_ms())}
    return quote if "symbol" in sent else [quote]


async def price(market: Market, _: dict[str, str]) -> Json:
    return {"symbol": SYMBOL, "price": str(market.bid), "time": now_ms()}


async def positions(market: Market, _: dict[str, str]) -> list[Json]:
    mark = str(market.bid)
    return [
        {
            "symbol": SYMBOL,
            "positionSide": "BOTH",
            "positionAmt": "0",
            "entryPrice": "0",
            "breakEvenPrice": "0",
            "markPrice": mark,
            "unRealizedProfit": "0",
            "liquidationPrice": "0",
            "isolatedMargin": "0",
            "notional": "0",
            "marginAsset": "USDT",
            "isolatedWallet": "0",
            "initialMargin": "0",
            "maintMargin": "0",
            "positionInitialMargin": "0",
            "openOrderInitialMargin": "0",
            "adl": 0,
            "bidNotional": "0",
            "askNotional": "0",
            "updateTime": now_ms(),
            "leverage": str(market.leverage),
            "marginType": "cross",
        }
    ]


async def account(market: Market, _: dict[str, str]) -> Json:
    money = {"walletBalance": "100000", "marginBalance": "100000", "unrealizedProfit": "0"}
    money |= {"availableBalance": "100000", "maxWithdrawAmount": "100000"}
    money |= {"initialMargin": "0", "maintMargin": "0", "positionInitialMargin": "0"}
    money |= {"openOrderInitialMargin": "0", "crossWalletBalance": "100000", "crossUnPnl": "0"}
    return {
        **{f"total{key[0].upper()}{key[1:]}": value for key, value in money.items()},
        "availableBalance": "100000",
        "assets": [{"asset": "USDT", **money, "updateTime": now_ms()}],
        "positions": await positions(market, {}),
    }


async def balances(_: Market, __: dict[str, str]) -> list[Json]:
    money = {"asset": "USDT", "balance": "100000", "crossWalletBalance": "100000"}
    return [money | {"crossUnPnl": "0", "availableBalance": "100000", "accountAlias": "bench"}]


async def leverage(market: Market, sent: dict[str, str]) -> Json:
    market.leverage = int(sent.get("leverage", market.leverage))
    return {"symbol": SYMBOL, "leverage": market.leverage, "maxNotionalValue": "1000000"}


async def position_mode(market: Market, _: dict[str, str]) -> Json:
    return {"dualSidePosition": market.dual}


ROUTES: dict[tuple[str, str], Handler] = {
    ("POST", "v1/order"): place,
    ("DELETE", "v1/order"): cancel,
    ("GET", "v1/order"): find,
    ("GET", "v1/openOrder"): find,
    ("GET", "v1/openOrders"): open_orders,
    ("GET", "v1/allOrders"): all_orders,
    ("GET", "v1/userTrades"): nothing,
    ("GET", "v1/income"): nothing,
    ("GET", "v1/ping"): empty,
    ("GET", "v1/time"): server_time,
    ("GET", "v1/exchangeInfo"): exchange_info,
    ("GET", "v1/klines"): klines,
    ("GET", "v1/trades"): nothing,
    ("GET", "v1/aggTrades"): nothing,
    ("GET", "v1/premiumIndex"): premium_index,
    ("GET", "v1/fundingInfo"): funding_info,
    ("GET", "v1/fundingRate"): nothing,
    ("GET", "v1/ticker/bookTicker"): book_ticker,
    ("GET", "v1/ticker/price"): price,
    ("POST", "v1/leverage"): leverage,
    ("POST", "v1/marginType"): done,
    ("GET", "v1/positionSide/dual"): position_mode,
    ("POST", "v1/positionSide/dual"): done,
    ("GET", "v1/symbolConfig"): nothing,
    ("POST", "v1/listenKey"): listen_key,
    ("PUT", "v1/listenKey"): listen_key,
    ("DELETE", "v1/listenKey"): empty,
    ("GET", "v2/positionRisk"): positions,
    ("GET", "v3/positionRisk"): positions,
    ("GET", "v2/account"): account,
    ("GET", "v3/account"): account,
    ("GET", "v2/balance"): balances,
    ("GET", "v3/balance"): balances,
}
assert INTERVAL % TICK == 0
