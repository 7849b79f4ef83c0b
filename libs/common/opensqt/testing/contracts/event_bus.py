"""What every event bus must do; a test module inherits the class and gives it a bus."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from opensqt.core.actions import ActionBatch, Cancel
from opensqt.core.events import Candle, Gate, GateBeat, OrderUpdate, PriceChange, UpdateSource
from opensqt.core.orders import EndReason, OrderStatus, Side
from opensqt.ports import ACTIONS, CANDLES, GATE, ORDER_UPDATES, PRICES, EventBus, Received, Topic
from opensqt.runtime.tracing import current_trace_id

ARRIVAL_TIMEOUT_S = 5.0
QUIET_S = 0.2


def price(symbol: str, last: str, sequence: int = 1) -> PriceChange:
    """A price of the contract's own market."""
    return PriceChange(
        symbol=symbol,
        last=Decimal(last),
        bid=None,
        ask=Decimal(last) + 1,
        exchange_time_ns=1_723_075_200_000_000_000,
        receive_time_ns=1_723_075_200_000_000_001,
        sequence=sequence,
    )


def order_update(client_oid: str) -> OrderUpdate:
    """An order that became new."""
    return OrderUpdate(
        account="main",
        symbol="BTCUSDT",
        client_oid=client_oid,
        exchange_order_id="77",
        side=Side.BUY,
        status=OrderStatus.NEW,
        end_reason=EndReason.NONE,
        price=Decimal("61800.10"),
        quantity=Decimal("0.001"),
        filled_quantity=Decimal(0),
        average_price=None,
        execution=None,
        source=UpdateSource.STREAM,
        exchange_time_ns=1_723_075_200_000_000_000,
        receive_time_ns=1_723_075_200_000_000_001,
    )


def batch(number: int) -> ActionBatch:
    """A decision to cancel something."""
    return ActionBatch(
        bot_id="btc",
        epoch=7,
        state_revision=number,
        actions=(Cancel(slot_price=Decimal(60000 + number), client_oid=f"g{number}"),),
        price_time_ns=10**18,
    )


def beat(revision: int) -> GateBeat:
    """A beat of the gate."""
    gate = Gate(revision=revision, open=True, reason="", changed_by="risk", changed_time_ns=10**18)
    return GateBeat(gate=gate, beat_time_ns=10**18 + revision)


async def take(events: AsyncIterator[Received[object]], count: int) -> list[Received[object]]:
    """The next `count` events.

    Raises:
        TimeoutError: They do not come.
    """
    async with asyncio.timeout(ARRIVAL_TIMEOUT_S):
        return [await anext(events) for _ in range(count)]


async def is_quiet(events: AsyncIterator[Received[object]]) -> bool:
    """Whether no event comes for a while; the iterator must not be used afterwards."""
    try:
        async with asyncio.timeout(QUIET_S):
            await anext(events)
    except TimeoutError:
        return True
    return False


