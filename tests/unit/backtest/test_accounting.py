"""Where a profit comes from: exactly, slot by slot, and equal to what the account has."""

from dataclasses import replace
from decimal import Decimal as D
from decimal import localcontext
from functools import cache

import numpy as np
import pytest

from opensqt.backtest.case import AccountCase, Case, Mode
from opensqt.backtest.exact.every import run_world
from opensqt.backtest.exact.timeline import Timeline
from opensqt.backtest.figures.accounting import PnlSplit, account_for, last_mark
from opensqt.backtest.figures.slot_ledger import SlotLedger
from opensqt.backtest.result import Kind, Result
from opensqt.backtest.rounding import half_even
from opensqt.backtest.run import run
from opensqt.core.exchange.account import Position
from opensqt.core.numbers import EXACT, ZERO
from opensqt.testing.tapes import random_case, random_cases_together

SEEDS = range(24)


@cache
def ran(seed: int) -> tuple[Case, Result]:
    """A random case and what came of it: some of several bots, some with hardly any money."""
    if seed % 4 == 2:
        case = random_cases_together(seed, trades=60)
    else:
        case = random_case(seed, trades=120)
    if seed % 3 == 0:
        poor = {
            name: AccountCase(deposit=D(4), leverage=dict.fromkeys(case.markets, 100))
            for name in case.accounts
        }
        case = replace(case, accounts=poor)
    return case, run(case, mode=Mode.EVERY)


def replayed_equity(case: Case, result: Result, account: str) -> D:
    """The account's equity in the end, booked fill by fill as the exchange books it."""
    with localcontext(EXACT):
        equity = case.accounts[account].deposit
        for index, of_bot in enumerate(result.bots):
            if of_bot.identity.account != account:
                continue
            instrument, unit = of_bot.instrument, of_bot.money_unit
            position = Position(symbol=instrument.symbol)
            for row in range(len(result.fills)):
                order = int(result.fills.order[row])
                if int(result.orders.bot[order]) != index:
                    continue
                signed = int(result.orders.side[order]) * int(result.fills.quantity[row])
                price = int(result.fills.price[row]) * instrument.tick_size
                position, realised = position.traded(signed * instrument.step_size, price)
                assert realised == int(result.fills.realised[row]) * unit
                equity += realised - int(result.fills.fee[row]) * unit
            paid = result.payments.amount[result.payments.bot == index]
            equity += int(paid.sum()) * unit
            mark = last_mark(case.tapes[instrument.symbol])
            equity += position.unrealised(mark) if mark is not None else ZERO
        return equity


@pytest.mark.parametrize("seed", SEEDS)
def test_final_equity_is_the_deposit_and_every_part_of_the_profit(seed: int) -> None:
    case, result = ran(seed)
    accounting = account_for(case, result)
    for books in accounting.accounts:
        split = books.split
        with localcontext(EXACT):
            parts = split.grid + split.forced + split.inventory - split.fees + split.funding
            assert books.final - books.initial == parts
        assert books.final == replayed_equity(case, result, books.name)
        for bot in books.bots:
            with localcontext(EXACT):
                assert sum(level.profit for level in bot.levels) == bot.split.grid
                assert sum(level.forced for level in bot.levels) == bot.split.forced
                assert sum(level.held for level in bot.levels) == bot.position
            assert sum(level.round_trips for level in bot.levels) == bot.round_trips


def test_it_is_the_exchanges_own_equity() -> None:
    """The account of the exchange that the run traded on says the same."""
    traded = 0
    for seed in range(6):
        case = random_case(seed, trades=120)
        timeline = Timeline.of({bot.symbol: case.tapes[bot.symbol] for bot in case.bots})
        world, result = run_world(case, timeline)
        (books,) = account_for(case, result).accounts
        assert books.final == world.floor.exchange.margin(books.name).equity
        traded += books.bots[0].fills
    assert traded > 20


def test_the_random_cases_show_every_part() -> None:
    seen = PnlSplit()
    for seed in SEEDS:
        split = account_for(*ran(seed)).split
        seen = PnlSplit.sum(
            (seen, PnlSplit(**{k: abs(getattr(split, k)) for k in PnlSplit.__slots__}))
        )
    assert all(getattr(seen, part) for part in PnlSplit.__slots__)


def test_a_wrong_fill_is_an_error_and_not_a_figure() -> None:
    case, result = next(found for found in map(ran, SEEDS) if _forced(found[1]))
    forced = result.orders.kind[result.fills.order] == Kind.FORCED
    more = np.where(forced, result.fills.quantity * 2, result.fills.quantity)
    with pytest.raises(AssertionError, match="closed more"):
        account_for(case, replace(result, fills=replace(result.fills, quantity=more)))


def test_what_is_left_of_a_rounded_part_stays_with_the_holding() -> None:
    # Bought 3 for 10 in all; a third of the cost is not a decimal number.
    ledger = SlotLedger(tick=D("0.1"), step=D(1))
    ledger.fill(0, 2, 33, fee=1)
    ledger.fill(0, 1, 34, fee=1)
    ledger.fill(0, -1, 40, fee=1)
    slot = ledger.slots[0]
    assert slot.held == 2
    assert slot.realised * ledger.unit == D("4.0") - D("3.333333333333333333")
    ledger.fill(0, -2, 40, fee=1)
    assert (slot.held, slot.cost, slot.round_trips, slot.fees) == (0, 0, 1, 4)
    assert slot.realised * ledger.unit == D("2.0")


def test_a_fill_beyond_the_holding_opens_the_other_way() -> None:
    ledger = SlotLedger(tick=D(1), step=D(1))
    ledger.fill(3, 2, 100, fee=0)
    ledger.fill(3, -5, 110, fee=0)
    slot = ledger.slots[3]
    assert (slot.held, slot.realised * ledger.unit, slot.cost * ledger.unit) == (-3, D(20), D(330))


def test_what_is_closed_by_force_takes_the_worst_entries_first() -> None:
    ledger = SlotLedger(tick=D(1), step=D(1))
    for level, price in ((-1, 90), (0, 100), (1, 110)):
        ledger.fill(level, 2, price, fee=0)
    ledger.force(-3, 80)
    assert {level: slot.held for level, slot in ledger.slots.items()} == {-1: 2, 0: 1, 1: 0}
    assert [ledger.slots[level].forced * ledger.unit for level in (-1, 0, 1)] == [0, -20, -60]


@pytest.mark.parametrize(
    ("numerator", "denominator", "rounded"),
    [(5, 2, 2), (7, 2, 4), (-5, 2, -2), (-7, 2, -4), (7, 3, 2), (8, 3, 3), (0, 9, 0)],
)
def test_ties_go_to_the_even_number(numerator: int, denominator: int, rounded: int) -> None:
    assert half_even(numerator, denominator) == rounded


def _forced(result: Result) -> bool:
    return bool((result.orders.kind == Kind.FORCED).any())
