"""Event by event: the reference. Every event happens at the exchange, every price is heard."""

from collections.abc import Callable
from functools import partial

from opensqt.backtest.case import Case, Mode
from opensqt.backtest.exact.desk import Desk
from opensqt.backtest.exact.schedule import Key
from opensqt.backtest.exact.timeline import Course, Timeline
from opensqt.backtest.exact.world import World
from opensqt.backtest.result import Result
from opensqt.core.exchange.market import Market

PROGRESS_EVERY = 10_000
"""Events between two reports of progress."""

Price = tuple[object, object, object]


class _Present:
    """A watch that misses nothing, so it has nothing to catch up with."""

    passes_over = False

    def hears(self, desk: Desk, key: Key) -> None:
        """A bot is about to hear a message."""

    def heard(self, desk: Desk) -> None:
        """A bot has heard a message, and decided."""

    def traded(self) -> None:
        """Orders or positions have changed."""


def run_every(
    case: Case, timeline: Timeline, progress: Callable[[int, int], None] | None = None
) -> Result:
    """Run a case event by event."""
    return run_world(case, timeline, progress)[1]


def run_world(
    case: Case, timeline: Timeline, progress: Callable[[int, int], None] | None = None
) -> tuple[World, Result]:
    """Run a case event by event; also the world as it is in the end."""
    world = World(case, timeline, _Present())
    courses = list(timeline.courses.values())
    told: dict[str, object] = {}
    index = [0] * len(courses)
    for number, (time_ns, whose) in enumerate(
        zip(timeline.time_ns.tolist(), timeline.symbol.tolist(), strict=True)
    ):
        while world.schedule.next_key()[0] <= time_ns:
            world.deliver()
        course = courses[whose]
        world.happen(course, index[whose])
        index[whose] += 1
        _tell_price(world, course, time_ns, told)
        if progress is not None and number % PROGRESS_EVERY == 0:
            progress(number, len(timeline))
    while world.schedule.next_key()[0] <= world.end_ns:
        world.deliver()
    if progress is not None:
        progress(len(timeline), len(timeline))
    return world, world.result(Mode.EVERY)


def _tell_price(world: World, course: Course, time_ns: int, told: dict[str, object]) -> None:
    """Tell a market's bots its price, if it is not the one they were told before."""
    symbol = course.tape.symbol
    market: Market = world.floor.exchange.markets[symbol]
    last = None if market.last is None else market.last.price
    quote = market.quote
    bid, ask = (None, None) if quote is None else (quote.bid, quote.ask)
    price = (last, bid, ask)
    if told.get(symbol, (None, None, None)) == price:
        return
    told[symbol] = price
    for desk in world.desks:
        if desk.course is course:
            hear = partial(_hear_price, desk, last, bid, ask)
            world.send_price(desk, time_ns, hear)


def _hear_price(desk: Desk, last: object, bid: object, ask: object, key: Key) -> None:
    desk.hear_price(last, bid, ask, key[0])  # type: ignore[arg-type]
