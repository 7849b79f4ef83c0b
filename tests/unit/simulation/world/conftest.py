import random
from collections.abc import Callable, Mapping

from simulation.loop import SimulationLoop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], SimulationLoop]]:
    return {"simulation": lambda: SimulationLoop(random.Random(1))}
