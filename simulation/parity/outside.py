"""Everything beyond the services: a recorded market, the exchange, and what is on its way.

Messages are kept by the backtest's own `Schedule`, so that what is due at the same time comes in
the same order there and here. Everything else here is the simulation's: the exchange answers the
services' own requests, and tells what it tells over its streams.
"""

import asyncio
import random
from bisect import bisect_left
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any, Final, TypeVar

from opensqt.backtest.case import Latency
from opensqt.backtest.exact.minutes import MINUTE_NS, closed_minutes
from opensqt.backtest.exact.schedule import NEVER, Key, Phase, Schedule
from opensqt.backtest.tape import Tape
from opensqt.core.events import Candle, OrderUpdate, PriceChange
from opensqt.core.orders import OrderStatus
from opensqt.ports import DependencyError, MarketEvent
from simulation.answers import settle
from simulation.exchange_world import ExchangeWorld
from simulation.loop import Process, SimulationLoop, Step
from simulation.network import Network, Wire
from simulation.observer import Observer
from simulation.parity.recorded import RecordedSide, first_price, happenings
from simulation.plan import Link

T = TypeVar("T")

PULSE_S: Final = 1.0
"""A price is told again so often: in a backtest prices count as fresh."""


class Outside:
    """What happens outside, in its order.

    Args:
        loop: Runs everything.
        tape: The recorded market.
        latency: How long things take on their way.
    """

    def __init__(self, loop: SimulationLoop, tape: Tape, latency: Latency) -> None:
        self.loop = loop
        self.latency = latency
        self.asked = False
        """The exchange is carrying out a request."""
        self.over = asyncio.Event()
        """The tape has ended, and what was due by then has come."""
        self._schedule = Schedule()
        everything = happenings(tape)
        assert everything, "a tape on which nothing happens"
        self._times_ns = [time_ns for time_ns, _ in everything]
        self._happenings = iter(everything)
        self._next = next(self._happenings, None)
        self.first_ns = self._times_ns[0]
        """When the tape begins."""
        self.first_price = first_price(tape)
        self._end_ns = 0
        self._happened = 0
        self._moved_ns: int | None = None
        self._told: PriceChange | None = None
        """The price as it was put on its way last."""
        self._heard: PriceChange | None = None
        """The price as it came last."""
        self._candles = tuple(closed_minutes(tape, until_ns=self._times_ns[-1]))
        self.world: OutsideWorld | None = None

    def begin(self, later_ns: int) -> None:
        """Let the tape begin.

        Args:
            later_ns: How much later than on the tape everything happens, by the loop's time.
        """
        self._moved_ns = later_ns
        for candle in self._candles:
            closed_ns = candle.open_time_ns + MINUTE_NS
            self._schedule.send(
                closed_ns + later_ns + self.latency.market_ns,
                bisect_left(self._times_ns, closed_ns),
                Phase.PRICE,
                partial(self._tell_candle, candle),
            )
        self._pulse()

    # --- what the loop asks ----------------------------------------------------------------------

    def due_ns(self) -> int | None:
        """When the next thing happens outside."""
        if self.over.is_set():
            return None
        if self._ended():
            return self._end_ns
        due_ns = min(self._schedule.next_key()[0], self._event_ns())
        return None if due_ns == NEVER else due_ns

    def act(self) -> None:
        """Let it happen: what is due when something happens in the market comes before that."""
        if self._ended():
            self.over.set()
        elif self._schedule.next_key()[0] <= self._event_ns():
            self._schedule.deliver()
        else:
            self._happen()

    def set_alarm(self, due_ns: int, step: Step) -> None:
        """Let a process take a step at a time: after what else is due then, as in a backtest."""

        def ring(_key: Key) -> None:
            if step.callback is not None:
                step.process.put(step)

        self._schedule.send(due_ns, self._happened, Phase.WAKE, ring)

    # --- messages --------------------------------------------------------------------------------

    def send(self, phase: Phase, delay_ns: int, deliver: Callable[..., object], *args: Any) -> None:
        """Put a message on its way."""
        due_ns = self.loop.now_ns + delay_ns

        def come(_key: Key) -> None:
            deliver(*args)

        self._schedule.send(due_ns, self._happened, phase, come)

    def wire(self) -> Wire:
        """A connection of the account's event stream."""
        assert self.world is not None
        return _StreamWire(self.world.network, self)

    # --- the market ------------------------------------------------------------------------------

    def _event_ns(self) -> int:
        if self._moved_ns is None or self._next is None:
            return NEVER
        return self._next[0] + self._moved_ns

    def _ended(self) -> bool:
        return self._next is None and self._schedule.next_key()[0] > self._end_ns

    def _happen(self) -> None:
        assert self.world is not None
        assert self._next is not None
        _, happening = self._next
        self._next = next(self._happenings, None)
        self._end_ns = self.loop.now_ns
        self._happened += 1
        self.world.recorded.happen(happening)
        self._tell_price()

    def _tell_price(self) -> None:
        """Put the price on its way when it has changed."""
        assert self.world is not None
        market = self.world.side.exchange.markets[self.world.side.symbol]
        if market.quote is None:
            return
        now_ns = self.world.now_ns()
        price = PriceChange(
            symbol=self.world.side.symbol,
            last=None if market.last is None else market.last.price,
            bid=market.quote.bid,
            ask=market.quote.ask,
            exchange_time_ns=now_ns,
            receive_time_ns=now_ns,
            sequence=self._happened,
        )
        if self._told is None or _prices(price) != _prices(self._told):
            self._told = price
            self.send(Phase.PRICE, self.latency.market_ns, self._come, price)

    def _come(self, price: PriceChange) -> None:
        assert self.world is not None
        self._heard = price
        self.world.tell(price)

    def _pulse(self) -> None:
        if self._heard is not None:
            self._come(self._heard)
        self.loop.world.later(PULSE_S, self._pulse)

    def _tell_candle(self, candle: Candle, _key: Key) -> None:
        assert self.world is not None
        self.world.tell(candle)


