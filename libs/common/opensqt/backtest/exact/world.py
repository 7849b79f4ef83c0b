"""`World`: the exchange, the bots, and what is on its way between them.

An event happens at the exchange at its own time. What the exchange tells of orders is heard
`report_ns` later, prices and candles `market_ns` later; what a bot sends arrives after `order_ns`,
and is answered after `report_ns`. After everything that a bot hears it decides, until it has
nothing to decide.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

from opensqt.backtest.case import Case, Mode
from opensqt.backtest.exact.desk import Desk
from opensqt.backtest.exact.floor import Floor
from opensqt.backtest.exact.journal import Journal
from opensqt.backtest.exact.minutes import MINUTE_NS, closed_minutes
from opensqt.backtest.exact.schedule import Key, Phase, Schedule
from opensqt.backtest.exact.timeline import Course, Timeline
from opensqt.backtest.result import Result
from opensqt.core.events import Candle, OrderUpdate, UpdateSource
from opensqt.core.exchange import told
from opensqt.core.exchange.events import Event, OrderChanged, OrderRefused
from opensqt.core.grid.results import PlacementResult
from opensqt.core.orders import Order
from opensqt.core.risk.openings import Openings


class Watch(Protocol):
    """Whoever runs a world may pass events over, and catches up where that would show."""

    passes_over: bool
    """What changes no decision need not be decided on."""

    def hears(self, desk: Desk, key: Key) -> None:
        """A bot is about to hear a message; what comes before `key` has come."""
        ...

    def heard(self, desk: Desk) -> None:
        """A bot has heard a message, and decided."""
        ...

    def traded(self) -> None:
        """Orders or positions have changed at the exchange."""
        ...


class World:
    """A case at one moment.

    Args:
        case: What is run.
        timeline: The events of its markets.
        watch: Who runs it.
    """

    def __init__(self, case: Case, timeline: Timeline, watch: Watch) -> None:
        self.timeline = timeline
        self.latency = case.latency
        self.floor = Floor(case, timeline)
        self.schedule = Schedule()
        self.journal = Journal(case)
        self.happened = 0
        """How many events have happened, of all symbols."""
        self.acted = 0
        self.reached: Key = (0, 0, 0)
        """The largest key of the messages that have come."""
        self._watch = watch
        start_ns = int(timeline.time_ns[0])
        self.end_ns = int(timeline.time_ns[-1])
        openings = {bot.account: Openings() for bot in case.bots}
        self.desks = tuple(
            Desk(
                *(number, bot, timeline.courses[bot.symbol]),
                start_ns=start_ns,
                openings=openings[bot.account],
            )
            for number, bot in enumerate(case.bots)
        )
        for desk in self.desks:
            if desk.bot.grid.atr is not None:
                self._next_candle(desk, closed_minutes(desk.course.tape, until_ns=self.end_ns))

    def happen(self, course: Course, index: int) -> None:
        """Let an event happen at the exchange; those before it have happened."""
        place = int(course.place[index])
        self.floor.catch_up(place)
        self.happened = place + 1
        self.acted += 1
        events = self.floor.happen(course, index)
        if events:
            self._tell(events, int(course.time_ns[index]))
            self._watch.traded()

    def deliver(self) -> None:
        """Deliver the next message; whatever happens before it is due has happened."""
        key = self.schedule.next_key()
        self.happened = max(self.happened, self.timeline.before(key[0]))
        self.reach(key)
        self.schedule.deliver()

    def reach(self, key: Key) -> None:
        """Note that everything that comes before a message has come.

        A message that is sent and due at once may have a smaller key than one that has come.
        """
        self.reached = max(self.reached, key)

    def send_price(self, desk: Desk, time_ns: int, hear: Callable[[Key], None]) -> None:
        """Tell a bot a price, by what it does on hearing it."""
        due_ns = time_ns + self.latency.market_ns
        self.schedule.send(due_ns, self.happened, Phase.PRICE, partial(self.hear, desk, hear))

    def hear(self, desk: Desk, hear: Callable[[Key], None], key: Key) -> None:
        """Let a bot hear something, and decide."""
        self._watch.hears(desk, self.reached)
        openings = desk.brain.openings
        before_ns = openings.pause.until_ns
        hear(key)
        if openings.pause.until_ns != before_ns:
            # The other bots of the account open nothing either, and have nothing to decide now;
            # they do when that ends. An alarm that is due just now has yet to ring.
            for other in self.desks:
                if other is not desk and other.brain.openings is openings:
                    self._set_alarm(other, key[0], after_ns=key[0] - 1)
                    self._watch.heard(other)
        self.decide(desk, key[0])

    def decide(self, desk: Desk, now_ns: int) -> None:
        """Let a bot decide, and send what it decides."""
        for decided in desk.decide(now_ns):
            due_ns = now_ns + self.latency.order_ns
            for order in decided.to_place:
                self.journal.decided(desk.number, desk.brain.book, order, now_ns)
                self._send(due_ns, Phase.REQUEST, partial(self._place, desk, order))
            for order in decided.to_cancel:
                self._send(due_ns, Phase.REQUEST, partial(self._cancel, desk, order))
        self._set_alarm(desk, now_ns, after_ns=now_ns)
        self._watch.heard(desk)

    def result(self, mode: Mode) -> Result:
        """What came of it."""
        return self.journal.result(
            self.timeline,
            [desk.brain.book for desk in self.desks],
            self.floor.exchange.accounts,
            mode=mode,
            acted=self.acted,
        )

    def _set_alarm(self, desk: Desk, now_ns: int, *, after_ns: int) -> None:
        """Wake a bot in time, unless an alarm that is due after `after_ns` will."""
        wakes_ns = desk.brain.wakes_ns(now_ns)
        if wakes_ns is not None and not after_ns < desk.alarm_ns <= wakes_ns:
            desk.alarm_ns = wakes_ns
            self._send(wakes_ns, Phase.WAKE, partial(self._wake, desk))

    def _wake(self, desk: Desk, key: Key) -> None:
        if desk.alarm_ns == key[0]:
            desk.alarm_ns = 0
        self.hear(desk, _nothing, key)

    # --- requests, at the exchange ---------------------------------------------------------------

    def _place(self, desk: Desk, order: Order, key: Key) -> None:
        self.floor.catch_up(self.happened)
        account, now_ns = desk.bot.account, key[0]
        first, *more = self.floor.place(order, account, now_ns=now_ns)
        if isinstance(first, OrderRefused):
            self.journal.refused(account, order, now_ns)
            self._answer(desk, told.refused(order, first), now_ns)
            return
        assert isinstance(first, OrderChanged)
        self.journal.changed(first)
        self._tell(tuple(more), now_ns)
        self._answer(desk, told.accepted(order, first.order), now_ns)
        self._watch.traded()

    def _cancel(self, desk: Desk, order: Order, key: Key) -> None:
        self.floor.catch_up(self.happened)
        (event,) = self.floor.cancel(order, desk.bot.account, now_ns=key[0])
        if isinstance(event, OrderChanged):  # else it has ended, and news of that is on its way
            self.journal.changed(event)
            self._report(desk, event, key[0], Phase.ANSWER)
            self._watch.traded()

    # --- what the exchange tells -----------------------------------------------------------------

    def _tell(self, events: tuple[Event, ...], now_ns: int) -> None:
        for event in events:
            if isinstance(event, OrderChanged):
                self.journal.changed(event)
                number = self.journal.bot_of(event.order.account, event.order.symbol)
                self._report(self.desks[number], event, now_ns, Phase.FILL)

    def _report(self, desk: Desk, event: OrderChanged, now_ns: int, phase: Phase) -> None:
        due_ns = now_ns + self.latency.report_ns
        update = told.order_update(
            event.order,
            source=UpdateSource.ANSWER if phase is Phase.ANSWER else UpdateSource.STREAM,
            receive_time_ns=due_ns,
            fill=event.fill,
            fee_asset=desk.bot.instrument.quote,
        )
        self._send(due_ns, phase, partial(self.hear, desk, partial(_apply, desk, update)))

    def _answer(self, desk: Desk, result: PlacementResult, now_ns: int) -> None:
        due_ns = now_ns + self.latency.report_ns
        hear = partial(self.hear, desk, partial(_record, desk, result))
        self._send(due_ns, Phase.ANSWER, hear)

    def _next_candle(self, desk: Desk, candles: Iterator[Candle]) -> None:
        candle = next(candles, None)
        if candle is None:
            return
        closed_ns = candle.open_time_ns + MINUTE_NS

        def deliver(key: Key) -> None:
            spacing = desk.brain.spacing
            desk.brain.hear_candle(candle)
            self._next_candle(desk, candles)
            # Candles move nothing but the spacing, and what a bot has not looked at since it last
            # decided lies in its quiet band, unless a back-off ends just now.
            matters = desk.brain.spacing != spacing or desk.alarm_ns == key[0]
            if matters or not self._watch.passes_over:
                self.hear(desk, _nothing, key)

        self.schedule.send(
            closed_ns + self.latency.market_ns,
            self.timeline.before(closed_ns),
            Phase.PRICE,
            deliver,
        )

    def _send(self, due_ns: int, phase: Phase, deliver: Callable[[Key], None]) -> None:
        self.schedule.send(due_ns, self.happened, phase, deliver)


def _apply(desk: Desk, update: OrderUpdate, key: Key) -> None:
    desk.brain.apply(update, now_ns=key[0])


def _record(desk: Desk, result: PlacementResult, key: Key) -> None:
    desk.brain.record((result,), now_ns=key[0])


def _nothing(_key: Key) -> None:
    return None
