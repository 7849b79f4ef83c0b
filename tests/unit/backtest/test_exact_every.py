"""Event by event: what a case comes to, on markets small enough to follow by hand."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import numpy as np
import pytest

from opensqt.backtest.case import AccountCase, Case, Latency, Mode
from opensqt.backtest.exact.every import run_world
from opensqt.backtest.exact.timeline import Timeline
from opensqt.backtest.result import End, Kind, Result
from opensqt.backtest.run import run
from opensqt.backtest.tape import Fundings, Marks, Tape, Trades
from opensqt.core.exchange.rules import Fees, MarketRules
from opensqt.core.grid.book import Direction
from opensqt.core.grid.config import GridConfig
from opensqt.core.identifiers import epoch_at
from opensqt.core.instrument import Instrument
from opensqt.engine.bot import Bot
from opensqt.testing.tapes import random_case, random_cases_together

COIN = Instrument(
    symbol="COINUSDT",
    base="COIN",
    quote="USDT",
    tick_size=D(1),
    step_size=D("0.1"),
    min_quantity=D("0.1"),
    max_quantity=D(1000),
    min_notional=D(5),
)
RULES = MarketRules(instrument=COIN, fees=Fees(maker=D("0.001"), taker=D("0.01")))
S = 10**9
START = 1_750_000_000 * S


def tape(*prices: int, quantity: int = 50, every_ns: int = S) -> Tape:
    """Trades that hit the bid, one a second."""
    count = len(prices)
    trades = Trades.of(
        time_ns=[START + n * every_ns for n in range(count)],
        price=prices,
        quantity=[quantity] * count,
        buyer_is_maker=[True] * count,
        row=[n * 4 for n in range(count)],
    )
    return Tape(symbol="COINUSDT", tick=D(1), quantity_unit=D("0.1"), trades=trades)


def case(market: Tape, **more: Any) -> Case:
    """A long grid: 10 apart, two levels, one coin each."""
    grid = {"interval": D(10), "buy_levels": 2, "sell_levels": 2, "quantity": D(1)}
    bot = Bot(
        bot_id="coin",
        account="main",
        symbol="COINUSDT",
        direction=more.pop("direction", Direction.LONG),
        anchor=more.pop("anchor", D(100)),
        grid=GridConfig(**(grid | more.pop("grid", {}))),
        instrument=COIN,
    )
    deposit = more.pop("deposit", D(10_000))
    known = {
        "bots": (bot,),
        "markets": {"COINUSDT": RULES},
        "tapes": {"COINUSDT": market},
        "accounts": {"main": AccountCase(deposit=deposit)},
    }
    return Case(**(known | more))


def lines(result: Result) -> list[str]:
    """Orders as text: 'buy 100 @0s placed 0s filled 1s'."""
    told = []
    orders = result.orders
    for row in range(len(orders)):
        side = "buy" if orders.side[row] > 0 else "sell"
        kind = {Kind.OPEN: "", Kind.CLOSE: " close", Kind.FORCED: " forced"}[
            Kind(int(orders.kind[row]))
        ]
        times = [
            "-" if at < 0 else f"{(at - START) / S:g}"
            for at in (orders.decided_ns[row], orders.placed_ns[row], orders.ended_ns[row])
        ]
        end = End(int(orders.end[row])).name.lower()
        told.append(f"{side} {orders.price[row]}{kind} {' '.join(times)} {end}")
    return told


def test_a_grid_buys_below_sells_one_level_higher_and_opens_again() -> None:
    result = run(case(tape(105, 99, 104, 111)), mode=Mode.EVERY)
    assert lines(result) == [
        "buy 100 0 0 1 filled",
        "buy 90 0 0 - open",
        "sell 110 close 1 1 3 filled",
        "buy 80 1 1 3 canceled",
        "buy 100 3 3 - open",
        "buy 110 3 3 - open",
    ]
    fills = result.fills
    assert fills.order.tolist() == [0, 2]
    assert fills.price.tolist() == [100, 110]
    assert fills.maker.tolist() == [True, True]
    unit = result.bots[0].money_unit
    assert [int(fee) * unit for fee in fills.fee] == [D("0.1"), D("0.11")]
    assert [int(gain) * unit for gain in fills.realised] == [0, 10]
    assert (result.events, result.start_ns, result.end_ns) == (4, START, START + 3 * S)
    assert result.bots[0].identity.epoch == epoch_at(START)


def test_every_leg_of_the_way_takes_its_time() -> None:
    latency = Latency(market_ns=S // 10, order_ns=S // 5, report_ns=S // 4)
    result = run(case(tape(105, 99, 104, 111, 111), latency=latency), mode=Mode.EVERY)
    assert lines(result)[:3] == [
        "buy 100 0.1 0.3 1 filled",
        "buy 90 0.1 0.3 - open",
        "buy 80 1.1 1.3 3.3 canceled",  # the price is heard before the fill is
    ]
    assert "sell 110 close 1.25 1.45 3 filled" in lines(result)


def test_what_is_due_after_the_data_does_not_happen() -> None:
    slow = Latency(order_ns=2 * S)
    assert lines(run(case(tape(105, 105), latency=slow))) == [
        "buy 100 0 - - on_its_way",
        "buy 90 0 - - on_its_way",
    ]
    assert lines(run(case(tape(105, 105, 105), latency=slow)))[0] == "buy 100 0 2 - open"


def test_a_request_that_is_due_when_a_trade_comes_is_carried_out_before_it() -> None:
    latency = Latency(order_ns=S)
    assert lines(run(case(tape(105, 99), latency=latency)))[0] == "buy 100 0 1 1 filled"


def test_a_post_only_order_that_comes_too_late_is_refused_and_waits() -> None:
    result = run(case(tape(105, 99, 99, 99), latency=Latency(order_ns=3 * S // 2)))
    assert lines(result)[0] == "buy 100 0 - 1.5 refused"


def test_a_partial_fill_is_of_the_trade_that_made_it() -> None:
    result = run(case(tape(105, 99, 99, quantity=4)))
    assert result.fills.quantity.tolist() == [4, 4]
    assert result.orders.filled[0] == 8
    assert lines(result)[0] == "buy 100 0 0 - open"


def test_the_anchor_is_the_first_price_when_none_is_set() -> None:
    result = run(case(tape(104, 104), anchor=None))
    assert result.bots[0].identity.anchor == 100


def test_funding_is_paid_on_what_is_held_at_the_mark() -> None:
    market = replace(
        tape(105, 99, 104),
        fundings=Fundings.of(
            time_ns=[START, START + S, START + 2 * S],
            rate=[10**7, 10**7, -2 * 10**7],
            interval_minutes=[480] * 3,
            row=[1, 5, 9],
        ),
    )
    result = run(case(market))
    payments = result.payments
    unit = result.bots[0].money_unit
    assert [int(amount) * unit for amount in payments.amount] == [D("-0.099"), D("0.208")]
    assert payments.position.tolist() == [10, 10]
    assert payments.rate.tolist() == [10**7, -2 * 10**7]
    assert payments.time_ns.tolist() == [START + S, START + 2 * S]


def test_a_liquidation_closes_at_the_mark_and_halts_the_bot() -> None:
    result = run(case(tape(105, 99, 95, 89, 70), deposit=D(15)))
    assert "sell 70 forced 4 4 4 filled" in lines(result)
    assert result.bots[0].halted.startswith("LIQUIDATION: SELL")
    assert result.fills.maker.tolist()[-1] is False


def test_marks_decide_on_liquidation_when_there_are_any() -> None:
    marks = Marks.of(time_ns=[START, START + 4 * S], price=[105 * 10**8, 8050 * 10**6], row=[1, 17])
    market = replace(tape(105, 99, 95, 89, 85), marks=marks)
    result = run(case(market, deposit=D(29)))
    assert "sell 80 forced 4 4 4 filled" in lines(result)  # 80.5 is no price of the market


def test_a_bot_that_hears_too_little_margin_opens_nothing_for_longer_and_longer() -> None:
    result = run(case(tape(*[105] * 20), deposit=D(5)))
    assert next(line for line in lines(result) if "buy 100" in line).endswith("open")
    refused = [line for line in lines(result) if line.endswith("refused")]
    assert refused == [
        "buy 90 0 - 0 refused",
        "buy 90 1 - 1 refused",
        "buy 90 3 - 3 refused",
        "buy 90 7 - 7 refused",
        "buy 90 15 - 15 refused",
    ]


@pytest.mark.parametrize("make", [random_case, random_cases_together])
@pytest.mark.parametrize("seed", range(12))
def test_the_books_close_to_the_last_digit(make: Callable[[int], Case], seed: int) -> None:
    """What was realised, and what the rest is worth, is all that was paid and received."""
    one = make(seed)
    result = run(one)
    orders, fills = result.orders, result.fills
    for number, bot in enumerate(result.bots):
        instrument = bot.instrument
        mine = orders.bot[fills.order] == number
        signed = fills.quantity[mine] * orders.side[fills.order[mine]]
        lot = instrument.tick_size * instrument.step_size
        paid = int(np.sum(signed * fills.price[mine])) * lot
        realised = int(np.sum(fills.realised[mine])) * bot.money_unit
        fees = int(np.sum(fills.fee[mine])) * bot.money_unit
        assert abs(fees) <= sum(abs(fills.price[mine] * signed)) * lot * D("0.0125")
        # The position's cost is what is left of what was paid, whatever was rounded on the way.
        held = int(np.sum(signed)) * instrument.step_size
        price = int(one.tapes[bot.identity.symbol].trades.price[-1]) * instrument.tick_size
        cost = paid + realised
        assert realised + (held * price - cost) == held * price - paid
        if not held:
            assert cost == 0
        ends = orders.end[orders.bot == number]
        filled = orders.filled[orders.bot == number]
        whole = orders.quantity[orders.bot == number]
        assert np.array_equal(ends == End.FILLED, filled == whole)


@pytest.mark.parametrize("seed", range(12))
def test_the_wallet_is_what_the_columns_say(seed: int) -> None:
    """Final equity less the deposit: realised, unrealised, less fees, and funding."""
    one = random_cases_together(seed)
    timeline = Timeline.of(dict(one.tapes))
    world, result = run_world(one, timeline)
    for name, account in world.floor.exchange.accounts.items():
        expected = one.accounts[name].deposit
        for number, bot in enumerate(result.bots):
            if bot.identity.account != name:
                continue
            mine = result.orders.bot[result.fills.order] == number
            money = int(np.sum(result.fills.realised[mine])) - int(np.sum(result.fills.fee[mine]))
            money += int(np.sum(result.payments.amount[result.payments.bot == number]))
            expected += money * bot.money_unit
        assert account.wallet == expected


def test_the_same_case_gives_the_same_result() -> None:
    one, other = run(random_case(3)), run(random_case(3))
    assert one.same_as(other)
    assert not one.same_as(run(random_case(4)))


def test_progress_is_told() -> None:
    seen: list[tuple[int, int]] = []
    run(case(tape(105, 99)), mode=Mode.EVERY, progress=lambda *now: seen.append(now))
    assert seen[-1] == (2, 2)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"bots": ()}, "no bot"),
        ({"tapes": {}}, "no tape for COINUSDT; there are: none"),
        ({"markets": {}}, "no market for COINUSDT"),
        ({"accounts": {}}, "no account main"),
        ({"tapes": {"COINUSDT": replace(tape(1), tick=D("0.1"))}}, "in ticks of 0.1"),
        ({"tapes": {"COINUSDT": tape()}}, "no event"),
    ],
)
def test_a_case_that_contradicts_itself_is_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        run(replace(case(tape(105)), **change))


def test_two_bots_on_one_symbol_of_an_account_are_refused() -> None:
    both = case(tape(105))
    both = replace(both, bots=(both.bots[0], replace(both.bots[0], bot_id="other")))
    with pytest.raises(ValueError, match="traded by bot coin; allowed: one bot"):
        run(both)


def test_times_that_go_back_are_refused() -> None:
    market = tape(105, 99)
    market = replace(market, trades=replace(market.trades, time_ns=np.array([START, START - 1])))
    with pytest.raises(ValueError, match="times go back"):
        run(case(market))
