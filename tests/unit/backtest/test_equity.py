"""Equity and drawdown at every price: held against a plain loop over `Decimal`."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal, localcontext

import numpy as np
import pytest

from opensqt.backtest.case import Case, Mode
from opensqt.backtest.figures import equity
from opensqt.backtest.figures.equity import drawdown_of, equity_of
from opensqt.backtest.result import Result
from opensqt.backtest.run import run
from opensqt.backtest.tape import MARK_UNIT, Tape
from opensqt.core.numbers import EXACT
from opensqt.testing.tapes import random_case, random_cases_together

Flow = tuple[int, Decimal, Decimal]
"""When a bot's position and cash change, and by how much."""


def marks_of(tape: Tape) -> list[tuple[int, Decimal]]:
    table, unit = tape.trades, tape.tick
    if len(tape.marks):
        return [
            (int(t), int(p) * MARK_UNIT)
            for t, p in zip(tape.marks.time_ns, tape.marks.price, strict=True)
        ]
    return [(int(t), int(p) * unit) for t, p in zip(table.time_ns, table.price, strict=True)]


def flows_of(result: Result, bot: int) -> list[Flow]:
    run_of_bot, fills, payments = result.bots[bot], result.fills, result.payments
    instrument, flows = run_of_bot.instrument, []
    for row in range(len(fills)):
        order = int(fills.order[row])
        if int(result.orders.bot[order]) == bot:
            moved = int(result.orders.side[order]) * int(fills.quantity[row]) * instrument.step_size
            paid = moved * int(fills.price[row]) * instrument.tick_size
            fee = int(fills.fee[row]) * run_of_bot.money_unit
            flows.append((int(fills.time_ns[row]), moved, -paid - fee))
    flows += [
        (int(payments.time_ns[row]), Decimal(0), int(payments.amount[row]) * run_of_bot.money_unit)
        for row in range(len(payments))
        if int(payments.bot[row]) == bot
    ]
    return sorted(flows, key=lambda flow: flow[0])


def curve(case: Case, result: Result, account: str) -> Iterator[Decimal]:
    """The equity of an account, mark by mark."""
    bots = [n for n, b in enumerate(result.bots) if b.identity.account == account]
    flows = {n: flows_of(result, n) for n in bots}
    held, mark = dict.fromkeys(bots, Decimal(0)), dict.fromkeys(bots, Decimal(0))
    cash = case.accounts[account].deposit
    points = []
    for n in bots:
        marks = marks_of(case.tapes[result.bots[n].identity.symbol])
        for i, (time_ns, price) in enumerate(marks):
            last = i + 1 == len(marks) or marks[i + 1][0] != time_ns
            points.append((time_ns, n, price, last))
    for time_ns, n, price, last in sorted(points, key=lambda point: point[0]):
        while flows[n] and flows[n][0][0] < time_ns + last:
            _, moved, paid = flows[n].pop(0)
            held[n] += moved
            cash += paid
        mark[n] = price
        yield cash + sum((held[n] * mark[n] for n in bots), Decimal(0))


def check(case: Case) -> int:
    result = run(case, mode=Mode.EVERY)
    for account in case.accounts:
        expected = list(curve(case, result, account))
        whole = equity_of(case, result, account)
        assert [int(e) * whole.unit for e in whole.equity] == expected
        peak, drawdowns = case.accounts[account].deposit, []
        for value in expected:
            peak = max(peak, value)
            drawdowns.append(peak - value)
        assert [int(d) * whole.unit for d in whole.drawdown] == drawdowns
        brief = drawdown_of(case, result, account)
        assert brief.max_drawdown == whole.max_drawdown == max(drawdowns)
        assert brief.max_drawdown_share == pytest.approx(whole.max_drawdown_share)
        assert brief.final == whole.final == expected[-1]
        assert brief.lowest == min(case.accounts[account].deposit, *expected)
    return len(result.fills)


@pytest.mark.parametrize("together", [False, True], ids=["one-bot", "several-bots"])
def test_the_curve_is_that_of_a_plain_loop_in_decimal(*, together: bool) -> None:
    with localcontext(EXACT):
        fills = [
            check(
                random_cases_together(seed, trades=60)
                if together
                else random_case(seed, trades=120)
            )
            for seed in range(25)
        ]
    assert sum(fills) > 500


def test_blocks_and_amounts_beyond_64_bits_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    case = random_case(4)
    result = run(case, mode=Mode.EVERY)
    assert len(result.fills)
    plain = equity_of(case, result, "main")
    monkeypatch.setattr(equity, "BLOCK", 7)
    monkeypatch.setattr(equity, "LARGEST", 1)
    blocks = equity_of(case, result, "main")
    assert blocks.equity.dtype == object
    for name in ("equity", "peak", "drawdown"):
        assert getattr(plain, name).tolist() == getattr(blocks, name).tolist()
    assert drawdown_of(case, result, "main").max_drawdown == plain.max_drawdown


def test_a_deposit_finer_than_the_money_unit_is_counted() -> None:
    case = random_case(4)
    fine = Decimal("12345.00000000012")
    case = replace(case, accounts={"main": replace(case.accounts["main"], deposit=fine)})
    result = run(case, mode=Mode.EVERY)
    with localcontext(EXACT):
        assert drawdown_of(case, result, "main").final == list(curve(case, result, "main"))[-1]


def test_a_sample_keeps_the_ends_and_the_extremes() -> None:
    case = random_case(4)
    whole = equity_of(case, run(case, mode=Mode.EVERY), "main")
    kept = whole.sampled(40)
    assert len(kept) <= 40 < len(whole)
    assert {0, len(whole) - 1} <= set(kept.tolist())
    values = whole.equity[kept]
    assert (values.min(), values.max()) == (whole.equity.min(), whole.equity.max())
    assert np.array_equal(whole.sampled(len(whole)), np.arange(len(whole)))
    with pytest.raises(ValueError, match="allowed: 4 or more"):
        whole.sampled(3)
