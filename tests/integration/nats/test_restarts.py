"""The bus while its server is killed, restarted, and loses its disk."""

import asyncio
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from opensqt.adapters.nats import NatsEventBus, durable, open_nats_bus
from opensqt.embedded.free_ports import free_ports
from opensqt.embedded.nats_server import NatsServer
from opensqt.ports import ACTIONS, GATE, ORDER_UPDATES, PRICES, DependencyError, EventBus, Topic
from opensqt.runtime.config_models import NatsConfig
from opensqt.runtime.metrics import Metrics
from opensqt.testing.contracts.event_bus import batch, beat, order_update, price, take
from opensqt.testing.servers import running

pytestmark = pytest.mark.integration


class Server:
    """A NATS server of this test alone, which may be killed."""

    def __init__(self, directory: Path) -> None:
        (port,) = free_ports(1)
        self.program = NatsServer(directory=directory / "nats", port=port).program
        self.store = directory / "nats" / "store"
        self.directory = directory
        self.url = f"nats://127.0.0.1:{port}"
        self._stack = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        def begin() -> None:
            self._process = self._stack.enter_context(running(self.program(), self.directory))

        await asyncio.to_thread(begin)

    async def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(self._process.wait)

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.close()


@pytest.fixture
async def bus(server: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NatsEventBus]:
    monkeypatch.setattr(durable, "ACK_WAIT_S", 1)
    await server.start()
    config = NatsConfig(url=server.url, prefix="restarts")
    async with open_nats_bus(config, name="test", metrics=Metrics()) as bus:
        yield bus


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.02)


async def publish_until_stored(bus: EventBus, number: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await bus.publish(
                    ORDER_UPDATES, "main", order_update(f"g{number}"), message_id=f"{number}"
                )
            except DependencyError:
                await asyncio.sleep(0.1)
            else:
                return


@pytest.mark.invariant(29)
async def test_a_killed_server_loses_no_order(server: Server, bus: NatsEventBus) -> None:
    seen: list[str] = []

    async def consume() -> None:
        async with bus.subscribe(ORDER_UPDATES, durable="state") as events:
            async for received in events:
                if received.event.client_oid not in seen:
                    seen.append(received.event.client_oid)
                await received.ack()

    consumer = asyncio.create_task(consume())
    for number in range(5):
        await publish_until_stored(bus, number)
    await server.kill()
    with pytest.raises(DependencyError):
        await bus.publish(ORDER_UPDATES, "main", order_update("g5"), message_id="5")
    with pytest.raises(DependencyError):
        await bus.ping()
    publishing = asyncio.create_task(publish_until_stored(bus, 5))
    await server.start()
    await publishing
    await bus.ping()
    for number in range(6, 10):
        await publish_until_stored(bus, number)
    await until(lambda: len(seen) == 10)
    assert sorted(seen) == [f"g{n}" for n in range(10)]
    consumer.cancel()
    await asyncio.gather(consumer, return_exceptions=True)


@pytest.mark.invariant(30)
async def test_a_lost_disk_is_set_up_again(server: Server, bus: NatsEventBus) -> None:
    async with bus.subscribe(ORDER_UPDATES, durable="state") as events:
        await publish_until_stored(bus, 0)
        await (await take(events, 1))[0].ack()
        await server.kill()
        await asyncio.to_thread(shutil.rmtree, server.store)
        await server.start()
        await publish_until_stored(bus, 1)
        async with asyncio.timeout(20):
            while (await anext(events)).event != order_update("g1"):
                pass


@pytest.mark.parametrize("topic", [PRICES, GATE, ACTIONS], ids=lambda topic: topic.name)
async def test_without_a_server_nothing_old_is_kept_for_later(
    server: Server, bus: NatsEventBus, topic: Topic[Any]
) -> None:
    events_of: dict[str, Callable[[int], Any]] = {
        "price": lambda n: price("BTCUSDT", f"{n}"),
        "gate": beat,
        "actions": batch,
    }
    made = events_of[topic.name]
    async with bus.subscribe(topic) as events:
        await bus.publish(topic, "main", made(1))
        assert (await take(events, 1))[0].event == made(1)
        await server.kill()
        await until(lambda: not bus._client.is_connected)
        await bus.publish(topic, "main", made(2))  # dropped, and no error
        await server.start()
        await until(lambda: bus._client.is_connected)
        await asyncio.sleep(0.3)
        await bus.publish(topic, "main", made(3))
        assert (await take(events, 1))[0].event == made(3)


async def test_a_last_value_that_was_missed_is_read_after_reconnecting(
    server: Server, bus: NatsEventBus
) -> None:
    config = NatsConfig(url=server.url, prefix="restarts")
    async with bus.subscribe(GATE) as events:
        await bus.publish(GATE, "main", beat(1))
        await take(events, 1)
        await server.kill()
        await until(lambda: not bus._client.is_connected)
        # While we are away another process publishes; it has its own connection.
        await server.start()
        async with open_nats_bus(config, name="other", metrics=Metrics()) as other:
            await other.publish(GATE, "main", beat(2))
            await other.ping()
            assert (await take(events, 1))[0].event == beat(2)


async def test_a_bus_waits_for_a_server_that_is_not_up_yet(server: Server) -> None:
    config = NatsConfig(url=server.url, prefix="restarts")

    async def use() -> str:
        async with open_nats_bus(config, name="early", metrics=Metrics()) as bus:
            await publish_until_stored(bus, 0)
        return "stored"

    early = asyncio.create_task(use())
    await asyncio.sleep(1)
    assert not early.done()
    await server.start()
    async with asyncio.timeout(20):
        assert await early == "stored"