class EventBusContract(ABC):
    """Inherit it, and give the fixture `bus`."""

    @abstractmethod
    async def settle(self) -> None:
        """Wait until what was published has reached the inboxes."""

    async def test_a_slow_consumer_sees_the_newest_price_of_each_key(self, bus: EventBus) -> None:
        """LATEST conflates by key."""
        async with bus.subscribe(PRICES) as events:
            for number in range(50):
                await bus.publish(PRICES, "BTCUSDT", price("BTCUSDT", f"{60000 + number}.5"))
                await bus.publish(PRICES, "ETHUSDT", price("ETHUSDT", f"{2000 + number}.5"))
            await self.settle()
            first, second = [received.event for received in await take(events, 2)]
            assert {first, second} == {price("BTCUSDT", "60049.5"), price("ETHUSDT", "2049.5")}
            assert await is_quiet(events)

    async def test_a_subscription_to_one_key_gets_no_other(self, bus: EventBus) -> None:
        """Keys are told apart."""
        async with bus.subscribe(PRICES, "ETHUSDT") as events:
            await bus.publish(PRICES, "BTCUSDT", price("BTCUSDT", "60000"))
            await bus.publish(PRICES, "ETHUSDT", price("ETHUSDT", "2000"))
            assert [r.event for r in await take(events, 1)] == [price("ETHUSDT", "2000")]
            assert await is_quiet(events)

    async def test_a_late_consumer_gets_no_old_price(self, bus: EventBus) -> None:
        """LATEST is not stored."""
        await bus.publish(PRICES, "BTCUSDT", price("BTCUSDT", "60000"))
        await self.settle()
        async with bus.subscribe(PRICES) as events:
            assert await is_quiet(events)

    async def test_a_late_consumer_gets_the_last_value_and_then_live_ones(
        self, bus: EventBus
    ) -> None:
        """LAST_VALUE is stored, one for each key."""
        await bus.publish(GATE, "main", beat(1))
        await bus.publish(GATE, "main", beat(2))
        await bus.publish(GATE, "other", beat(7))
        await self.settle()
        async with bus.subscribe(GATE) as events:
            assert {r.event for r in await take(events, 2)} == {beat(2), beat(7)}
            await bus.publish(GATE, "main", beat(3))
            assert [r.event for r in await take(events, 1)] == [beat(3)]
            assert await is_quiet(events)

    async def test_last_values_of_one_key(self, bus: EventBus) -> None:
        """A key's last value comes alone."""
        candle = Candle(
            symbol="BTCUSDT",
            open_time_ns=1_723_075_200_000_000_000,
            interval_s=60,
            open=Decimal("1.1"),
            high=Decimal("1.3"),
            low=Decimal("1.0"),
            close=Decimal("1.2"),
            volume=Decimal("0.000"),
            closed=True,
        )
        await bus.publish(CANDLES, "BTCUSDT", candle)
        await bus.publish(CANDLES, "ETHUSDT", replace(candle, symbol="ETHUSDT"))
        await self.settle()
        async with bus.subscribe(CANDLES, "BTCUSDT") as events:
            assert [r.event for r in await take(events, 1)] == [candle]
            assert await is_quiet(events)

    async def test_decisions_come_in_order_and_all(self, bus: EventBus) -> None:
        """AT_MOST_ONCE keeps order."""
        batches = [batch(number) for number in range(200)]
        async with bus.subscribe(ACTIONS, "main") as events:
            for decision in batches:
                await bus.publish(ACTIONS, "main", decision)
            assert [r.event for r in await take(events, 200)] == batches

    async def test_a_durable_consumer_gets_what_came_before_it(self, bus: EventBus) -> None:
        """DURABLE is stored, and begins at the beginning."""
        for number in range(3):
            await bus.publish(
                ORDER_UPDATES, "main", order_update(f"g{number}"), message_id=f"{number}"
            )
        async with bus.subscribe(ORDER_UPDATES, durable="state") as events:
            received = await take(events, 3)
            assert [r.event for r in received] == [order_update(f"g{n}") for n in range(3)]

    async def test_what_is_acknowledged_never_comes_again(self, bus: EventBus) -> None:
        """A named consumer's position outlives its subscription."""
        for number in range(3):
            await bus.publish(
                ORDER_UPDATES, "main", order_update(f"g{number}"), message_id=f"{number}"
            )
        async with bus.subscribe(ORDER_UPDATES, durable="state") as events:
            for received in await take(events, 2):
                await received.ack()
        await self.settle()
        async with bus.subscribe(ORDER_UPDATES, durable="state") as events:
            (last,) = await take(events, 1)
            assert last.event == order_update("g2")
            await last.ack()
            assert await is_quiet(events)

    @pytest.mark.invariant(22)
    async def test_what_is_not_acknowledged_comes_again(self, bus: EventBus) -> None:
        """To the same subscription, after a while."""
        await bus.publish(ORDER_UPDATES, "main", order_update("g0"), message_id="0")
        async with bus.subscribe(ORDER_UPDATES, durable="state") as events:
            (first,) = await take(events, 1)
            async with asyncio.timeout(20):
                again = await anext(events)
            assert again.event == first.event

    @pytest.mark.invariant(29)
    async def test_a_repeated_message_id_is_stored_once(self, bus: EventBus) -> None:
        """Publishing again after a doubtful outcome is safe."""
        for _ in range(3):
            await bus.publish(ORDER_UPDATES, "main", order_update("g0"), message_id="same")
        await bus.publish(ORDER_UPDATES, "main", order_update("g1"), message_id="other")
        async with bus.subscribe(ORDER_UPDATES, durable="state") as events:
            received = await take(events, 2)
            assert [r.event for r in received] == [order_update("g0"), order_update("g1")]

    async def test_two_named_consumers_get_everything_each(self, bus: EventBus) -> None:
        """Positions are independent."""
        async with (
            bus.subscribe(ORDER_UPDATES, durable="state") as state,
            bus.subscribe(ORDER_UPDATES, durable="strategy") as strategy,
        ):
            await bus.publish(ORDER_UPDATES, "main", order_update("g0"), message_id="0")
            for events in (state, strategy):
                (received,) = await take(events, 1)
                assert received.event == order_update("g0")
                await received.ack()

    async def test_subscribers_of_one_name_share_the_events(self, bus: EventBus) -> None:
        """Replicas of a service do not all get everything."""
        async with (
            bus.subscribe(ORDER_UPDATES, durable="state") as one,
            bus.subscribe(ORDER_UPDATES, durable="state") as two,
        ):
            await bus.publish(ORDER_UPDATES, "main", order_update("g0"), message_id="0")
            tasks = {asyncio.ensure_future(anext(one)), asyncio.ensure_future(anext(two))}
            done, waiting = await asyncio.wait(
                tasks, timeout=ARRIVAL_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                await task.result().ack()
            assert len(done) == 1
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def test_a_consumer_without_name_begins_now(self, bus: EventBus) -> None:
        """Its position is forgotten."""
        await bus.publish(ORDER_UPDATES, "main", order_update("g0"), message_id="0")
        async with bus.subscribe(ORDER_UPDATES) as events:
            await bus.publish(ORDER_UPDATES, "main", order_update("g1"), message_id="1")
            (received,) = await take(events, 1)
            assert received.event == order_update("g1")

    async def test_leaving_ends_the_iteration(self, bus: EventBus) -> None:
        """A task that waits for an event is let go."""
        waiting: list[asyncio.Task[list[object]]] = []

        async def consume(events: AsyncIterator[Received[object]]) -> list[object]:
            return [received.event async for received in events]

        topics: tuple[Topic[Any], ...] = (PRICES, GATE, ACTIONS, ORDER_UPDATES)
        for topic in topics:
            async with bus.subscribe(topic) as events:
                waiting.append(asyncio.create_task(consume(events)))
                await asyncio.sleep(0)
        async with asyncio.timeout(ARRIVAL_TIMEOUT_S):
            assert await asyncio.gather(*waiting) == [[], [], [], []]

    async def test_the_trace_travels_with_the_event(self, bus: EventBus) -> None:
        """So that a price can be followed to its order."""
        tracer = TracerProvider(shutdown_on_exit=False).get_tracer("contract")
        async with (
            bus.subscribe(PRICES) as prices,
            bus.subscribe(ORDER_UPDATES, durable="state") as orders,
        ):
            with tracer.start_as_current_span("tick"):
                trace_id = current_trace_id()
                await bus.publish(PRICES, "BTCUSDT", price("BTCUSDT", "1"))
                await bus.publish(ORDER_UPDATES, "main", order_update("g0"), message_id="0")
            for events in (prices, orders):
                (received,) = await take(events, 1)
                assert trace_id is not None
                assert trace_id in received.trace["traceparent"]
