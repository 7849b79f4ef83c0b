"""Passing over what changes nothing: the same result as event by event, from far fewer events.

An event matters to the exchange when it reaches an order, moves a mark to where somebody might be
liquidated, or settles funding. A price matters to a bot when it leaves the bot's quiet band. What
is in between is passed over, and caught up with when it would show: the exchange's markets before
the next event or request, a bot's price before the next thing that it hears.

There are two clocks. Events happen at the exchange at their own time; a bot hears of their prices
`market_ns` later. So the next thing to be done is the first of: the next event that touches the
exchange, the next price that a bot has to look at, the next message on its way; in the very order
that `schedule` gives them.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from opensqt.backtest.case import Case, Mode
from opensqt.backtest.exact.desk import Desk
from opensqt.backtest.exact.finding import Finder, Range, Skipping, Stepping
from opensqt.backtest.exact.schedule import NO_KEY, Key, Phase
from opensqt.backtest.exact.timeline import (
    ASK,
    BID,
    FAR,
    HIGH,
    LOW,
    MARK,
    NEAR_HIGH,
    NEAR_LOW,
    UNKNOWN,
    Course,
    Timeline,
)
from opensqt.backtest.exact.world import World
from opensqt.backtest.result import Result
from opensqt.core.exchange.untouched import Solvent, Untouched
from opensqt.core.numbers import least_count, most_count

REACH_MIN: Final = 256
"""How many events are looked ahead at first; more with every time that nothing is found."""
ALWAYS: Final[tuple[Range, ...]] = (Range(LOW, FAR + 1, -FAR - 1),)
"""A range that every event is outside of."""
PROGRESS_EVERY: Final = 256
"""Deeds between two reports of progress."""


def run_skipping(
    case: Case,
    timeline: Timeline,
    mode: Mode,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Run a case by what matters in it."""
    watch = _Watch()
    world = World(case, timeline, watch)
    return _Walk(world, watch, mode).run(progress)


class _Watch:
    """Catches up where it would show, and notes what has to be looked at anew."""

    passes_over = True

    def __init__(self) -> None:
        self.touched = True
        """The exchange's accounts have changed."""
        self.ears: list[_Ear] = []

    def hears(self, desk: Desk, key: Key) -> None:
        """A bot is about to hear a message: let it have heard the prices before."""
        self.ears[desk.number].catch_up(key)

    def heard(self, desk: Desk) -> None:
        """A bot has heard a message, and decided."""
        self.ears[desk.number].restart()

    def traded(self) -> None:
        """Orders or positions have changed."""
        self.touched = True


