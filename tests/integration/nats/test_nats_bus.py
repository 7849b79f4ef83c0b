"""The bus on a real NATS server keeps the contract, and what only a real server can break."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from opensqt.adapters.nats import NatsEventBus, durable, open_nats_bus
from opensqt.adapters.nats import bus as bus_module
from opensqt.embedded.free_ports import free_ports
from opensqt.embedded.nats_server import USER, NatsServer
from opensqt.ports import ACTIONS, ORDER_UPDATES, PRICES
from opensqt.runtime.config_models import NatsConfig
from opensqt.runtime.metrics import Metrics
from opensqt.testing.contracts.event_bus import (
    EventBusContract,
    batch,
    order_update,
    price,
    take,
)
from opensqt.testing.servers import NatsEndpoint, running

pytestmark = pytest.mark.integration


class TestNatsEventBus(EventBusContract):
    @pytest.fixture
    async def bus(
        self, nats_server: NatsEndpoint, nats_prefix: str, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[NatsEventBus]:
        monkeypatch.setattr(durable, "ACK_WAIT_S", 1)
        config = NatsConfig(url=nats_server.url, prefix=nats_prefix)
        async with open_nats_bus(config, name="test", metrics=Metrics()) as bus:
            yield bus

    async def settle(self) -> None:
        await asyncio.sleep(0.1)


def count(metrics: Metrics, name: str, topic: str) -> float:
    value = metrics.registry.get_sample_value(f"opensqt_bus_{name}_total", {"topic": topic})
    return value or 0.0


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def bus(
    nats_server: NatsEndpoint, nats_prefix: str, metrics: Metrics
) -> AsyncIterator[NatsEventBus]:
    config = NatsConfig(url=nats_server.url, prefix=nats_prefix)
    async with open_nats_bus(config, name="test", metrics=metrics) as bus:
        yield bus


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xff\xff", b"\x0a\x03BTC"], ids=["empty", "garbage", "half"]
)
async def test_what_cannot_be_decoded_blocks_nothing(
    bus: NatsEventBus, nats_prefix: str, metrics: Metrics, data: bytes
) -> None:
    async with (
        bus.subscribe(ORDER_UPDATES, durable="state") as orders,
        bus.subscribe(PRICES) as prices,
    ):
        await bus._js.publish(f"{nats_prefix}.v1.order.main", data)
        await bus.publish(ORDER_UPDATES, "main", order_update("g1"), message_id="1")
        (received,) = await take(orders, 1)
        assert received.event == order_update("g1")
        await received.ack()
        await bus._client.publish(f"{nats_prefix}.v1.price.XRPUSDT", data)
        await bus.publish(PRICES, "BTCUSDT", price("BTCUSDT", "1"))
        assert (await take(prices, 1))[0].event == price("BTCUSDT", "1")
    assert count(metrics, "undecodable", "order") == 1
    assert count(metrics, "undecodable", "price") == 1
    # And it does not come again.
    await asyncio.sleep(0.1)
    info = await bus._js.consumer_info(f"{nats_prefix}_v1_order", "state")
    assert info.num_ack_pending == 0
    assert info.num_pending == 0


async def test_decisions_beyond_the_bound_are_dropped_and_counted(
    bus: NatsEventBus, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus_module, "QUEUE_MAX", 10)
    async with bus.subscribe(ACTIONS) as events:
        for number in range(15):
            await bus.publish(ACTIONS, "main", batch(number))
        await asyncio.sleep(0.1)
        assert [r.event for r in await take(events, 10)] == [batch(n) for n in range(10)]
    assert count(metrics, "dropped", "actions") == 5


async def test_more_than_one_pull_is_delivered_in_order(bus: NatsEventBus) -> None:
    number = 3 * durable.PULL_SIZE
    for n in range(number):
        await bus.publish(ORDER_UPDATES, "main", order_update(f"g{n}"), message_id=f"{n}")
    async with bus.subscribe(ORDER_UPDATES, durable="state") as events:
        for n in range(number):
            (received,) = await take(events, 1)
            assert received.event == order_update(f"g{n}")
            await received.ack()


@pytest.mark.parametrize("key", ["", "a.b", "a b", ">", "*", "a" * 65])
async def test_a_key_that_is_no_token_is_refused(bus: NatsEventBus, key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        await bus.publish(PRICES, key, price("BTCUSDT", "1"))


def test_a_password_is_used(tmp_path: Path) -> None:
    async def ping(url: str) -> None:
        config = NatsConfig.model_validate({"url": url, "user": USER, "password": "p4ssw0rd"})
        async with open_nats_bus(config, name="test", metrics=Metrics()) as bus:
            await bus.ping()

    (port,) = free_ports(1)
    server = NatsServer(directory=tmp_path / "nats", port=port, password="p4ssw0rd")
    with running(server.program(), tmp_path):
        asyncio.run(ping(server.url))
