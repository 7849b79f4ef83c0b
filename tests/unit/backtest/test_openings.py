"""Openings that pause in a backtest: of every bot of the account, and with every engine."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal as D

import pytest

from opensqt.backtest.case import AccountCase, Case, Latency, Mode
from opensqt.backtest.exact.every import run_world
from opensqt.backtest.exact.skipping import run_skipping
from opensqt.backtest.exact.timeline import Timeline
from opensqt.backtest.integer.engine import run_integer
from opensqt.backtest.integer.ordinary import NotOrdinary
from opensqt.backtest.result import End, Kind, Result
from opensqt.core.grid.book import Direction
from opensqt.core.grid.config import GridConfig
from opensqt.testing.tapes import MS, Walk, random_case, random_cases_together, random_tape

S = 1_000 * MS
QUARTER = 250 * MS
SEEDS = 40


def poor(seed: int, *, accounts: int = 1) -> Case:
    """Two long grids that the money of their account is not enough for."""
    case = random_cases_together(seed, symbols=2)
    grid = GridConfig(
        interval=D("2.5"), buy_levels=6, sell_levels=3, quantity=D("0.1"), max_actions=3
    )
    bots = tuple(
        replace(
            bot,
            account=f"account-{number % accounts}",
            direction=Direction.LONG,
            grid=grid,
        )
        for number, bot in enumerate(case.bots)
    )
    walk = Walk(trades=300, stride=10, pause_ms=400)
    return replace(
        case,
        bots=bots,
        markets={name: replace(m, max_open_orders=200) for name, m in case.markets.items()},
        tapes={
            bot.symbol: random_tape(seed * 10 + number, walk, bot.instrument)
            for number, bot in enumerate(bots)
        },
        accounts={bot.account: AccountCase(deposit=D(50) / accounts) for bot in bots},
        latency=Latency(market_ns=20 * MS, order_ns=70 * MS, report_ns=40 * MS),
    )


def at_quarters(case: Case, market: int, order: int, report: int) -> Case:
    """The same, with everything at quarters of a second, as back-offs and pauses are."""
    tapes = {
        symbol: replace(
            tape,
            **{
                name: replace(table, time_ns=table.time_ns // QUARTER * QUARTER)
                for name in ("trades", "quotes", "marks", "fundings")
                if len(table := getattr(tape, name))
            },
        )
        for symbol, tape in case.tapes.items()
    }
    latency = Latency(
        market_ns=market * QUARTER, order_ns=order * QUARTER, report_ns=report * QUARTER
    )
    return replace(case, tapes=tapes, latency=latency)


def openings(result: Result, bot: int) -> list[tuple[int, bool]]:
    """When a bot decided on each of its openings, and whether that was refused."""
    orders = result.orders
    mine = (orders.bot == bot) & (orders.kind == Kind.OPEN)
    refused = orders.end[mine] == End.REFUSED
    return list(zip(orders.decided_ns[mine].tolist(), refused.tolist(), strict=True))


def opened_in_spite(case: Case, result: Result, refused: int, opens: int) -> int:
    """How many openings a bot decided on in the second after it heard of another's refusal."""
    there_and_back_ns = case.latency.order_ns + case.latency.report_ns
    heard_ns = [at_ns + there_and_back_ns for at_ns, no in openings(result, refused) if no]
    assert len(heard_ns) >= 3
    return sum(
        any(began_ns < at_ns < began_ns + S for began_ns in heard_ns)
        for at_ns, _ in openings(result, opens)
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_bots_of_one_account_pause_together(seed: int) -> None:
    shared, apart = poor(seed), poor(seed, accounts=2)
    together, alone = (
        run_world(case, Timeline.of(dict(case.tapes)))[1] for case in (shared, apart)
    )
    assert opened_in_spite(shared, together, refused=0, opens=1) == 0
    assert opened_in_spite(shared, together, refused=1, opens=0) == 0
    assert opened_in_spite(apart, alone, refused=0, opens=1) > 0


@pytest.mark.parametrize("accounts", [1, 2])
@pytest.mark.parametrize("mode", [Mode.STEP, Mode.SKIP])
def test_passing_over_changes_nothing_of_it(mode: Mode, accounts: int) -> None:
    for seed in range(6):
        case = poor(seed, accounts=accounts)
        timeline = Timeline.of(dict(case.tapes))
        _, every = run_world(case, timeline)
        assert run_skipping(case, timeline, mode).same_as(every), seed


@pytest.mark.parametrize(
    ("seed", "quarters"),
    # Prices that are heard just when a pause or a back-off ends, changed or not, or just when
    # another bot hears of a refusal.
    [(6, (12, 1, 0)), (11, (8, 0, 1)), (13, (8, 0, 0)), (15, (8, 0, 0)), (3, (0, 1, 1))],
)
def test_nor_does_what_comes_just_when_a_pause_ends(
    seed: int, quarters: tuple[int, int, int]
) -> None:
    case = at_quarters(poor(seed), *quarters)
    timeline = Timeline.of(dict(case.tapes))
    _, every = run_world(case, timeline)
    assert run_skipping(case, timeline, Mode.SKIP).same_as(every)


def test_nor_does_a_refusal_just_when_the_back_off_of_another_bot_ends() -> None:
    drawn = random_cases_together(548, trades=80)
    limits = {"C0USDT": 3, "C1USDT": 200}
    case = at_quarters(
        replace(
            drawn,
            accounts={name: AccountCase(deposit=D(10_000)) for name in drawn.accounts},
            markets={
                name: replace(rules, max_open_orders=limits[name])
                for name, rules in drawn.markets.items()
            },
        ),
        *(12, 0, 12),
    )
    timeline = Timeline.of(dict(case.tapes))
    _, every = run_world(case, timeline)
    assert run_skipping(case, timeline, Mode.SKIP).same_as(every)


def test_a_pause_is_passed_over_like_any_other_time() -> None:
    """A bot that waits for margin does not look at every price."""
    case = poor(1)
    timeline = Timeline.of(dict(case.tapes))
    acted = run_skipping(case, timeline, Mode.SKIP).acted
    assert acted < run_world(case, timeline)[1].acted * 0.7


def few_orders(case: Case) -> Case:
    """The same on an exchange that takes fewer orders than the bot may have."""
    return replace(
        case, markets={name: replace(m, max_open_orders=2) for name, m in case.markets.items()}
    )


def little_money(case: Case) -> Case:
    """The same with hardly any money."""
    return replace(case, accounts={name: AccountCase(deposit=D(8)) for name in case.accounts})


@pytest.mark.parametrize("short_of", [few_orders, little_money])
def test_whole_numbers_pause_as_well(short_of: Callable[[Case], Case]) -> None:
    paused = compared = 0
    for seed in range(SEEDS):
        drawn = random_case(seed, trades=60)
        (bot,), ((symbol, tape),) = drawn.bots, drawn.tapes.items()
        case = short_of(
            replace(
                drawn,
                bots=(replace(bot, grid=replace(bot.grid, atr=None)),),
                tapes={
                    symbol: replace(tape, quotes=tape.quotes.taken([]), marks=tape.marks.taken([]))
                },
                latency=Latency(),
            )
        )
        world, every = run_world(case, Timeline.of(dict(case.tapes)))
        if world.desks[0].brain.openings.pause.until_ns:
            paused += 1
            with suppress(NotOrdinary):  # it is nearly liquidated
                assert run_integer(case).same_as(every)
                compared += 1
    assert paused >= SEEDS // 4
    assert compared > paused // 2