class _Ear:
    """What a bot has heard of its market, and which price it has to look at next."""

    def __init__(self, desk: Desk, finder: Finder, market_ns: int) -> None:
        self.desk = desk
        self._course = desk.course
        self._finder = finder
        self._market_ns = market_ns
        self._heard = 0
        """Prices of so many events."""
        self._looked = 0
        """So many have been heard or found to be quiet."""
        self._found = False
        self._ranges: tuple[Range, ...] | None = ALWAYS
        self._alarmed = FAR
        """The first price, not heard yet, that is due when a back-off ends."""

    def catch_up(self, key: Key) -> None:
        """Hear the latest price that comes before a message."""
        due_ns, happened, phase = key
        times = self._course.time_ns
        heard = int(times.searchsorted(due_ns - self._market_ns))
        if heard < len(times) and times[heard] == due_ns - self._market_ns:
            # Prices that are due at the very same time: those of events that happened before.
            before = happened if phase > Phase.PRICE else happened - 1
            until = int(times.searchsorted(due_ns - self._market_ns, side="right"))
            heard = max(heard, min(until, self._course.before(before)))
        self._hear(heard, due_ns)

    def restart(self) -> None:
        """Look anew from what was heard: the bot has decided on something."""
        self._looked, self._found, self._ranges = self._heard, False, None
        # A price that is heard just when a back-off ends, and before the alarm, is decided on.
        alarm_ns, times = self.desk.alarm_ns - self._market_ns, self._course.time_ns
        first = max(self._heard, int(times.searchsorted(alarm_ns)))
        while first < len(times) and times[first] == alarm_ns and not self._is_told(first):
            first += 1
        at_alarm = first < len(times) and times[first] == alarm_ns
        self._alarmed = first if at_alarm else FAR

    def next_key(self, stop: int, due_ns: int) -> Key:
        """The message of the next price to look at, if it is of an event before `stop`."""
        if not self._found:
            last_ns = due_ns - self._market_ns
            stop = min(stop, int(self._course.time_ns.searchsorted(last_ns, side="right")))
            if self._looked >= stop:
                return NO_KEY
            if self._ranges is None:
                self._ranges = self._quiet()
            until = min(stop, self._alarmed)
            self._looked = self._finder.first_outside(self._ranges, self._looked, until)
            self._found = self._looked < stop
            if not self._found:
                return NO_KEY
        elif self._looked >= stop:
            return NO_KEY
        index = self._looked
        time_ns, place = int(self._course.time_ns[index]), int(self._course.place[index])
        return (time_ns + self._market_ns, place + 1, int(Phase.PRICE))

    def hear_found(self, key: Key) -> None:
        """Hear the price that was found."""
        self._hear(self._looked + 1, key[0])

    def _is_told(self, index: int) -> bool:
        """Whether an event changes the price; otherwise nobody tells of it."""
        return index == 0 or self._price(index) != self._price(index - 1)

    def _price(self, index: int) -> tuple[int | None, int, int]:
        """Last, bid and ask after an event, in ticks."""
        course = self._course
        trade = course.latest(course.tape.trades, index)
        last = int(course.tape.trades.price[trade]) if trade >= 0 else None
        return last, int(course.bid[index]), int(course.ask[index])

    def _hear(self, heard: int, now_ns: int) -> None:
        if heard <= self._heard:
            return
        self._heard = heard
        tick, (last, bid, ask) = self._course.tape.tick, self._price(heard - 1)
        if (last, bid, ask) != (None, UNKNOWN, UNKNOWN):
            known = None if last is None else last * tick
            self.desk.hear_price(known, bid * tick, ask * tick, now_ns)

    def _quiet(self) -> tuple[Range, ...]:
        band = self.desk.brain.quiet()
        if band is None:
            return ALWAYS
        tick = self._course.tape.tick
        # A price of zero stands for one that is missing, and the strategy takes another one then.
        return (
            Range(BID, max(1, _least(band.bid_min, tick)), _most(band.bid_max, tick)),
            Range(ASK, max(1, _least(band.ask_min, tick)), _most(band.ask_max, tick)),
        )


class _Floor:
    """Which of a market's events has to happen at the exchange next."""

    def __init__(self, course: Course, finder: Finder) -> None:
        self.course = course
        self._finder = finder
        self._looked = 0
        self._found = False
        self._ranges = ALWAYS

    def restart(self, happened: int, untouched: Untouched, solvent: Solvent | None) -> None:
        """Look anew from what has happened."""
        self._looked, self._found = self.course.before(happened), False
        if solvent is None:
            self._ranges = ALWAYS
            return
        tick, unit = self.course.tape.tick, self.course.mark_unit
        bid, ask = untouched.above, untouched.below
        low, high = (NEAR_LOW, NEAR_HIGH) if untouched.settled else (LOW, HIGH)
        ranges = [
            Range(low, -FAR + 1 if bid is None else _least(bid, tick) + 1),
            Range(high, most=FAR - 1 if ask is None else _most(ask, tick) - 1),
        ]
        if solvent.above is not None or solvent.below is not None:
            # The bounds were divided; a unit more makes up for where that was rounded.
            least = -FAR - 1 if solvent.above is None else _least(solvent.above, unit) + 2
            most = FAR + 1 if solvent.below is None else _most(solvent.below, unit) - 2
            ranges.append(Range(MARK, least, most))
        self._ranges = tuple(ranges)

    def moved(self, index: int) -> bool:
        """Tell whether an event has taken the mark out of its bounds, if anybody is at stake."""
        marks = [each for each in self._ranges if each.column == MARK]
        mark = int(self.course.mark[index])
        return self._ranges is ALWAYS or any(not each.least <= mark <= each.most for each in marks)

    def next_index(self, until: int) -> int | None:
        """Index of the next event that matters, among the first `until` of all symbols."""
        stop = self.course.before(until)
        if not self._found and self._looked < stop:
            self._looked = self._finder.first_outside(self._ranges, self._looked, stop)
            self._found = self._looked < stop
        return self._looked if self._found and self._looked < stop else None


