"""Messages take time, keep their order on a wire, and go astray as the faults say."""

import asyncio
import random

import pytest

from simulation.loop import SimulationLoop
from simulation.network import Network
from simulation.plan import Fault, FaultKind, Link


@pytest.fixture
async def network() -> Network:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulationLoop)
    return Network(loop, random.Random(2))


def fault(kind: FaultKind, chance: float = 1.0, value: int = 0) -> Fault:
    return Fault(kind=kind, at_ms=0, link=Link.STREAM, chance=chance, value=value)


async def carried(network: Network, link: Link = Link.STREAM) -> list[int]:
    """What arrives of a hundred messages over one wire within ten seconds."""
    arrived: list[int] = []
    wire = network.wire(link)
    for number in range(100):
        wire.send(arrived.append, number)
    await asyncio.sleep(10)
    return arrived


async def test_a_wire_keeps_order_and_takes_time(network: Network) -> None:
    arrived: list[int] = []
    network.wire(Link.STREAM).send(arrived.append, 1)
    assert network.under_way == 1
    await asyncio.sleep(0)
    assert not arrived
    assert await carried(network) == list(range(100))
    assert not network.under_way


async def test_messages_that_belong_to_no_connection_overtake_each_other(network: Network) -> None:
    arrived: list[int] = []
    for number in range(100):
        network.send(Link.CALLS, arrived.append, number)
    await asyncio.sleep(1)
    assert sorted(arrived) == list(range(100))
    assert arrived != sorted(arrived)


async def test_lost(network: Network) -> None:
    network.begin(fault(FaultKind.LOSE, 0.3))
    some = await carried(network)
    assert 50 < len(some) < 90
    assert len(await carried(network, Link.BUS)) == 100
    network.begin(everything := fault(FaultKind.LOSE))
    assert await carried(network) == []
    network.end(everything)
    assert await carried(network)


async def test_repeated(network: Network) -> None:
    network.begin(fault(FaultKind.REPEAT, 0.5))
    arrived = await carried(network)
    assert 120 < len(arrived) < 180
    assert sorted(set(arrived)) == list(range(100))


async def test_delayed(network: Network) -> None:
    network.begin(fault(FaultKind.DELAY, value=4000))
    delays = [network.delay_s(Link.STREAM) for _ in range(100)]
    assert 3 < max(delays) < 5
    assert sum(delay > 1 for delay in delays) > 50
    assert network.delay_s(Link.BUS) < 1


async def test_what_is_on_a_cut_wire_never_arrives(network: Network) -> None:
    arrived: list[int] = []
    wire = network.wire(Link.STREAM)
    wire.send(arrived.append, 1)
    wire.cut = True
    wire.send(arrived.append, 2)
    await asyncio.sleep(10)
    assert not arrived
