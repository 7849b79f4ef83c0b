"""What the market may do without anybody being touched, held against the exchange itself."""

import random
from dataclasses import replace
from decimal import Decimal as D

import pytest

from opensqt.core.exchange.account import Account
from opensqt.core.exchange.engine import SimulatedExchange
from opensqt.core.exchange.events import AccountChanged
from opensqt.core.exchange.market import MarketTrade, Quote
from opensqt.core.exchange.orders import OrderRequest, OrderType
from opensqt.core.exchange.rules import MarketRules, Touch
from opensqt.core.orders import Side

from .conftest import RULES, SYMBOL, Desk

OTHER = replace(RULES, instrument=replace(RULES.instrument, symbol="ETHUSDT"))


def aheads(desk: Desk) -> dict[int, D | None]:
    return {
        number: desk.exchange.queue_ahead(order)
        for number, order in desk.account.open_orders.items()
    }


@pytest.mark.parametrize("quoted", [True, False])
@pytest.mark.parametrize("touch", Touch)
@pytest.mark.parametrize("seed", range(8))
def test_what_happens_between_the_bounds_touches_no_order(
    seed: int, touch: Touch, *, quoted: bool
) -> None:
    rng = random.Random(seed)
    desk = Desk(rules=replace(RULES, touch=touch))
    tried = 0
    for _ in range(60):
        price = rng.randint(95, 105)
        if quoted and rng.random() < 0.4:
            desk.quote(price, price + 1, rng.randint(0, 3), rng.randint(0, 3))
        else:
            desk.trade(price, rng.choice([D("0.1"), 1]), rng.choice(["buyer", "seller"]))
        if rng.random() < 0.5:
            desk.place(rng.choice(["BUY", "SELL"]), 1, rng.randint(93, 107), tif="GTX")
        untouched = desk.exchange.untouched(SYMBOL)
        low = 90 if untouched.above is None else int(untouched.above) + 1
        high = 110 if untouched.below is None else int(untouched.below) - 1
        before = aheads(desk)
        for by in ("buyer", "seller"):
            # What a trade displays beside itself is to be between the bounds, too, unless settled.
            room = 0 if untouched.settled or quoted else 1
            least, most = low + room * (by == "buyer"), high - room * (by == "seller")
            if least <= most:
                assert desk.trade(rng.randint(least, most), 9, by) == ()
                tried += 1
        if quoted and low < high:
            bid = rng.randint(low, high - 1)
            desk.quote(bid, rng.randint(bid + 1, high), 0, 0)
        if touch is not Touch.NEVER:  # who never fills at the price has no use for a queue
            assert aheads(desk) == before
    assert tried > 20


def holding(
    *positions: tuple[MarketRules, str, Side], deposit: D
) -> tuple[SimulatedExchange, Account]:
    """An exchange whose markets stand at 100, and an account that has taken positions there."""
    exchange = SimulatedExchange([RULES, OTHER])
    account = exchange.open_account("a", deposit=deposit)
    for rules in (RULES, OTHER):
        quote = Quote(bid=D(100), bid_quantity=D(9), ask=D(101), ask_quantity=D(9), time_ns=0)
        exchange.on_quote(rules.instrument.symbol, quote)
        trade = MarketTrade(price=D(100), quantity=D(1), buyer_is_maker=True, time_ns=0)
        exchange.on_trade(rules.instrument.symbol, trade, now_ns=0)
    for rules, quantity, side in positions:
        request = OrderRequest(
            symbol=rules.instrument.symbol,
            client_order_id=rules.instrument.symbol,
            side=side,
            type=OrderType.MARKET,
            quantity=D(quantity),
        )
        events = exchange.place("a", request, now_ns=0)
        assert any(isinstance(event, AccountChanged) for event in events)
    return exchange, account


@pytest.mark.parametrize("side", Side)
def test_one_position_is_closed_just_beyond_its_bound(side: Side) -> None:
    for step, closed in ((D("0.0001"), False), (D("-0.0001"), True)):
        exchange, account = holding((RULES, "2", side), deposit=D(30))
        bounds = exchange.solvent()
        assert bounds is not None
        bound = bounds[SYMBOL]
        edge = bound.above if side is Side.BUY else bound.below
        assert edge is not None
        assert (bound.below if side is Side.BUY else bound.above) is None
        events = exchange.on_mark_price(SYMBOL, edge + step * side.sign, now_ns=1)
        assert bool(events) is closed
        assert bool(account.position(SYMBOL).quantity) is not closed


@pytest.mark.parametrize("seed", range(20))
def test_all_marks_may_be_anywhere_between_theirs_at_once(seed: int) -> None:
    rng = random.Random(seed)
    sides = rng.choice(list(Side)), rng.choice(list(Side))
    exchange, _ = holding(
        (RULES, str(rng.randint(1, 3)), sides[0]),
        (OTHER, str(rng.randint(1, 3)), sides[1]),
        deposit=D(rng.randint(60, 90)),
    )
    bounds = exchange.solvent()
    assert bounds is not None
    for symbol, bound in bounds.items():
        edge = bound.above if bound.above is not None else bound.below
        assert edge is not None
        inside = edge + (D("0.0001") if bound.above is not None else D("-0.0001"))
        assert exchange.on_mark_price(symbol, inside, now_ns=1) == ()


def test_an_account_under_water_has_no_bounds() -> None:
    exchange, _ = holding((RULES, "2", Side.BUY), deposit=D(30))
    exchange.markets[SYMBOL].set_mark(D(50))  # nobody has looked yet
    assert exchange.solvent() is None


def test_nobody_holds_nothing_is_at_stake() -> None:
    exchange, _ = holding(deposit=D(30))
    bounds = exchange.solvent()
    assert bounds is not None
    assert all(bound.above is None and bound.below is None for bound in bounds.values())
