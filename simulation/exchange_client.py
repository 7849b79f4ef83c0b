"""The exchange as one of our processes reaches it: what is between them, and what goes wrong there.

As the connector behaves: a request is sent once and expires, an answer that does not come proves
nothing, bans are kept, streams come back by themselves and say so.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from opensqt.adapters.inbox import LatestInbox, QueueInbox
from opensqt.core.events import Candle, OrderUpdate, Position, PriceChange
from opensqt.core.grid.results import PlacementResult
from opensqt.core.instrument import Instrument
from opensqt.core.orders import EndReason, Execution, Order, OrderStatus
from opensqt.ports import (
    AccountEvent,
    CancelAnswer,
    CancelOutcome,
    DependencyError,
    MarketEvent,
    StreamDown,
    StreamUp,
)
from simulation.loop import Process, SimulationLoop
from simulation.network import Network, Wire
from simulation.observer import Observer
from simulation.plan import FaultKind, Link
from simulation.store import at_once
from simulation.venue import ExchangeSide

T = TypeVar("T")

TIMEOUT_S: Final = 10.0
"""How long the connector waits for an answer."""
ANSWER_S_MAX: Final = 1.0
"""An answer that is on its way comes within this, if nothing is wrong."""
CLOCK_INTERVAL_S: Final = 15.0
"""How often the clocks are compared."""
AHEAD_MAX_NS: Final = 10**9
"""The exchange refuses a request that is stamped further in its future."""
HOLD_MAX_S: Final = 3.0
RECONNECT_S_MAX: Final = 0.4
BROKEN_SHARE: Final = 0.5
"""Of the answers that are lost, so many are broken ones: they come at once, and prove nothing."""
NOTICED_S_MAX: Final = 0.3
"""A broken connection is noticed after up to this."""


@dataclass(slots=True)
class Conditions:
    """How the exchange can be reached right now."""

    down: int = 0
    """Outages in force: nobody reaches it."""
    refuses: int = 0
    """Maintenance in force: nothing may be placed."""
    limited: int = 0
    """Rate limits in force: every request is refused."""
    streams_down: int = 0
    stale_ns: tuple[int, ...] = ()
    """Look-ups show the books as they were up to so long ago."""


class _CutError(Exception):
    """The connection broke before the answer came."""


class _NotConnectedError(Exception):
    """Nothing was sent."""


class _LimitedError(Exception):
    """429."""


class ExchangeWorld:
    """What the connections of all processes share.

    Args:
        loop: Carries everything.
        side: The exchange.
        network: Decides what becomes of messages.
        chance: Where everything else comes from.
        observer: Told of requests.
    """

    def __init__(
        self,
        loop: SimulationLoop,
        side: ExchangeSide,
        network: Network,
        chance: random.Random,
        observer: Observer,
    ) -> None:
        self.loop = loop
        self.side = side
        self.network = network
        self.chance = chance
        self.observer = observer
        self.conditions = Conditions()
        self.streams: list[AccountConnection] = []
        self.markets: list[Callable[[PriceChange], object]] = []
        self.epochs = 0
        self.under_way = 0
        """Requests that change something and are not over."""
        self._waiting: dict[asyncio.Future[Any], tuple[Process, float]] = {}
        """Requests without an answer yet: who sent them, and when."""

    @property
    def awaits_lost_answer(self) -> bool:
        """Somebody still waits for an answer that is not on its way."""
        long_ago_s = self.loop.now_s - ANSWER_S_MAX
        return any(
            process.alive and sent_s < long_ago_s for process, sent_s in self._waiting.values()
        )

    def now_ns(self) -> int:
        """By the exchange's clock."""
        return self.loop.world.now_ns()

    def cut(self) -> None:
        """Break every connection."""
        for answer in tuple(self._waiting):
            if not answer.done():
                delay_s = self.chance.random() * NOTICED_S_MAX
                self.loop.world.later(delay_s, _settle, answer, None, _CutError("cut off"))
        self.drop_streams("the exchange went away")

    def drop_streams(self, reason: str) -> None:
        """Break the account's streams."""
        for stream in tuple(self.streams):
            stream.drop(reason)

    def tell_price(self, price: PriceChange) -> None:
        """Put a price on the market's streams."""
        if not self.conditions.down:
            for market in tuple(self.markets):
                market(price)

    async def request(self, process: Process, link: Link, work: Callable[[], T]) -> T:
        """Send a request; `work` is done when it arrives.

        Raises:
            _NotConnectedError: Nothing was sent.
            _CutError: The connection broke: it may or may not have been carried out.
            TimeoutError: No answer.
        """
        if self.conditions.down:
            await asyncio.sleep(self.chance.random() * NOTICED_S_MAX)
            if self.conditions.down:
                raise _NotConnectedError("the exchange cannot be reached")
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting[answer] = (process, self.loop.now_s)
        self.under_way += 1
        if self.network.happens(FaultKind.LOSE, link):
            self.under_way -= 1
            self._may_be_told(answer)
        else:
            delay_s = self.network.delay_s(link)
            self.loop.world.later(delay_s, self._arrived, link, work, answer)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await answer
        finally:
            self._waiting.pop(answer, None)

    def _may_be_told(self, answer: "asyncio.Future[Any]") -> None:
        """Of the requests that get no answer, some get a broken one, or see it break."""
        if self.chance.random() < BROKEN_SHARE:
            delay_s = self.chance.random() * NOTICED_S_MAX
            self.loop.world.later(delay_s, _settle, answer, None, _CutError("a broken answer"))

    def _arrived(self, link: Link, work: Callable[[], T], answer: "asyncio.Future[T]") -> None:
        self.under_way -= 1
        if self.conditions.down:
            return
        try:
            result: T | None = work()
            problem: Exception | None = None
        except (_LimitedError, DependencyError) as error:
            result, problem = None, error
        if self.network.happens(FaultKind.LOSE_ANSWERS, link):
            self._may_be_told(answer)
            return
        delay_s = self.network.delay_s(link)
        self.loop.world.later(delay_s, _settle, answer, result, problem)


