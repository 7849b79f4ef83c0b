"""python-binance trades on the paper exchange: REST, streams and the WebSocket API."""

import asyncio
import sys
from collections.abc import Callable
from decimal import Decimal as D
from typing import Any

from binance import AsyncClient, BinanceSocketManager
from binance.enums import FuturesType
from binance.exceptions import BinanceAPIException
from binance.ws.websocket_api import WebsocketAPI
from checks import Checks, books

SYMBOL = "BTCUSDT"
check = Checks("python-binance")


async def until(receive: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(30):
        while True:
            message = await receive()
            message = message.get("data", message)
            if wanted(message):
                return message


async def refused(attempt: Any) -> int:
    try:
        await attempt
    except BinanceAPIException as error:
        return int(error.code)
    return 0


async def rest(client: AsyncClient) -> None:
    info = await client.futures_exchange_info()
    check.equal("exchange info lists the market", info["symbols"][0]["symbol"], SYMBOL)
    book = await client.futures_order_book(symbol=SYMBOL)
    check.that("the book has two sides", D(book["bids"][0][0]) < D(book["asks"][0][0]), book)
    check.that("trades are told", len(await client.futures_recent_trades(symbol=SYMBOL)) > 0)
    check.that(
        "candles have twelve columns",
        len((await client.futures_klines(symbol=SYMBOL, interval="1m"))[-1]) == 12,
    )
    check.that(
        "the mark price is told",
        D((await client.futures_mark_price(symbol=SYMBOL))["markPrice"]) > 0,
    )
    balance = await client.futures_account_balance()
    check.equal("the balance is the deposit", D(balance[0]["balance"]), D(10_000))
    check.equal(
        "leverage is set",
        (await client.futures_change_leverage(symbol=SYMBOL, leverage=10))["leverage"],
        10,
    )
    mode = await client.futures_get_position_mode()
    check.equal("the position mode is one-way", mode["dualSidePosition"], False)
    check.equal(
        "an unchanged margin type is -4046",
        await refused(client.futures_change_margin_type(symbol=SYMBOL, marginType="CROSSED")),
        -4046,
    )


async def orders(client: AsyncClient) -> None:
    bid = D((await client.futures_orderbook_ticker(symbol=SYMBOL))["bidPrice"])
    far: dict[str, Any] = {
        "symbol": SYMBOL,
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.010",
        "price": str(bid - 2000),
    }
    placed = await client.futures_create_order(**far, newClientOrderId="conform-1")
    check.equal(
        "a limit order is accepted",
        (placed["status"], placed["clientOrderId"]),
        ("NEW", "conform-1"),
    )
    check.equal(
        "its id is taken while it is open",
        await refused(client.futures_create_order(**far, newClientOrderId="conform-1")),
        -4116,
    )
    found = await client.futures_get_order(symbol=SYMBOL, origClientOrderId="conform-1")
    check.equal("it is found by client id", found["orderId"], placed["orderId"])
    check.equal(
        "it is listed as open",
        [o["orderId"] for o in await client.futures_get_open_orders(symbol=SYMBOL)],
        [placed["orderId"]],
    )
    changed = await client.futures_modify_order(
        symbol=SYMBOL,
        side="BUY",
        orderId=placed["orderId"],
        quantity="0.020",
        price=str(bid - 2001),
    )
    check.equal("it is amended", D(changed["origQty"]), D("0.02"))
    canceled = await client.futures_cancel_order(symbol=SYMBOL, origClientOrderId="conform-1")
    check.equal("it is canceled", canceled["status"], "CANCELED")
    check.equal(
        "a second cancel is -2011",
        await refused(client.futures_cancel_order(symbol=SYMBOL, origClientOrderId="conform-1")),
        -2011,
    )
    check.equal(
        "too small a notional is -4164",
        await refused(client.futures_create_order(**{**far, "quantity": "0.001"})),
        -4164,
    )
    check.equal(
        "too much is -2019",
        await refused(client.futures_create_order(**{**far, "quantity": "500"})),
        -2019,
    )
    check.equal(
        "reduce-only without a position is -2022",
        await refused(
            client.futures_create_order(
                **{**far, "side": "SELL", "price": str(bid + 2000)}, reduceOnly="true"
            )
        ),
        -2022,
    )
    check.equal(
        "a crossing post-only order is -5022",
        await refused(
            client.futures_create_order(**{**far, "price": str(bid + 100), "timeInForce": "GTX"})
        ),
        -5022,
    )
    batch = await client.futures_place_batch_order(batchOrders=[far, {**far, "quantity": "0"}])
    check.equal(
        "a batch is answered one by one",
        [item.get("code", item.get("status")) for item in batch],
        ["NEW", -4003],
    )
    answer = await client.futures_cancel_all_open_orders(symbol=SYMBOL)
    check.equal("all open orders are canceled", int(answer["code"]), 200)


async def streams(client: AsyncClient, fstream: str) -> None:
    manager = BinanceSocketManager(client)
    manager.FSTREAM_URL = fstream
    names = [f"btcusdt@{kind}" for kind in ("aggTrade", "bookTicker", "kline_1m", "depth@100ms")]
    async with manager.futures_multiplex_socket(names, futures_type=FuturesType.USD_M) as market:
        for event in ("aggTrade", "bookTicker", "kline", "depthUpdate"):
            message = await until(market.recv, lambda m, event=event: m.get("e") == event)  # type: ignore[misc]
            check.equal(f"{event} is streamed", message["s"], SYMBOL)
    async with manager.futures_user_socket() as user:
        bid = D((await client.futures_orderbook_ticker(symbol=SYMBOL))["bidPrice"])
        await client.futures_create_order(
            symbol=SYMBOL,
            side="BUY",
            type="LIMIT",
            timeInForce="GTX",
            quantity="0.01",
            price=str(bid - 1),
            newClientOrderId="conform-2",
        )
        message = await until(user.recv, lambda m: m.get("o", {}).get("x") == "NEW")
        check.equal("acceptance is streamed", message["o"]["c"], "conform-2")
        message = await until(user.recv, lambda m: m.get("o", {}).get("X") == "FILLED")
        check.equal(
            "a resting order fills as maker",
            (message["o"]["c"], message["o"]["m"]),
            ("conform-2", True),
        )
        bought = D(message["o"]["ap"])
        await client.futures_create_order(
            symbol=SYMBOL, side="SELL", type="MARKET", quantity="0.01", reduceOnly="true"
        )
        message = await until(user.recv, lambda m: m.get("o", {}).get("X") == "FILLED")
        sold = D(message["o"]["ap"])
        check.equal(
            "the profit is the difference", D(message["o"]["rp"]), (sold - bought) * D("0.01")
        )
    positions = await client.futures_position_information(symbol=SYMBOL)
    check.that("the position is flat", all(D(p["positionAmt"]) == 0 for p in positions), positions)
    trades = await client.futures_account_trades(symbol=SYMBOL)
    check.equal(
        "the trades are told", sum(D(t["qty"]) * (1 if t["buyer"] else -1) for t in trades), D(0)
    )
    kinds = {row["incomeType"] for row in await client.futures_income_history()}
    check.that("the income is told", kinds >= {"TRANSFER", "COMMISSION", "REALIZED_PNL"}, kinds)


async def websocket_api(client: AsyncClient) -> None:
    bid = D((await client.futures_orderbook_ticker(symbol=SYMBOL))["bidPrice"])
    placed = await client.ws_futures_create_order(
        symbol=SYMBOL,
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity="0.01",
        price=str(bid - 2000),
        newClientOrderId="conform-3",
    )
    check.equal("an order is placed over the WebSocket API", placed["status"], "NEW")
    found = await client.ws_futures_get_order(symbol=SYMBOL, orderId=placed["orderId"])
    check.equal("it is found there", found["clientOrderId"], "conform-3")
    canceled = await client.ws_futures_cancel_order(symbol=SYMBOL, orderId=placed["orderId"])
    check.equal("it is canceled there", canceled["status"], "CANCELED")


async def main(host: str, control_url: str) -> None:
    client = AsyncClient("paper-trade", "paper-trade-secret")
    client.FUTURES_URL = f"http://{host}/fapi"
    client.ws_future = WebsocketAPI(url=f"ws://{host}/ws-fapi/v1")
    try:
        await rest(client)
        await orders(client)
        await streams(client, f"ws://{host}/")
        await websocket_api(client)
        account = await client.futures_account()
        own = books(control_url)
        check.equal(
            "the wallet is that of the exchange's books",
            D(account["totalWalletBalance"]),
            D(own["wallet"]),
        )
        check.equal("nothing is left open", own["counts"]["open_orders"], 0)
        check.equal("no order was doubled", own["counts"]["duplicates"], 0)
    finally:
        await client.close_connection()


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:3]))
    except Exception as error:
        check.that("the script ran to its end", False, error)
    check.finish()
