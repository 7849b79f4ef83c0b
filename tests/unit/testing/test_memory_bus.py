"""The memory bus keeps the bus's contract."""

import asyncio

import pytest

from opensqt.testing import memory_bus
from opensqt.testing.contracts.event_bus import EventBusContract
from opensqt.testing.memory_bus import MemoryBus


class TestMemoryBus(EventBusContract):
    @pytest.fixture
    def bus(self, monkeypatch: pytest.MonkeyPatch) -> MemoryBus:
        monkeypatch.setattr(memory_bus, "ACK_WAIT_S", 0.05)
        return MemoryBus()

    async def settle(self) -> None:
        await asyncio.sleep(0)
