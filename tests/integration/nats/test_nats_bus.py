"""The bus on a real NATS server keeps the contract, and what only a real server can break."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from opensqt.adapters.nats import NatsEventBus, durable, open_nats_bus
from opensqt.runtime.config_models import NatsConfig
from opensqt.runtime.metrics import Metrics
from opensqt.testing.contracts.event_bus import EventBusContract
from opensqt.testing.servers import NatsEndpoint

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
