"""When a resting order fills, as tables: what happens, and what fills."""

from dataclasses import replace
from decimal import Decimal as D

import pytest

from opensqt.core.exchange.rules import Touch

from .conftest import RULES, SYMBOL, Desk, fills_of

# quote BID SIZE ASK SIZE | buy/sell ID QUANTITY PRICE | hit/lift PRICE QUANTITY | cancel ID
# (a seller hits the bid, a buyer lifts the ask); after the arrow: fills as ID QUANTITY @ PRICE.
SCENARIOS = {
    "a trade through the price fills, whatever queued ahead": """
        quote 100 5 101 5
        buy a 1 100
        hit 99 1            -> a 1 @ 100
    """,
    "a trade at the price first uses up the queue ahead": """
        quote 100 5 101 5
        buy a 1 100
        hit 100 3
        hit 100 2
        hit 100 0.4         -> a 0.4 @ 100
        hit 100 5           -> a 0.6 @ 100
    """,
    "one trade can use up the queue and fill with what is left": """
        quote 100 5 101 5
        buy a 1 100
        hit 100 5.25        -> a 0.25 @ 100
    """,
    "a trade never fills more than its own quantity": """
        quote 100 5 101 5
        buy a 10 100
        hit 98 0.5          -> a 0.5 @ 100
        hit 98 0.25         -> a 0.25 @ 100
    """,
    "an aggressor of the same side does not touch the queue": """
        quote 100 5 101 5
        buy a 1 100
        lift 101 50
        hit 100 5
        hit 100 1           -> a 1 @ 100
    """,
    "a lift below a bid's price means the market traded through it": """
        quote 100 5 101 5
        buy a 1 100
        lift 99 2           -> a 1 @ 100
    """,
    "an order inside the spread is first": """
        quote 100 5 105 5
        buy a 1 102
        hit 102 0.5         -> a 0.5 @ 102
    """,
    "an order behind the best price does not fill at its price before the data tells the queue": """
        quote 100 5 101 5
        buy a 1 98
        hit 98 50
    """,
    "once its price is the best, all that is displayed is ahead of it": """
        quote 100 5 101 5
        buy a 1 98
        quote 98 3 99 5
        hit 98 3
        hit 98 1            -> a 1 @ 98
    """,
    "a quote that shows less than the queue shortens it": """
        quote 100 5 101 5
        buy a 1 100
        quote 100 2 101 5
        hit 100 2.5         -> a 0.5 @ 100
    """,
    "a quote that shows more does not lengthen it": """
        quote 100 5 101 5
        buy a 1 100
        quote 100 9 101 5
        hit 100 6           -> a 1 @ 100
    """,
    "when the best price falls behind the order, nobody is ahead": """
        quote 100 5 101 5
        buy a 1 100
        quote 99 5 101 5
        hit 100 1           -> a 1 @ 100
    """,
    "a quote alone fills nothing, not even one that crosses the order": """
        quote 100 5 101 5
        buy a 1 100
        quote 97 5 98 5
        quote 100 5 101 5
    """,
    "the better price fills first, then the older order": """
        quote 100 5 110 5
        buy a 1 101
        buy b 1 102
        buy c 1 101
        hit 100 2.5         -> b 1 @ 102, a 1 @ 101, c 0.5 @ 101
    """,
    "orders at one price share a trade in the order of their queues": """
        quote 100 2 101 5
        buy a 1 100
        quote 100 4 101 5
        buy b 1 100
        hit 100 3           -> a 1 @ 100
        hit 100 2
        hit 100 1           -> b 1 @ 100
    """,
    "a trade through one price goes on at its own": """
        quote 100 1 105 5
        buy a 1 101
        buy b 1 100
        hit 100 2.5         -> a 1 @ 101, b 0.5 @ 100
    """,
    "sales mirror purchases": """
        quote 100 5 101 4
        sell a 1 101
        hit 100 9
        lift 101 4
        lift 101 0.5        -> a 0.5 @ 101
        lift 103 9          -> a 0.5 @ 101
    """,
    "a cancelled order fills no more, and the queue of the next one stays": """
        quote 100 5 101 5
        buy a 1 100
        buy b 1 100
        cancel a
        hit 100 5.5         -> b 0.5 @ 100
    """,
    "a taker pays through the book: the best price, then the assumed depth tick by tick": """
        quote 100 5 101 0.5
        buy a 2 104         -> a 0.5 @ 101, a 1 @ 102, a 0.5 @ 103
    """,
    "what a taker took stays taken until the next quote": """
        quote 100 5 101 0.5
        buy a 0.5 101       -> a 0.5 @ 101
        buy b 0.5 102       -> b 0.5 @ 102
        quote 100 5 101 0.5
        buy c 0.5 102       -> c 0.5 @ 101
    """,
    "what is taken is whole steps": """
        quote 100 5 101 0.0105
        buy a 1 102         -> a 0.01 @ 101, a 0.99 @ 102
    """,
    "what a limit order cannot take rests as the best price": """
        quote 100 5 101 0.5
        buy a 1 101         -> a 0.5 @ 101
        hit 101 0.2         -> a 0.2 @ 101
    """,
}


