"""The exchange as one of our processes reaches it.

As the connector behaves: a request is sent once and expires, an answer that does not come proves
nothing, bans are kept.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Final, TypeVar

from opensqt.adapters.inbox import LatestInbox
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
)
from simulation.account_stream import AccountStream
from simulation.database import at_once
from simulation.exchange_world import CutError, ExchangeWorld, LimitedError, NotConnectedError
from simulation.loop import Process
from simulation.plan import Link
from simulation.venue import ExchangeSide

T = TypeVar("T")

CLOCK_INTERVAL_S: Final = 15.0
"""How often the clocks are compared."""
AHEAD_MAX_NS: Final = 10**9
"""The exchange refuses a request that is stamped further in its future."""
HOLD_MAX_S: Final = 3.0


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
        connection = AccountStream(self._world, self._process)
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
                raise LimitedError
            if stamp_ns > now_ns + AHEAD_MAX_NS or now_ns > stamp_ns + window_ns:
                return _placed(order, OrderStatus.REJECTED, EndReason.TIMESTAMP)
            if world.conditions.refuses:
                return _placed(order, OrderStatus.REJECTED, EndReason.EXCHANGE_UNAVAILABLE)
            return at_once(world.side.place(order))

        try:
            result = await world.request(self._process, Link.ORDERS, arrived)
        except NotConnectedError:
            return _placed(order, OrderStatus.NOT_PLACED, EndReason.EXCHANGE_UNAVAILABLE)
        except LimitedError:
            self._hold()
            return _placed(order, OrderStatus.REJECTED, EndReason.RATE_LIMIT)
        except (CutError, TimeoutError):
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
                raise LimitedError
            return at_once(world.side.cancel(order))

        try:
            answer = await world.request(self._process, Link.ORDERS, arrived)
        except NotConnectedError:
            return CancelAnswer(outcome=CancelOutcome.REFUSED, text="not connected")
        except LimitedError:
            self._hold()
            return CancelAnswer(outcome=CancelOutcome.REFUSED, text="429")
        except (CutError, TimeoutError):
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
                raise LimitedError
            return read()

        try:
            return await world.request(self._process, Link.LOOK_UPS, arrived)
        except LimitedError:
            self._hold()
            raise DependencyError("429") from None
        except (NotConnectedError, CutError, TimeoutError) as error:
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
