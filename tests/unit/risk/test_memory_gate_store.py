"""The gate's history in memory keeps the store's contract."""

import pytest

from opensqt.testing.contracts.gate_store import GateStoreContract
from opensqt.testing.memory_gate_store import MemoryGateStore


class TestMemoryGateStore(GateStoreContract):
    @pytest.fixture
    def store(self) -> MemoryGateStore:
        return MemoryGateStore()