def _settle(answer: "asyncio.Future[T]", result: T, problem: Exception | None) -> None:
    if answer.done():
        return
    if problem is not None:
        answer.set_exception(problem)
    else:
        answer.set_result(result)


class AccountConnection:
    """One connection to the account's event stream."""

    def __init__(self, world: ExchangeWorld, process: Process) -> None:
        self.inbox: QueueInbox[AccountEvent] = QueueInbox()
        self.silent = False
        """Set when it will say nothing more, and not break: its listen key has expired."""
        self._world = world
        self._process = process
        self._wire: Wire | None = None
        self._closed = False
        self.connect()

    def connect(self) -> None:
        """Dial, until it works."""
        world = self._world
        if self._closed or self._wire is not None or not self._process.alive:
            return
        if world.conditions.down or world.conditions.streams_down:
            delay_s = RECONNECT_S_MAX * (0.5 + world.chance.random())
            world.loop.world.later(delay_s, self.connect)
            return
        self._wire = world.network.wire(Link.STREAM)
        self.silent = False
        world.loop.world.later(world.network.delay_s(Link.STREAM), self._up, self._wire)

    def drop(self, reason: str) -> None:
        """The connection breaks; it is dialled again."""
        if self._wire is None:
            return
        self._wire.cut = True
        self._wire = None
        world = self._world
        self._unlisten()
        delay_s = world.chance.random() * NOTICED_S_MAX
        world.loop.world.later(delay_s, self._down, reason)
        world.loop.world.later(delay_s + world.chance.random() * RECONNECT_S_MAX, self.connect)

    def close(self) -> None:
        """Nobody listens any more."""
        self._closed = True
        self._wire = None
        self._unlisten()

    def _up(self, wire: Wire) -> None:
        if wire is not self._wire or not self._process.alive:
            return
        world = self._world
        world.epochs += 1
        self.inbox.put(StreamUp(epoch=world.epochs))
        world.side.listeners.append(self._hear)

    def _down(self, reason: str) -> None:
        if self._process.alive and not self._closed:
            self.inbox.put(StreamDown(reason=reason))

    def _hear(self, event: AccountEvent) -> None:
        if self._wire is not None and not self.silent:
            self._wire.send(self._arrived, event)

    def _arrived(self, event: AccountEvent) -> None:
        if self._process.alive:
            if not isinstance(event, StreamUp | StreamDown):
                event = replace(event, receive_time_ns=self._process.now_ns())
            self.inbox.put(event)

    def _unlisten(self) -> None:
        if self._hear in self._world.side.listeners:
            self._world.side.listeners.remove(self._hear)


