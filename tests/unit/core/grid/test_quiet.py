"""Quiet bands: wherever in the band the market is, the strategy has nothing to do."""

import random
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal as D

import pytest

from opensqt.core.grid.agenda import Agenda
from opensqt.core.grid.book import Direction, Standing
from opensqt.core.grid.brain import Brain
from opensqt.core.grid.config import GridConfig
from opensqt.core.grid.quiet import Band, quiet_band
from opensqt.core.grid.results import PlacementResult
from opensqt.core.grid.strategy import decide, plan
from opensqt.core.grid.windows import MarketView
from opensqt.core.instrument import Instrument
from opensqt.core.orders import EndReason, OrderStatus
from opensqt.testing import grids

TICK = D("0.1")
BTC = Instrument(
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick_size=TICK,
    step_size=D("0.001"),
    min_quantity=D("0.001"),
    max_quantity=D(100),
    min_notional=D("0.9"),
)
LONG = GridConfig(interval=D(1), buy_levels=3, sell_levels=3, quantity=D("0.01"), slack_levels=0)


def view(
    bid: D | str, ask: D | str, *, now_ns: int = grids.NOW_NS, paused: bool = False
) -> MarketView:
    return MarketView(
        last=None,
        bid=D(bid),
        ask=D(ask),
        now_ns=now_ns,
        exposure_allowed=True,
        instrument=BTC,
        paused=paused,
    )


def settled(direction: Direction, config: GridConfig, bid: str, ask: str) -> Brain:
    """A brain that has placed what it wanted."""
    brain = Brain(grids.grid(direction=direction), config=config, instrument=BTC)
    move(brain, D(bid), D(ask))
    return brain


def move(
    brain: Brain,
    bid: D,
    ask: D,
    *,
    refuse: float = 0.0,
    reason: EndReason = EndReason.NONE,
    rng: random.Random | None = None,
) -> None:
    """Let it hear a price, and decide until nothing is left; all that it asks for is done."""
    brain.hear_price(last=None, bid=bid, ask=ask, time_ns=grids.NOW_NS)
    while decided := brain.decide(now_ns=grids.NOW_NS, deadline_ns=0):
        for order in decided.to_place:
            refused = rng is not None and rng.random() < refuse
            status = OrderStatus.REJECTED if refused else OrderStatus.NEW
            result = PlacementResult(
                client_oid=order.client_oid,
                status=status,
                end_reason=reason if refused else EndReason.NONE,
            )
            brain.record((result,), now_ns=grids.NOW_NS)
        for order in decided.to_cancel:
            told = grids.update(order, OrderStatus.CANCELED, reason=EndReason.CANCEL_REQUESTED)
            brain.apply(told, now_ns=grids.NOW_NS)


@pytest.mark.parametrize(
    ("direction", "slack", "expected"),
    [
        # The cell of level 100: at an ask of 101.1 the level 101 could be bought as well.
        (Direction.LONG, 0, Band(ask_min=D("100.1"), ask_max=D("101.0"))),
        (Direction.LONG, 1, Band(ask_min=D("100.1"), ask_max=D("101.0"))),
        (Direction.SHORT, 0, Band(bid_min=D("100.0"), bid_max=D("100.9"))),
        (
            Direction.NEUTRAL,
            0,
            Band(bid_min=D("100.0"), bid_max=D("100.9"), ask_min=D("100.1"), ask_max=D("101.0")),
        ),
    ],
)
def test_an_empty_grid_is_quiet_between_two_levels(
    direction: Direction, slack: int, expected: Band
) -> None:
    brain = settled(direction, replace(LONG, slack_levels=slack), "100.5", "100.6")
    assert brain.quiet() == expected


def test_levels_with_an_order_or_a_holding_are_passed_quietly() -> None:
    brain = settled(Direction.LONG, replace(LONG, slack_levels=1), "100.5", "100.6")
    order = brain.book.slots[D(100)].order
    assert order is not None
    brain.apply(grids.filled(order, "1"), now_ns=grids.NOW_NS)
    move(brain, D("99.9"), D("100.0"))
    band = brain.quiet()
    assert band is not None
    # At 100 and above there is a holding; the slack lets the order at 97 rest until 101.
    assert band.ask_min == D("99.1")
    assert band.ask_max == D("101.0")


def test_a_distant_exit_bounds_the_band() -> None:
    brain = settled(Direction.LONG, replace(LONG, sell_levels=1, slack_levels=9), "100.5", "100.6")
    order = brain.book.slots[D(100)].order
    assert order is not None
    move(brain, D("97.5"), D("97.6"))
    brain.apply(grids.filled(order, "1"), now_ns=grids.NOW_NS)
    move(brain, D("97.5"), D("97.6"))
    band = brain.quiet()
    assert band is not None
    assert band.bid_max == D("100.9")
    assert band.ask_max is not None
    assert band.ask_max <= D("99.9")  # at 100.0 the exit at 101 comes within reach


