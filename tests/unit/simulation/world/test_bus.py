"""The bus when it dies, when its volume is lost, and when its clients die."""

import asyncio
import random

import pytest

from opensqt.ports import GATE, ORDER_UPDATES, PRICES, DependencyError
from opensqt.testing.contracts.event_bus import beat, is_quiet, order_update, price, take
from simulation.broker import Broker
from simulation.bus import Bus
from simulation.network import Network
from simulation.plan import Fault, FaultKind, Link
from tests.unit.simulation.world.alone import alone, process, the_loop


def broker(network: Network | None = None) -> Broker:
    network = network or Network(the_loop(), random.Random(2))
    return Broker(the_loop(), network, random.Random(3))


@alone
async def test_while_it_is_down_nothing_is_stored_and_afterwards_all_goes_on() -> None:
    server = broker()
    bus = Bus(server, process())
    async with (
        bus.subscribe(ORDER_UPDATES, durable="state") as updates,
        bus.subscribe(PRICES) as prices,
    ):
        await bus.publish(ORDER_UPDATES, "main", order_update("g0"), message_id="0")
        (first,) = await take(updates, 1)
        server.stop()
        with pytest.raises(DependencyError):
            await bus.publish(ORDER_UPDATES, "main", order_update("g1"), message_id="1")
        await bus.publish(PRICES, "BTCUSDT", price("BTCUSDT", "1"))
        await first.ack()
        server.start()
        await asyncio.sleep(1)
        (again,) = await take(updates, 1)
        assert again.event == order_update("g0"), "the ack was lost with the connection"
        await bus.publish(ORDER_UPDATES, "main", order_update("g1"), message_id="1")
        assert (await take(updates, 1))[0].event == order_update("g1")
        assert await is_quiet(prices), "what is not stored is lost"


@alone
async def test_subscribing_waits_for_it_to_come_back() -> None:
    server = broker()
    bus = Bus(server, process())
    server.stop()
    the_loop().world.later(5, server.start)
    async with bus.subscribe(ORDER_UPDATES, durable="state"):
        assert the_loop().now_s > 5


@alone
async def test_wiped_it_begins_anew() -> None:
    server = broker()
    bus = Bus(server, process())
    await bus.publish(ORDER_UPDATES, "main", order_update("g0"), message_id="0")
    await bus.publish(GATE, "main", beat(1))
    await asyncio.sleep(0.1)
    server.stop()
    server.wipe()
    server.start()
    await asyncio.sleep(1)
    await bus.publish(ORDER_UPDATES, "main", order_update("g1"), message_id="0")
    async with (
        bus.subscribe(ORDER_UPDATES, durable="state") as updates,
        bus.subscribe(GATE) as beats,
    ):
        (received,) = await take(updates, 1)
        assert received.event == order_update("g1"), "the message id was forgotten too"
        assert await is_quiet(beats)


@alone
async def test_the_subscriptions_of_the_dead_are_gone() -> None:
    server, dying = broker(), process()
    bus = Bus(server, dying)

    async def consume() -> None:
        async with bus.subscribe(ORDER_UPDATES, durable="state") as updates:
            async for _ in updates:
                pass

    dying.spawn(consume())
    await asyncio.sleep(0.1)
    other = Bus(server, process("other"))
    await other.publish(ORDER_UPDATES, "main", order_update("g0"), message_id="0")
    await asyncio.sleep(0.1)
    dying.kill()
    async with other.subscribe(ORDER_UPDATES, durable="state") as updates:
        async with asyncio.timeout(10):  # what the dead had is theirs until the ack is overdue
            received = await anext(updates)
        await received.ack()
        await asyncio.sleep(0.1)
        assert not server.unacknowledged(ORDER_UPDATES)


@alone
async def test_a_lost_answer_leaves_the_event_stored() -> None:
    network = Network(the_loop(), random.Random(2))
    bus = Bus(broker(network), process())
    network.begin(lost := Fault(kind=FaultKind.LOSE_ANSWERS, at_ms=0, link=Link.BUS))
    with pytest.raises(DependencyError):
        await bus.publish(ORDER_UPDATES, "main", order_update("g0"), message_id="0")
    network.end(lost)
    await bus.publish(ORDER_UPDATES, "main", order_update("g0"), message_id="0")
    async with bus.subscribe(ORDER_UPDATES, durable="state") as updates:
        (received,) = await take(updates, 1)
        await received.ack()
        assert await is_quiet(updates)