class _Walk:
    """Goes from one thing that matters to the next."""

    def __init__(self, world: World, watch: _Watch, mode: Mode) -> None:
        self._world = world
        self._watch = watch
        self._mode = mode
        make: type[Stepping | Skipping] = Stepping if mode is Mode.STEP else Skipping
        finders: dict[str, Finder] = {
            symbol: make(course.columns) for symbol, course in world.timeline.courses.items()
        }
        self._floors = [
            _Floor(course, finders[symbol]) for symbol, course in world.timeline.courses.items()
        ]
        watch.ears = [
            _Ear(desk, finders[desk.bot.symbol], world.latency.market_ns) for desk in world.desks
        ]
        self._reach = REACH_MIN
        self._bounds: dict[str, Solvent] | None = None

    def run(self, progress: Callable[[int, int], None] | None) -> Result:
        """Run to the end."""
        world, deeds = self._world, 0
        while self._do_next():
            deeds += 1
            if progress is not None and deeds % PROGRESS_EVERY == 0:
                progress(world.happened, len(world.timeline))
        if progress is not None:
            progress(len(world.timeline), len(world.timeline))
        return world.result(self._mode)

    def _do_next(self) -> bool:
        """Do the next thing, or look further ahead; tell whether there may be more."""
        world, timeline = self._world, self._world.timeline
        message = world.schedule.next_key()
        over = message[0] > world.end_ns
        stop = len(timeline) if over else max(world.happened, timeline.before(message[0]))
        horizon = min(world.happened + self._reach, stop)
        course, index = self._next_event(horizon)
        until = horizon if course is None else int(course.place[index])
        ear, price = self._next_price(until, min(message[0], world.end_ns))
        first = min(message, price)
        if course is not None and course.time_ns[index] < first[0]:
            self._happen(course, index)
        elif ear is not None and price < message and timeline.before(price[0]) <= horizon:
            self._hear(ear, price)
        elif horizon < stop:
            self._reach *= 4
            return True
        elif ear is not None and price < message:
            self._hear(ear, price)
        elif not over:
            world.deliver()
        else:
            return False
        self._reach = REACH_MIN
        return True

    def _next_event(self, horizon: int) -> tuple[Course | None, int]:
        world = self._world
        if horizon == world.happened:
            return None, 0  # all that may come first has; what was touched is looked at later
        if self._watch.touched:
            self._watch.touched = False
            world.floor.catch_up(world.happened)
            self._bounds = world.floor.exchange.solvent()
            for floor in self._floors:
                self._restart(floor)
        best: tuple[int, Course, int] | None = None
        for floor in self._floors:
            index = floor.next_index(horizon)
            if index is not None:
                place = int(floor.course.place[index])
                if best is None or place < best[0]:
                    best = (place, floor.course, index)
        return (None, 0) if best is None else best[1:]

    def _next_price(self, until: int, due_ns: int) -> tuple[_Ear | None, Key]:
        best: _Ear | None = None
        first = NO_KEY
        for ear in self._watch.ears:
            key = ear.next_key(ear.desk.course.before(until), due_ns)
            if key < first:
                best, first = ear, key
        return best, first

    def _happen(self, course: Course, index: int) -> None:
        world, watch = self._world, self._watch
        world.happen(course, index)
        for floor in self._floors:
            if floor.course is course:
                # The bounds of the marks are about where they were.
                watch.touched = watch.touched or floor.moved(index)
                if not watch.touched:
                    self._restart(floor)

    def _restart(self, floor: _Floor) -> None:
        world, symbol = self._world, floor.course.tape.symbol
        solvent = None if self._bounds is None else self._bounds[symbol]
        floor.restart(world.happened, world.floor.exchange.untouched(symbol), solvent)

    def _hear(self, ear: _Ear, key: Key) -> None:
        world = self._world
        world.happened = max(world.happened, world.timeline.before(key[0]), key[1])
        world.reach(key)
        ear.hear_found(key)
        world.acted += 1
        world.decide(ear.desk, key[0])


def _least(bound: Decimal | None, unit: Decimal) -> int:
    """The least count of units that is not below a bound."""
    return -FAR - 1 if bound is None else least_count(bound, unit)


def _most(bound: Decimal | None, unit: Decimal) -> int:
    """The highest count of units that is not above a bound."""
    return FAR + 1 if bound is None else most_count(bound, unit)
