from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from opensqt.testing.virtual_time import VirtualTimeLoop
from tests.scenarios.world import World


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], VirtualTimeLoop]]:
    return {"virtual": VirtualTimeLoop}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """The whole system but the strategy, which the test plays; a grid that may trade."""
    async with World().running() as world:
        await world.register()
        yield world