ASSUMED = {
    ("only trades through fill", Touch.NEVER, True): """
        quote 100 5 101 5
        buy a 1 100
        buy b 1 99
        hit 100 500
        quote 100 0 101 5
        hit 100 500
        hit 99 0.5          -> a 0.5 @ 100
        hit 99 9            -> a 0.5 @ 100
        hit 98 9            -> b 1 @ 99
    """,
    ("nothing is ahead at the price", Touch.AT_ONCE, True): """
        quote 100 5 101 5
        buy a 1 100
        buy b 1 100
        buy c 1 99
        lift 101 9
        hit 100 0.4         -> a 0.4 @ 100
        hit 100 1           -> a 0.6 @ 100, b 0.4 @ 100
        hit 99 9            -> b 0.6 @ 100, c 1 @ 99
    """,
    ("a trade fills whole orders, whatever its size", Touch.QUEUE, False): """
        quote 100 5 101 5
        buy a 1 100
        buy b 1 99
        hit 100 4
        hit 100 1
        hit 100 0.001       -> a 1 @ 100
        buy c 1 99
        hit 98 0.001        -> b 1 @ 99, c 1 @ 99
    """,
    ("a queue that is just used up fills nobody", Touch.QUEUE, False): """
        quote 100 5 101 5
        buy a 1 100
        buy b 1 100
        hit 100 5
        hit 100 0           -> a 1 @ 100, b 1 @ 100
    """,
    ("a trade without a size touches and fills", Touch.AT_ONCE, False): """
        quote 100 5 101 5
        sell a 1 101
        sell b 1 102
        lift 101 0          -> a 1 @ 101
        lift 103 0          -> b 1 @ 102
    """,
    ("what takes is bounded by what is there all the same", Touch.AT_ONCE, False): """
        quote 100 5 101 0.5
        buy a 2 101         -> a 0.5 @ 101
        hit 101 0.1         -> a 1.5 @ 101
    """,
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    _follow(SCENARIOS[name], Desk())


@pytest.mark.parametrize("name", ASSUMED)
def test_what_is_assumed_of_a_touch(name: tuple[str, Touch, bool]) -> None:
    _, touch, bounded = name
    _follow(ASSUMED[name], Desk(rules=replace(RULES, touch=touch, bounded=bounded)))


def _follow(scenario: str, desk: Desk) -> None:
    for line in scenario.strip().splitlines():
        command, _, expected = (part.strip() for part in line.partition("->"))
        assert _run(desk, command) == expected, command


def _run(desk: Desk, command: str) -> str:
    word, *rest = command.split()
    match word, rest:
        case "quote", (bid, bid_quantity, ask, ask_quantity):
            desk.quote(bid, ask, bid_quantity, ask_quantity)
            return ""
        case (("buy" | "sell"), (client_id, quantity, price)):
            events = desk.place(word.upper(), quantity, price, client_id=client_id)
        case (("hit" | "lift"), (price, quantity)):
            events = desk.trade(price, quantity, "seller" if word == "hit" else "buyer")
        case "cancel", (client_id,):
            events = desk.cancel(client_id)
        case _:
            raise AssertionError(command)
    return ", ".join(
        f"{desk.account.orders[fill.order_id].client_order_id} {fill.quantity.normalize():f} @ {fill.price}"
        for fill in fills_of(events)
    )


def test_without_quotes_the_best_prices_follow_the_trades() -> None:
    desk = Desk()
    desk.trade(100, 1, "seller")
    quote = desk.exchange.markets[SYMBOL].quote
    assert quote is not None
    assert (quote.bid, quote.ask, quote.bid_quantity) == (100, 101, 1)
    desk.trade(105, 1, "buyer")
    quote = desk.exchange.markets[SYMBOL].quote
    assert quote is not None
    assert (quote.bid, quote.ask) == (104, 105)


def test_the_queue_ahead_is_told() -> None:
    desk = Desk()
    desk.quote(100, 101, 5)
    desk.place("BUY", 1, 100, client_id="at")
    desk.place("BUY", 1, 99, client_id="behind")
    assert desk.exchange.queue_ahead(desk.order("at")) == D(5)
    assert desk.exchange.queue_ahead(desk.order("behind")) is None
