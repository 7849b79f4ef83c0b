"""The database: what was committed outlives the processes; its answers may not reach them.

A statement takes effect when it arrives, whatever has become of its client by then.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeVar

from opensqt.adapters.signals import Signals
from opensqt.core.grid.book import GridBook, GridChange
from opensqt.ports import DependencyError
from opensqt.testing.memory_gate_store import MemoryGateStore
from opensqt.testing.memory_store import MemoryStore
from simulation.answers import fail, settle
from simulation.loop import Process, SimulationLoop

T = TypeVar("T")

TRIP_MIN_S: Final = 0.0001
TRIP_MEAN_S: Final = 0.0003
FAILS_AFTER_S: Final = 0.05
"""A database that is away is noticed after up to this."""
UNSENT_SHARE: Final = 0.5
"""Of the statements whose client has gone meanwhile, so many never arrive."""

Committed = Callable[[GridBook, GridBook, GridChange], None]


def at_once(work: Awaitable[T]) -> T:
    """The result of a coroutine that waits for nothing."""
    assert isinstance(work, Coroutine)
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError(f"{work} waits")


class Database:
    """What is kept: the ledger and the gates.

    Args:
        loop: Carries requests and answers.
        chance: Decides how long they take, and what an outage cuts off.
    """

    def __init__(self, loop: SimulationLoop, chance: random.Random) -> None:
        self.loop = loop
        self.stores = [MemoryStore()]
        self.gates = MemoryGateStore()
        self.up = True
        self.on_committed: Committed | None = None
        self.on_wiped: list[Callable[[], None]] = []
        self._chance = chance
        self._signals = Signals()
        self._sent: dict[asyncio.Future[Any], Callable[[], Any]] = {}
        """Statements that have not arrived."""
        self._asking: dict[asyncio.Future[Any], None] = {}

    @property
    def store(self) -> MemoryStore:
        """The ledger as it is kept now."""
        return self.stores[-1]

    def stop(self) -> None:
        """Die: of the statements that are under way, some take place; none is answered."""
        self.up = False
        sent = self._sent
        self._sent = {}
        for work in sent.values():
            if self._chance.random() < 0.5:
                with contextlib.suppress(Exception):  # nobody hears of it
                    work()
        for answer in tuple(self._asking):
            fail(answer, "the connection to the database was lost")

    def start(self) -> None:
        """Come back."""
        self.up = True

    def wipe(self) -> None:
        """Lose everything that was kept."""
        self.stores.append(MemoryStore())
        self.gates = MemoryGateStore()
        for wiped in self.on_wiped:
            wiped()

    def changed(self, bot_id: str) -> None:
        """Some commit changed a bot."""
        self._signals.send(bot_id)

    def listen(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Names of bots that some commit changed."""
        return self._signals.listen()

    async def ask(self, process: Process, work: Callable[[], T]) -> T:
        """Send a statement, which takes effect when it arrives; the answer comes later.

        Raises:
            DependencyError: No answer; it may or may not have taken effect.
        """
        process.check()
        if not self.up:
            await asyncio.sleep(self._chance.random() * FAILS_AFTER_S)
            raise DependencyError("the database does not answer")
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._asking[answer] = None
        self._sent[answer] = work
        self.loop.world.later(self._trip_s(), self._arrived, answer)
        try:
            return await answer
        finally:
            self._asking.pop(answer, None)

    # --- in the world ----------------------------------------------------------------------------

    def _arrived(self, answer: "asyncio.Future[T]") -> None:
        work = self._sent.pop(answer, None)
        if work is None:  # it was cut off on its way
            return
        if answer.done() and self._chance.random() < UNSENT_SHARE:
            return
        try:
            result: T | None = work()
            problem: Exception | None = None
        except Exception as error:  # the client's to judge
            result, problem = None, error
        self.loop.world.later(self._trip_s(), settle, answer, result, problem)

    def _trip_s(self) -> float:
        return TRIP_MIN_S + self._chance.expovariate(1 / TRIP_MEAN_S)
