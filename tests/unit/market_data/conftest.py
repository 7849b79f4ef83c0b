from collections.abc import Callable, Mapping

import pytest

from opensqt.testing.virtual_time import VirtualTimeLoop
from tests.unit.market_data.world import World


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], VirtualTimeLoop]]:
    return {"virtual": VirtualTimeLoop}


@pytest.fixture
async def world() -> World:
    world = World()
    await world.register()
    return world
