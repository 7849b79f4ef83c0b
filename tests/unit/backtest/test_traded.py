"""What the differences of two runs come to in money, by hand."""

from decimal import Decimal as D

from opensqt.backtest.diff.compare import as_json, compare
from opensqt.backtest.diff.traded import traded_by_both
from tests.unit.backtest.runs import fill, order, run

BUY = order("100", "BUY", 1, fill(5, "100", "0.01"))
SELL = order("100", "SELL", 6, fill(9, "110", "0.004"), fill(10, "110", "0.006"))


def test_what_is_held_is_valued_at_the_last_price_of_the_first_run() -> None:
    (both,) = traded_by_both(run(BUY, SELL), run(BUY))
    assert (both.bot, both.symbol, both.price) == ("btc", "BTCUSDT", D(110))
    a, b = both.a, both.b
    assert (a.bought, a.sold, a.position, a.fees) == (D("0.01"), D("0.01"), D(0), D("0.36"))
    assert a.result == D("0.1") - D("0.36")  # sold for 1.1, bought for 1, three fees of 0.12
    assert (b.position, b.fees) == (D("0.01"), D("0.12"))
    assert b.result == D("0.1") - D("0.12")  # 0.01 at 110 is held, and one fee paid


def test_the_second_runs_price_serves_where_the_first_never_filled() -> None:
    (both,) = traded_by_both(run(order("100", "BUY", 1)), run(BUY))
    assert both.price == D(100)
    assert (both.a.result, both.b.result) == (D(0), D("-0.12"))


def test_what_is_not_known_is_not_zero() -> None:
    unknown = order("100", "BUY", 1, fill(5, "100", "0.01", fee=None))
    (both,) = traded_by_both(run(unknown), run(BUY))
    assert (both.a.fees, both.a.result) == (None, None)
    (never,) = traded_by_both(run(order("100", "BUY", 1)), run(order("100", "BUY", 1)))
    assert (never.price, never.a.bought, never.a.result) == (None, D(0), None)


def test_programs_are_told_too() -> None:
    told = as_json(compare(run(BUY, SELL), run(BUY)))["traded"]
    side = {"bought": "0.01", "sold": "0", "position": "0.01", "fees": "0.12", "result": "-0.02"}
    assert isinstance(told, list)
    assert told[0]["b"] == side