class ExchangeClient:
    """Implements `ports.Exchange` for one process.

    Args:
        world: The exchange and the way there.
        process: Whose connections these are.
    """

    def __init__(self, world: ExchangeWorld, process: Process) -> None:
        self._world = world
        self._process = process
        self._offset_ns = 0
        self._compared_s = float("-inf")
        self.held_until_ns = 0

    # --- MarketFeed ------------------------------------------------------------------------------

    async def instruments(self) -> tuple[Instrument, ...]:
        """What trades."""
        return await self._ask(lambda: at_once(self._world.side.instruments()))

    async def candles(self, symbol: str, *, limit: int) -> tuple[Candle, ...]:
        """None: nothing here needs them."""
        return await self._ask(lambda: at_once(self._world.side.candles(symbol, limit=limit)))

    async def market_events(self, symbol: str) -> AsyncIterator[MarketEvent]:
        """Prices as they come."""
        self._process.check()
        inbox: LatestInbox[PriceChange] = LatestInbox()
        world, process = self._world, self._process

        def arrived(price: PriceChange) -> None:
            if process.alive:
                inbox.put(symbol, replace(price, receive_time_ns=process.now_ns()))

        def tell(price: PriceChange) -> None:
            world.loop.world.later(world.network.delay_s(Link.STREAM), arrived, price)

        def forget() -> None:
            if tell in world.markets:
                world.markets.remove(tell)

        world.markets.append(tell)
        process.on_death(forget)
        try:
            async for event in inbox:
                yield event
        finally:
            forget()

    # --- AccountFeed -----------------------------------------------------------------------------

    async def account_events(self) -> AsyncIterator[AccountEvent]:
        """The account's events."""
        self._process.check()
        connection = AccountConnection(self._world, self._process)
        streams = self._world.streams
        streams.append(connection)

        def forget() -> None:
            connection.close()
            if connection in streams:
                streams.remove(connection)

        self._process.on_death(forget)
        try:
            async for event in connection.inbox:
                yield event
        finally:
            forget()

    async def find_order(self, symbol: str, client_oid: str) -> OrderUpdate | None:
        """Where an order stands."""
        del symbol
        found = await self._look(lambda side, time_ns: side.order_at(client_oid, time_ns))
        return found and self._seen(found)

    async def find_order_by_exchange_id(
        self, symbol: str, exchange_order_id: str
    ) -> OrderUpdate | None:
        """Where an order stands, by the exchange's id."""
        del symbol
        order_id = int(exchange_order_id)
        found = await self._look(lambda side, time_ns: side.order_of_id_at(order_id, time_ns))
        return found and self._seen(found)

    async def open_orders(self, symbol: str) -> tuple[OrderUpdate, ...]:
        """Every open order."""
        del symbol
        return tuple(map(self._seen, await self._look(lambda side, time_ns: side.open_at(time_ns))))

    async def orders_since(self, symbol: str, since_ns: int) -> tuple[OrderUpdate, ...]:
        """Every order from then on."""
        del symbol
        found = await self._look(lambda side, time_ns: side.since_at(since_ns, time_ns))
        return tuple(map(self._seen, found))

    async def executions_since(self, symbol: str, since_ns: int) -> tuple[Execution, ...]:
        """Every execution from then on."""
        del symbol
        return await self._look(lambda side, time_ns: side.executions_at(since_ns, time_ns))

    async def position(self, symbol: str) -> Position:
        """The account's position."""
        del symbol
        return await self._look(lambda side, time_ns: side.position_at(time_ns))

    # --- OrderGateway ----------------------------------------------------------------------------

    async def place(self, order: Order) -> PlacementResult:
        """Send an order under its client order id, expiring at its deadline."""
        self._process.check()
        world = self._world
        if self._process.now_ns() < self.held_until_ns:
            return _placed(order, OrderStatus.NOT_PLACED, EndReason.RATE_LIMIT)
        stamp_ns = self._process.now_ns() + self._offset()
        window_ns = order.deadline_ns - self._process.now_ns()
        if window_ns < 10**6:
            return _placed(order, OrderStatus.NOT_PLACED, EndReason.TIMESTAMP)
        world.observer.sent(order, time_ns=world.loop.now_ns)

        def arrived() -> PlacementResult:
            now_ns = world.now_ns()
            if world.conditions.limited:
                raise _LimitedError
            if stamp_ns > now_ns + AHEAD_MAX_NS or now_ns > stamp_ns + window_ns:
                return _placed(order, OrderStatus.REJECTED, EndReason.TIMESTAMP)
            if world.conditions.refuses:
                return _placed(order, OrderStatus.REJECTED, EndReason.EXCHANGE_UNAVAILABLE)
            return at_once(world.side.place(order))

        try:
            result = await world.request(self._process, Link.ORDERS, arrived)
        except _NotConnectedError:
            return _placed(order, OrderStatus.NOT_PLACED, EndReason.EXCHANGE_UNAVAILABLE)
        except _LimitedError:
            self._hold()
            return _placed(order, OrderStatus.REJECTED, EndReason.RATE_LIMIT)
        except (_CutError, TimeoutError):
            return _placed(order, OrderStatus.UNKNOWN, EndReason.NONE)
        if result.end_reason is EndReason.TIMESTAMP:
            self._compared_s = float("-inf")
        return result

    async def cancel(self, order: Order) -> CancelAnswer:
        """Cancel an order."""
        self._process.check()
        if self._process.now_ns() < self.held_until_ns:
            return CancelAnswer(outcome=CancelOutcome.REFUSED, text="banned for a while")
        world = self._world

        def arrived() -> CancelAnswer:
            if world.conditions.limited:
                raise _LimitedError
            return at_once(world.side.cancel(order))

        try:
            answer = await world.request(self._process, Link.ORDERS, arrived)
        except _NotConnectedError:
            return CancelAnswer(outcome=CancelOutcome.REFUSED, text="not connected")
        except _LimitedError:
            self._hold()
            return CancelAnswer(outcome=CancelOutcome.REFUSED, text="429")
        except (_CutError, TimeoutError):
            return CancelAnswer(outcome=CancelOutcome.UNKNOWN, text="no answer")
        return replace(answer, update=answer.update and self._seen(answer.update))

    async def close(self) -> None:
        """Nothing is open."""

    # --- inside ----------------------------------------------------------------------------------

    def _seen(self, update: OrderUpdate) -> OrderUpdate:
        """What the exchange said, at our time."""
        return replace(update, receive_time_ns=self._process.now_ns())

    async def _look(self, read: Callable[[ExchangeSide, int], T]) -> T:
        world = self._world

        def arrived() -> T:
            time_ns = world.now_ns()
            if stale := world.conditions.stale_ns:
                time_ns -= round(world.chance.random() * max(stale))
            return read(world.side, time_ns)

        return await self._ask(arrived)

    async def _ask(self, read: Callable[[], T]) -> T:
        self._process.check()
        world = self._world
        if self._process.now_ns() < self.held_until_ns:
            raise DependencyError("the exchange has banned us for a while")

        def arrived() -> T:
            if world.conditions.limited:
                raise _LimitedError
            return read()

        try:
            return await world.request(self._process, Link.LOOK_UPS, arrived)
        except _LimitedError:
            self._hold()
            raise DependencyError("429") from None
        except (_NotConnectedError, _CutError, TimeoutError) as error:
            raise DependencyError(f"the exchange does not answer ({error!r})") from None

    def _hold(self) -> None:
        hold_s = HOLD_MAX_S * self._world.chance.random()
        self.held_until_ns = self._process.now_ns() + round(hold_s * 1e9)

    def _offset(self) -> int:
        """The exchange's clock minus ours, as it was measured last; off by some milliseconds."""
        world = self._world
        if world.loop.now_s - self._compared_s > CLOCK_INTERVAL_S:
            self._compared_s = world.loop.now_s
            error_ns = round((world.chance.random() - 0.5) * 10e6)
            self._offset_ns = world.now_ns() - self._process.now_ns() + error_ns
        return self._offset_ns


def _placed(order: Order, status: OrderStatus, reason: EndReason) -> PlacementResult:
    return PlacementResult(client_oid=order.client_oid, status=status, end_reason=reason)