def _prices(price: PriceChange) -> tuple[Decimal | None, ...]:
    return price.last, price.bid, price.ask


class OutsideWorld(ExchangeWorld):
    """The way to the exchange: requests and answers take exactly their time.

    Look-ups take none: nothing that is decided waits for one.
    """

    def __init__(
        self,
        outside: Outside,
        side: RecordedSide,
        network: Network,
        chance: random.Random,
        observer: Observer,
    ) -> None:
        super().__init__(outside.loop, side, network, chance, observer)
        self.recorded = side
        self.listeners: list[Callable[[MarketEvent], object]] = []
        """Who follows the market."""
        self._outside = outside
        outside.world = self

    def tell(self, event: MarketEvent) -> None:
        """Let who follows the market hear of it."""
        for listener in tuple(self.listeners):
            listener(event)

    async def request(self, process: Process, link: Link, work: Callable[[], T]) -> T:
        """Send a request; `work` is done when it arrives."""
        del process
        if link is Link.LOOK_UPS:
            return work()
        outside = self._outside
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def arrived() -> None:
            result: T | None = None
            problem: Exception | None = None
            outside.asked = True
            try:
                result = work()
            except DependencyError as error:
                problem = error
            finally:
                outside.asked = False
            report_ns = outside.latency.report_ns
            outside.send(Phase.ANSWER, report_ns, settle, answer, result, problem)

        outside.send(Phase.REQUEST, outside.latency.order_ns, arrived)
        return await answer


class _StreamWire(Wire):
    """The account's event stream: what is told unasked comes before what is an answer."""

    def __init__(self, network: Network, outside: Outside) -> None:
        super().__init__(network, Link.STREAM)
        self._outside = outside

    def send(self, arrive: Callable[..., object], *args: Any) -> None:
        outside = self._outside
        answers = outside.asked and any(map(_is_answer, args))
        phase = Phase.ANSWER if answers else Phase.FILL
        outside.send(phase, outside.latency.report_ns, self._arrived, arrive, args)


def _is_answer(told: object) -> bool:
    """The stream tells what the answer to a request will tell, too."""
    return (
        isinstance(told, OrderUpdate)
        and told.execution is None
        and told.status in (OrderStatus.NEW, OrderStatus.CANCELED)
    )
