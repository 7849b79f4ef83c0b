import asyncio
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


@pytest.fixture
async def trading() -> AsyncIterator[World]:
    """The whole system, strategy included, with the window of its grid on the exchange."""
    async with World().running("strategy") as world:
        await world.until_trading()
        await asyncio.sleep(2)
        assert len(world.open_on_exchange()) == 3
        yield world