def test_a_halted_grid_without_a_holding_is_quiet_everywhere() -> None:
    brain = settled(Direction.LONG, LONG, "100.5", "100.6")
    (slot, *_) = brain.book.slots.values()
    order = slot.order
    assert order is not None
    brain.apply(grids.filled(order, "1"), now_ns=grids.NOW_NS)
    brain.apply(grids.forced("0.01"), now_ns=grids.NOW_NS)
    move(brain, D("100.5"), D("100.6"))
    assert brain.book.standing is Standing.HALTED
    assert brain.quiet() == Band()


def test_while_openings_pause_no_level_matters_that_none_is_opened_at() -> None:
    brain = settled(Direction.LONG, replace(LONG, slack_levels=1), "100.5", "100.6")
    quiet = quiet_band(decide(brain.agenda, view("100.5", "100.6", paused=True), brain.config))
    assert quiet is not None
    # The order at 98 rests until the ask is above 102: there the window, and its slack, leave it.
    assert quiet.ask_max == D("102.0")
    assert quiet.ask_min is not None
    assert quiet.ask_min < D(90)


def test_what_is_not_quiet_has_no_band() -> None:
    brain = Brain(grids.grid(), config=LONG, instrument=BTC)
    assert brain.quiet() is None  # no price yet
    assert quiet_band(decide(Agenda.of(grids.grid()), view("100.5", "100.6"), LONG)) is None


def configs(rng: random.Random) -> Iterator[GridConfig]:
    while True:
        bounded = rng.random() < 0.5
        yield GridConfig(
            interval=rng.choice([D(1), D("0.7")]),
            buy_levels=rng.randint(0, 5),
            sell_levels=rng.randint(1, 5),
            quantity=D("0.01"),
            max_open_orders=rng.choice([1, 2, 4, 100]),
            max_position=D(rng.randint(1, 6)) / 100 if bounded else None,
            skew_levels=rng.randint(0, 3) if bounded else 0,
            slack_levels=rng.randint(0, 3),
            max_actions=rng.choice([1, 20]),
        )


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("seed", range(12))
def test_anywhere_in_the_band_there_is_nothing_to_do(direction: Direction, seed: int) -> None:
    rng = random.Random(f"{seed}{direction}")
    bands = wide = paused = 0
    for config in (next(configs(rng)) for _ in range(4)):
        brain = Brain(
            replace(
                grids.grid(direction=direction),
                identity=replace(grids.identity(direction=direction), interval=config.interval),
            ),
            config=config,
            instrument=BTC,
        )
        bid = D(100)
        for number in range(25):
            bid += rng.randint(-15, 15) * TICK
            ask = bid + rng.choice([1, 1, 3, 12]) * TICK
            for order in list(brain.book.orders.values()):
                if rng.random() < 0.2 and order.status.resting:
                    brain.apply(
                        grids.filled(order, f"{number}-{order.client_oid}"), now_ns=grids.NOW_NS
                    )
            late = number > 12
            reason = EndReason.INSUFFICIENT_MARGIN if late else EndReason.POST_ONLY_WOULD_TAKE
            move(brain, bid, ask, refuse=0.3 if late else 0.1, reason=reason, rng=rng)
            pauses = (brain.openings.paused(grids.NOW_NS), True)  # as it is, and if one begins
            paused += pauses[0]
            band = brain.quiet()
            assert band is not None
            assert band.contains(bid, ask)
            bands += 1
            for _ in range(12):
                near_bid, near_ask = sample(rng, band, bid, ask)
                assert band.contains(near_bid, near_ask)
                wide += (near_bid, near_ask) != (bid, ask)
                for pause in pauses:
                    market = view(near_bid, near_ask, paused=pause)
                    actions = plan(brain.book, market, config)
                    assert actions == (), f"{band}: {near_bid}/{near_ask} {actions}"
    assert bands == 100
    assert wide > 400
    assert 0 < paused < 50


def sample(rng: random.Random, band: Band, bid: D, ask: D) -> tuple[D, D]:
    """A bid and an ask inside the band, preferably at its edges."""

    def pick(least: D | None, most: D | None, now: D) -> D:
        least = now - 60 * TICK if least is None else least
        most = now + 60 * TICK if most is None else most
        if rng.random() < 0.4:
            return rng.choice([least, most])
        return least + rng.randint(0, int((most - least) / TICK)) * TICK

    near_bid = pick(band.bid_min, band.bid_max, bid)
    near_ask = pick(band.ask_min, band.ask_max, ask)
    return (near_bid, near_ask) if near_bid < near_ask else (bid, ask)
