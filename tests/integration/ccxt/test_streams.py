"""Market and account streams of the paper exchange, through ccxt: whole, exact, back after a loss."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from opensqt.adapters.ccxt import BinanceUsdmExchange, sockets
from opensqt.core.events import Candle, FundingUpdate, OrderUpdate, PositionUpdate, PriceChange
from opensqt.core.orders import EndReason, OrderStatus, Side
from opensqt.ports import AccountEvent, MarketEvent, StreamDown, StreamUp
from tests.integration.ccxt.conftest import SYMBOL, Paper
from tests.integration.ccxt.test_orders import order

pytestmark = pytest.mark.integration

T = TypeVar("T")
TIMEOUT_S = 10.0


async def first(events: AsyncIterator[Any], kind: type[T], **fields: Any) -> T:
    """The next event of a type, with these fields; others are passed over."""
    async with asyncio.timeout(TIMEOUT_S):
        async for event in events:
            if isinstance(event, kind) and all(
                getattr(event, name) == value for name, value in fields.items()
            ):
                return event
    raise AssertionError("the stream ended")


async def subscribed(paper: Paper, *streams: str) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not all(paper.venue.hub.subscribed(stream) for stream in streams):
            await asyncio.sleep(0.01)


@pytest.fixture
async def market(
    paper: Paper, exchange: BinanceUsdmExchange
) -> AsyncIterator[AsyncIterator[MarketEvent]]:
    async with contextlib.aclosing(exchange.market_events(SYMBOL)) as events:
        queue: asyncio.Queue[MarketEvent] = asyncio.Queue()

        async def collect() -> None:
            async for event in events:
                queue.put_nowait(event)

        async def each() -> AsyncIterator[MarketEvent]:
            while True:
                yield await queue.get()

        task = asyncio.create_task(collect())
        await subscribed(paper, "btcusdt@bookTicker", "btcusdt@trade", "btcusdt@markPrice@1s")
        yield each()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def account(
    paper: Paper, exchange: BinanceUsdmExchange
) -> AsyncIterator[AsyncIterator[AccountEvent]]:
    async with contextlib.aclosing(exchange.account_events()) as events:
        up = await first(events, StreamUp)
        assert up.epoch > 0
        yield events


async def test_prices_are_exact_and_whole(paper: Paper, market: AsyncIterator[MarketEvent]) -> None:
    paper.quote("61800.10", "61800.20")
    quoted = await first(market, PriceChange, bid=Decimal("61800.10"))
    assert (quoted.ask, quoted.last) == (Decimal("61800.20"), None)
    paper.trade("61800.20", "0.5")
    traded = await first(market, PriceChange, last=Decimal("61800.20"))
    assert traded.bid == Decimal("61800.10")
    assert traded.sequence > quoted.sequence
    assert 0 <= traded.receive_time_ns - traded.exchange_time_ns < 2 * 10**9


async def test_a_burst_becomes_few_events_and_ends_with_the_newest(
    paper: Paper, market: AsyncIterator[MarketEvent]
) -> None:
    for number in range(1000):
        paper.quote(f"{60000 + number}.0", f"{60000 + number}.1")
    newest = await first(market, PriceChange, bid=Decimal("60999.0"))
    assert newest.sequence < 500


async def test_funding_and_candles(paper: Paper, market: AsyncIterator[MarketEvent]) -> None:
    paper.mark("60123.45")
    funding = await first(market, FundingUpdate, mark_price=Decimal("60123.45"))
    assert (funding.symbol, funding.rate) == (SYMBOL, Decimal("0.0001"))
    assert funding.interval_hours == 8
    paper.trade("60100.0", "0.25")
    candle = await first(market, Candle, close=Decimal("60100.0"))
    assert candle.open_time_ns % (60 * 10**9) == 0
    assert not candle.closed


async def test_past_candles(paper: Paper, exchange: BinanceUsdmExchange) -> None:
    paper.trade("60100.0", "0.25")
    candles = await exchange.candles(SYMBOL, limit=10)
    assert candles[-1].close == Decimal("60100.0")
    assert not candles[-1].closed


async def test_market_sockets_come_back(paper: Paper, market: AsyncIterator[MarketEvent]) -> None:
    paper.quote("61800.10", "61800.20")
    await first(market, PriceChange, bid=Decimal("61800.10"))
    paper.venue.hub.cut_all()
    await asyncio.sleep(0.05)
    await subscribed(paper, "btcusdt@bookTicker")
    paper.trade("61000.0")
    # What was told before the loss is unknown now.
    fresh = await first(market, PriceChange, last=Decimal("61000.0"))
    assert fresh.bid != Decimal("61800.10")


async def test_the_life_of_an_order(
    paper: Paper, exchange: BinanceUsdmExchange, account: AsyncIterator[AccountEvent]
) -> None:
    placed = await exchange.place(order())
    new = await first(account, OrderUpdate)
    assert (new.account, new.client_oid, new.status, new.side) == (
        "main",
        "gb0001",
        OrderStatus.NEW,
        Side.BUY,
    )
    assert new.exchange_order_id == placed.exchange_order_id
    assert new.execution is None
    paper.trade("59980.0", "0.004")
    part = await first(account, OrderUpdate)
    assert (part.status, part.filled_quantity) == (
        OrderStatus.PARTIALLY_FILLED,
        Decimal("0.004"),
    )
    assert part.execution is not None
    assert part.execution.quantity == Decimal("0.004")
    assert part.execution.maker
    assert part.execution.fee == Decimal("59990.1") * Decimal("0.004") * Decimal("0.0002")
    await exchange.cancel(order())
    ended = await first(account, OrderUpdate)
    assert (ended.status, ended.end_reason, ended.filled_quantity, ended.execution) == (
        OrderStatus.CANCELED,
        EndReason.CANCEL_REQUESTED,
        Decimal("0.004"),
        None,
    )


async def test_a_fill_moves_the_position(
    paper: Paper, exchange: BinanceUsdmExchange, account: AsyncIterator[AccountEvent]
) -> None:
    await exchange.place(order())
    paper.trade("59980.0", "5")
    held = await first(account, PositionUpdate)
    assert held.account == "main"
    assert held.position.quantity == Decimal("0.010")
    assert held.position.entry_price == Decimal("59990.1")
    assert held.cause == "ORDER"
    fee = Decimal("59990.1") * Decimal("0.010") * Decimal("0.0002")
    assert held.wallet_balance == Decimal(10_000) - fee


@pytest.mark.invariant(2)
async def test_fills_in_parallel_all_arrive_one_by_one(
    paper: Paper, exchange: BinanceUsdmExchange, account: AsyncIterator[AccountEvent]
) -> None:
    await asyncio.gather(*(exchange.place(order(f"gb{n:04d}")) for n in range(50)))
    paper.trade("59000.0", "100")
    seen: list[OrderUpdate] = []
    async with asyncio.timeout(TIMEOUT_S):
        while len(seen) < 100:
            seen.append(await first(account, OrderUpdate))
    by_status = [update.status for update in seen]
    assert by_status.count(OrderStatus.NEW) == 50
    assert by_status.count(OrderStatus.FILLED) == 50
    ids = {update.execution.execution_id for update in seen if update.execution}
    assert len(ids) == 50


LOSSES: dict[str, Callable[[Paper], object]] = {
    "a cut connection": lambda paper: paper.venue.hub.cut_all(),
    "an expired listen key": lambda paper: paper.venue.user_streams.send_expired(
        paper.venue.listen_keys.expire_all(), now_ms=1
    ),
    "a frame that makes no sense": lambda paper: paper.venue.hub.publish(
        str(paper.venue.listen_keys.of("paper")), {"e": "ORDER_TRADE_UPDATE", "o": {"x": "ODD"}}
    ),
    "a status that nobody knows": lambda paper: paper.venue.hub.publish(
        str(paper.venue.listen_keys.of("paper")),
        {
            "e": "ORDER_TRADE_UPDATE",
            "T": 1,
            "o": {"x": "NEW", "X": "SUSPENDED", "c": "x", "i": 1, "s": SYMBOL, "S": "BUY"},
        },
    ),
}


@pytest.mark.invariant(46)
@pytest.mark.parametrize("lose", LOSSES.values(), ids=LOSSES.keys())
async def test_every_doubt_about_the_stream_is_told_and_mended(
    paper: Paper,
    exchange: BinanceUsdmExchange,
    account: AsyncIterator[AccountEvent],
    lose: Callable[[Paper], object],
) -> None:
    lose(paper)
    down = await first(account, StreamDown)
    assert "listenKey=" not in down.reason
    assert "wss:" not in down.reason
    await first(account, StreamUp)
    await exchange.place(order())
    assert (await first(account, OrderUpdate)).status is OrderStatus.NEW


async def test_epochs_grow(
    paper: Paper, exchange: BinanceUsdmExchange, account: AsyncIterator[AccountEvent]
) -> None:
    epochs = []
    for _ in range(3):
        paper.venue.hub.cut_all()
        epochs.append((await first(account, StreamUp)).epoch)
    assert epochs == sorted(set(epochs))


@pytest.mark.invariant(46)
async def test_silence_counts_as_a_loss(
    paper: Paper, exchange: BinanceUsdmExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "CHECK_INTERVAL_S", 0.05)
    client = exchange._client
    opened: list[bool] = []
    socket = sockets.Socket(
        client,
        client.get_ws_url("linear", "public") + "/99",
        streams=("btcusdt@trade",),
        on_frame=lambda _: None,
        silence_s_max=0.3,
    )
    async with asyncio.timeout(TIMEOUT_S):
        reason = await socket.follow(lambda: opened.append(True))
    assert opened
    assert "no frame" in reason


async def test_other_hosts_are_refused(exchange: BinanceUsdmExchange) -> None:
    with pytest.raises(OSError, match=r"example\.com is not contacted"):
        await exchange._session.get("https://example.com/")
