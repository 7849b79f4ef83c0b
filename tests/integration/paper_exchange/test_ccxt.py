"""ccxt.pro, the connector that OpenSQT trades with, on the paper exchange; both ways to point it."""

import asyncio
from typing import Any

import ccxt
import pytest

from .conftest import READER, UNIFIED, OpenCcxt, Paper


@pytest.fixture(params=["by_resolver", "by_url"])
async def client(
    request: pytest.FixtureRequest, paper: Paper, by_resolver: OpenCcxt, by_url: OpenCcxt
) -> Any:
    opener = by_resolver if request.param == "by_resolver" else by_url
    client = await opener(paper)
    await client.load_markets()
    return client


async def limit(client: Any, side: str, amount: float, price: float, **params: Any) -> Any:
    return await client.create_order(UNIFIED, "limit", side, amount, price, params)


async def test_the_market_is_listed_with_its_rules(client: Any) -> None:
    market = client.market(UNIFIED)
    assert market["precision"] == {**market["precision"], "amount": 0.001, "price": 0.1}
    assert market["limits"]["cost"]["min"] == 100


async def test_an_order_is_placed_filled_and_accounted_for(client: Any, paper: Paper) -> None:
    placed = await limit(client, "buy", 0.01, 59_999, newClientOrderId="mine1")
    assert (placed["status"], placed["clientOrderId"]) == ("open", "mine1")
    paper.trade("59998.0", "0.004", trade_id=2)
    found = await client.fetch_order(None, UNIFIED, {"origClientOrderId": "mine1"})
    assert (found["status"], found["filled"], found["remaining"]) == ("open", 0.004, 0.006)
    paper.trade("59998.0", "1", trade_id=3)
    found = await client.fetch_order(placed["id"], UNIFIED)
    assert (found["status"], found["average"]) == ("closed", 59_999)
    trades = await client.fetch_my_trades(UNIFIED)
    assert [(trade["amount"], trade["takerOrMaker"]) for trade in trades] == [
        (0.004, "maker"),
        (0.006, "maker"),
    ]
    (position,) = await client.fetch_positions([UNIFIED])
    assert (position["contracts"], position["side"], position["entryPrice"]) == (
        0.01,
        "long",
        59_999,
    )
    balance = await client.fetch_balance()
    assert balance["info"]["totalWalletBalance"] == "9999.88000200"


async def test_cancelling(client: Any) -> None:
    placed = await limit(client, "buy", 0.01, 59_000, newClientOrderId="mine1")
    assert [order["id"] for order in await client.fetch_open_orders()] == [placed["id"]]
    canceled = await client.cancel_order(None, UNIFIED, {"origClientOrderId": "mine1"})
    assert canceled["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        await client.cancel_order(placed["id"], UNIFIED)
    with pytest.raises(ccxt.OrderNotFound, match="-2013"):
        await client.fetch_order(None, UNIFIED, {"origClientOrderId": "never"})


async def test_refusals_are_told_apart(client: Any) -> None:
    await limit(client, "buy", 0.01, 59_000, newClientOrderId="mine1")
    refusals = {
        "-4116": limit(client, "buy", 0.01, 59_000, newClientOrderId="mine1"),
        "-2019": limit(client, "buy", 50, 59_000),
        "-4164": limit(client, "buy", 0.001, 59_000),
        "-5022": limit(client, "buy", 0.01, 60_001, postOnly=True),
        "-2022": limit(client, "sell", 0.01, 61_000, reduceOnly=True),
        "-4016": limit(client, "buy", 0.01, 70_000),
    }
    for code, attempt in refusals.items():
        with pytest.raises(ccxt.ExchangeError, match=code):
            await attempt


async def test_a_read_only_key_reads(paper: Paper, by_resolver: OpenCcxt) -> None:
    client = await by_resolver(paper, READER)
    assert await client.fetch_open_orders(UNIFIED) == []
    with pytest.raises(ccxt.AuthenticationError, match="-2015"):
        await limit(client, "buy", 0.01, 59_000)


async def until(watch: Any, wanted: Any) -> Any:
    """The first update that is wanted."""
    async with asyncio.timeout(10):
        while True:
            update = await watch()
            if found := wanted(update):
                return found


async def test_market_streams(client: Any, paper: Paper) -> None:
    async def market() -> None:
        price = 60_000
        while True:
            price += 1
            paper.quote(price, f"{price}.1")
            paper.trade(price, "0.01", trade_id=price)
            await asyncio.sleep(0.02)

    playing = asyncio.create_task(market())
    try:
        trade = await until(lambda: client.watch_trades(UNIFIED), lambda trades: trades[-1])
        assert trade["side"] == "sell"
        best = await until(lambda: client.watch_bids_asks([UNIFIED]), lambda all_: all_[UNIFIED])
        assert best["ask"] - best["bid"] == pytest.approx(0.1)
        book = await until(
            lambda: client.watch_order_book(UNIFIED), lambda book: len(book["bids"]) > 5 and book
        )
        assert book["bids"][0][0] < book["asks"][0][0]
        for _ in range(3):  # differences apply without a gap
            book = await client.watch_order_book(UNIFIED)
        assert book["bids"][0][0] < book["asks"][0][0]
        ticker = await until(lambda: client.watch_ticker(UNIFIED), lambda ticker: ticker)
        assert ticker["last"] > 60_000
        mark = await until(lambda: client.watch_mark_price(UNIFIED), lambda ticker: ticker)
        assert mark["markPrice"] > 60_000
        candles = await until(lambda: client.watch_ohlcv(UNIFIED, "1m"), lambda candles: candles)
        assert candles[-1][2] >= candles[-1][3]
    finally:
        playing.cancel()


async def test_the_account_is_streamed(client: Any, paper: Paper) -> None:
    orders = asyncio.create_task(client.watch_orders(UNIFIED))
    trades = asyncio.create_task(client.watch_my_trades(UNIFIED))
    balance = asyncio.create_task(client.watch_balance())
    positions = asyncio.create_task(  # the first of which is the snapshot, without any
        until(lambda: client.watch_positions([UNIFIED]), lambda positions: positions)
    )
    async with asyncio.timeout(10):
        while paper.exchange.venue.listen_keys.of("paper") is None or not any(
            "@" not in stream for stream in paper.exchange.venue.hub.streams
        ):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        await limit(client, "buy", 0.01, 59_999, newClientOrderId="mine1")
        assert (await orders)[-1]["clientOrderId"] == "mine1"
        paper.trade("59998.0", "1", trade_id=2)
        (trade,) = await trades
        assert (trade["amount"], trade["price"], trade["fee"]["currency"]) == (0.01, 59_999, "USDT")
        assert (await balance)["USDT"]["total"] == 9999.880002
        assert (await positions)[0]["contracts"] == 0.01


async def test_orders_over_the_websocket_api(client: Any, paper: Paper) -> None:
    placed = await client.create_order_ws(
        UNIFIED, "limit", "buy", 0.01, 59_000, {"newClientOrderId": "mine1"}
    )
    assert placed["status"] == "open"
    assert (await client.fetch_order_ws(placed["id"], UNIFIED))["clientOrderId"] == "mine1"
    assert (await client.cancel_order_ws(placed["id"], UNIFIED))["status"] == "canceled"
    assert paper.exchange.venue.account("paper").open_orders == {}
