"""Both engines keep the same contract, the simple one with either of its stores."""

from pathlib import Path

import pytest

from opensqt.testing.contracts.engine import EngineContract
from opensqt.testing.engine_world import EngineWorld
from tests.unit.engine.engine_worlds import DurableWorld, SimpleWorld


class TestDurableEngine(EngineContract):
    def world(self) -> EngineWorld:
        return DurableWorld()


class TestSimpleEngineInMemory(EngineContract):
    def world(self) -> EngineWorld:
        return SimpleWorld()


class TestSimpleEngineOnSqlite(EngineContract):
    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> None:
        self.path = tmp_path / "checkpoints.sqlite"

    def world(self) -> EngineWorld:
        return SimpleWorld(path=self.path)
