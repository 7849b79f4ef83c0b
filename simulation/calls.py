"""Calls between processes: the request travels, runs in the callee's process, the answer travels.

As gRPC: a call has a deadline; one that cannot be connected fails at once; one whose callee dies
fails when the connection breaks; and whoever gets no answer does not know what became of it.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeVar

from opensqt.adapters.inbox import QueueInbox
from opensqt.core.errors import Refusal
from opensqt.ports import DependencyError
from simulation.answers import settle
from simulation.loop import Process
from simulation.network import Network, Wire
from simulation.plan import FaultKind, Link

T = TypeVar("T")

DEADLINE_S: Final = 2.0
ATTEMPTS: Final = 3
"""Of a call that may be repeated without a thought."""
PAUSE_MAX_S: Final = 0.2
SILENCE_MAX_S: Final = 5.0
"""A watch that hears nothing for so long is given up."""
RESET_SHARE: Final = 0.5
"""Of the calls that get no answer, so many learn it at once: the connection is reset."""


class Server:
    """Where a part can be called.

    Args:
        name: The part, for errors.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.process: Process | None = None
        """The process that serves; None while none does."""
        self.target: Any = None
        """What is called."""

    @property
    def reachable(self) -> bool:
        """Whether somebody listens."""
        return self.process is not None and self.process.alive


class Caller:
    """Calls a server from a process.

    Args:
        process: Who calls.
        server: Who is called.
        network: Carries requests and answers.
        chance: Decides what is noticed of a failure.
    """

    def __init__(
        self, process: Process, server: Server, network: Network, chance: random.Random
    ) -> None:
        self._process = process
        self._server = server
        self._network = network
        self._chance = chance

    async def call(self, name: str, work: Callable[[Any], Awaitable[T]]) -> T:
        """Have something done in the server's process.

        Raises:
            Refusal: The server said no.
            DependencyError: No answer; it may or may not have been done.
        """
        self._process.check()
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        running: list[asyncio.Task[None]] = []
        self._network.send(Link.CALLS, self._arrived, name, work, answer, running)
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await answer
        except TimeoutError:
            raise DependencyError(f"{self._server.name} did not answer {name} in time") from None
        finally:
            # The caller has hung up: what is still going on there is cancelled, as gRPC does.
            for task in running:
                if not task.done() and self._process.alive:
                    self._network.send(Link.CALLS, task.cancel)

    async def repeated(self, name: str, work: Callable[[Any], Awaitable[T]]) -> T:
        """Call up to `ATTEMPTS` times; raises as `call` does."""
        for _ in range(ATTEMPTS - 1):
            try:
                return await self.call(name, work)
            except DependencyError:
                await asyncio.sleep(self._chance.random() * PAUSE_MAX_S)
        return await self.call(name, work)

    async def stream(
        self, name: str, open_stream: Callable[[Any], AsyncIterator[T]]
    ) -> AsyncIterator[T]:
        """Follow something in the server's process.

        Raises:
            Refusal: The server said no.
            DependencyError: The connection was lost, or was silent for too long.
        """
        self._process.check()
        network = self._network
        inbox: QueueInbox[T | Exception] = QueueInbox()
        wire = network.wire(Link.CALLS)
        running: list[asyncio.Task[None]] = []
        network.send(Link.CALLS, self._begin, name, open_stream, inbox, wire, running)
        try:
            while True:
                try:
                    async with asyncio.timeout(SILENCE_MAX_S):
                        event = await anext(inbox)
                except TimeoutError:
                    raise DependencyError(f"{self._server.name}: {name} fell silent") from None
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            if self._process.alive:
                for task in running:
                    network.send(Link.CALLS, task.cancel)

    # --- in the world ----------------------------------------------------------------------------

    def _arrived(
        self,
        name: str,
        work: Callable[[Any], Awaitable[T]],
        answer: "asyncio.Future[T]",
        running: list[asyncio.Task[None]],
    ) -> None:
        server, network = self._server, self._network
        process = server.process
        if process is None or not process.alive:
            self._fail(answer, f"{server.name} cannot be reached")
            return
        forget = process.on_death(lambda: self._fail(answer, f"{server.name} died"))

        async def serve() -> None:
            result: T | None = None
            problem: Exception | None = None
            try:
                result = await work(server.target)
            except (Refusal, DependencyError) as error:
                problem = error
            except Exception as error:
                if self.on_internal is not None:
                    self.on_internal(process, name, error)
                problem = DependencyError(f"{server.name}: internal error in {name}")
            finally:
                forget()
            if network.happens(FaultKind.LOSE_ANSWERS, Link.CALLS):
                if self._chance.random() < RESET_SHARE:
                    self._fail(answer, f"the connection to {server.name} was reset")
                return
            network.send(Link.CALLS, settle, answer, result, problem)

        running.append(process.spawn(serve()))

    on_internal: Callable[[Process, str, Exception], None] | None = None
    """Called for what the server raised and should not have."""

    def _begin(
        self,
        name: str,
        open_stream: Callable[[Any], AsyncIterator[T]],
        inbox: QueueInbox[T | Exception],
        wire: Wire,
        running: list[asyncio.Task[None]],
    ) -> None:
        server = self._server
        process = server.process
        if process is None or not process.alive:
            wire.send(inbox.put, DependencyError(f"{server.name} cannot be reached"))
            return

        def died() -> None:
            wire.send(inbox.put, DependencyError(f"{server.name} died"))

        forget = process.on_death(died)

        async def serve() -> None:
            problem: Exception = DependencyError(f"{server.name} ended {name}")
            events = aiter(open_stream(server.target))
            try:
                async for event in events:
                    wire.send(inbox.put, event)
            except (Refusal, DependencyError) as error:
                problem = error
            except Exception as error:
                if self.on_internal is not None:
                    self.on_internal(process, name, error)
            finally:
                forget()
                if process.alive:
                    await _close(events)
            wire.send(inbox.put, problem)

        task = process.spawn(serve())
        running.append(task)

        def hung_up() -> None:
            process.soon(task.cancel)

        self._process.on_death(hung_up)

    def _fail(self, answer: "asyncio.Future[T]", why: str) -> None:
        self._network.send(Link.CALLS, settle, answer, None, DependencyError(why))


async def _close(events: AsyncIterator[Any]) -> None:
    close = getattr(events, "aclose", None)
    if close is not None:
        await close()
