"""The market inbox: the newest price, put together when it is taken."""

import asyncio
from decimal import Decimal as D
from typing import Any

import pytest

from opensqt.adapters.ccxt.prices import REFRESH_NS, MarketInbox
from opensqt.core.events import PriceChange
from opensqt.core.numbers import NotExactError


class Clock:
    now = 10**18

    def now_ns(self) -> int:
        return self.now


def book(bid: str, ask: str, time_ms: int = 1) -> dict[str, Any]:
    return {"e": "bookTicker", "b": bid, "B": "1", "a": ask, "A": "1", "T": time_ms}


def trade(price: str, **extra: Any) -> dict[str, Any]:
    return {"e": "trade", "p": price, "q": "1", "T": 2, "X": "MARKET"} | extra


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inbox(clock: Clock) -> MarketInbox:
    return MarketInbox("BTCUSDT", clock)


async def price(inbox: MarketInbox) -> PriceChange:
    event = await anext(inbox)
    assert isinstance(event, PriceChange)
    return event


async def test_frames_add_up_to_one_price(inbox: MarketInbox) -> None:
    inbox.on_book_ticker(book("1.10", "1.20"))
    inbox.on_trade(trade("1.15"))
    inbox.on_book_ticker(book("1.11", "1.20", time_ms=3))
    assert len(inbox) == 1
    taken = await price(inbox)
    assert (taken.bid, taken.ask, taken.last) == (D("1.11"), D("1.20"), D("1.15"))
    assert (taken.sequence, taken.exchange_time_ns) == (1, 3_000_000)
    assert len(inbox) == 0


async def test_an_unchanged_price_is_told_again_now_and_then(
    inbox: MarketInbox, clock: Clock
) -> None:
    inbox.on_book_ticker(book("1.1", "1.2"))
    await price(inbox)
    inbox.on_book_ticker(book("1.1", "1.2"))
    assert len(inbox) == 0
    clock.now += REFRESH_NS
    inbox.on_book_ticker(book("1.1", "1.2"))
    assert (await price(inbox)).receive_time_ns == clock.now


async def test_an_empty_side_is_unknown(inbox: MarketInbox) -> None:
    inbox.on_book_ticker(book("0.00", "1.2"))
    assert (await price(inbox)).bid is None


async def test_what_is_not_of_the_market_moves_nothing(inbox: MarketInbox) -> None:
    inbox.on_trade(trade("0", X="NA"))
    inbox.on_trade(trade("1", X="INSURANCE_FUND"))
    assert len(inbox) == 0


async def test_after_a_loss_everything_is_unknown(inbox: MarketInbox) -> None:
    inbox.on_book_ticker(book("1.1", "1.2"))
    inbox.forget()
    assert len(inbox) == 0
    inbox.on_trade(trade("1.15"))
    taken = await price(inbox)
    assert (taken.bid, taken.ask, taken.last) == (None, None, D("1.15"))


async def test_a_price_that_is_no_number_changes_nothing(inbox: MarketInbox) -> None:
    inbox.on_book_ticker(book("1.1", "1.2"))
    with pytest.raises(NotExactError):
        inbox.on_book_ticker(book("much", "1.2"))
    assert (await price(inbox)).bid == D("1.1")


async def test_the_taker_wakes_up(inbox: MarketInbox) -> None:
    waiting = asyncio.create_task(price(inbox))
    await asyncio.sleep(0)
    inbox.on_trade(trade("1"))
    assert (await waiting).last == D(1)
    ended = asyncio.create_task(anext(inbox, None))
    await asyncio.sleep(0)
    inbox.close()
    assert await ended is None
