"""The exchange and the way to it: requests and answers that may be lost, connections that break."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from opensqt.core.events import PriceChange
from opensqt.ports import DependencyError
from simulation.answers import settle
from simulation.loop import Process, SimulationLoop
from simulation.network import Network
from simulation.observer import Observer
from simulation.plan import FaultKind, Link
from simulation.venue import ExchangeSide

T = TypeVar("T")

TIMEOUT_S: Final = 10.0
"""How long the connector waits for an answer."""
ANSWER_S_MAX: Final = 1.0
"""An answer that is on its way comes within this, if nothing is wrong."""
BROKEN_SHARE: Final = 0.5
"""Of the answers that are lost, so many are broken ones: they come at once, and prove nothing."""
NOTICED_S_MAX: Final = 0.3
"""A broken connection is noticed after up to this."""


@dataclass(slots=True)
class Conditions:
    """How the exchange can be reached right now."""

    down: int = 0
    """Outages in force: nobody reaches it."""
    refuses: int = 0
    """Maintenance in force: nothing may be placed."""
    limited: int = 0
    """Rate limits in force: every request is refused."""
    streams_down: int = 0
    stale_ns: tuple[int, ...] = ()
    """Look-ups show the books as they were up to so long ago."""


class CutError(Exception):
    """The connection broke before the answer came."""


class NotConnectedError(Exception):
    """Nothing was sent."""


class LimitedError(Exception):
    """429."""


class Stream(Protocol):
    """A connection to the account's event stream, as far as it can go wrong."""

    silent: bool
    """Set when it will say nothing more, and not break: its listen key has expired."""

    def drop(self, reason: str) -> None:
        """The connection breaks; it is dialled again."""
        ...


class ExchangeWorld:
    """What the connections of all processes share.

    Args:
        loop: Carries everything.
        side: The exchange.
        network: Decides what becomes of messages.
        chance: Where everything else comes from.
        observer: Told of requests.
    """

    def __init__(
        self,
        loop: SimulationLoop,
        side: ExchangeSide,
        network: Network,
        chance: random.Random,
        observer: Observer,
    ) -> None:
        self.loop = loop
        self.side = side
        self.network = network
        self.chance = chance
        self.observer = observer
        self.conditions = Conditions()
        self.streams: list[Stream] = []
        self.markets: list[Callable[[PriceChange], object]] = []
        self.epochs = 0
        self.under_way = 0
        """Requests that change something and are not over."""
        self._waiting: dict[asyncio.Future[Any], tuple[Process, float]] = {}
        """Requests without an answer yet: who sent them, and when."""

    @property
    def awaits_lost_answer(self) -> bool:
        """Somebody still waits for an answer that is not on its way."""
        long_ago_s = self.loop.now_s - ANSWER_S_MAX
        return any(
            process.alive and sent_s < long_ago_s for process, sent_s in self._waiting.values()
        )

    def now_ns(self) -> int:
        """By the exchange's clock."""
        return self.loop.world.now_ns()

    def cut(self) -> None:
        """Break every connection."""
        for answer in tuple(self._waiting):
            if not answer.done():
                delay_s = self.chance.random() * NOTICED_S_MAX
                self.loop.world.later(delay_s, settle, answer, None, CutError("cut off"))
        self.drop_streams("the exchange went away")

    def drop_streams(self, reason: str) -> None:
        """Break the account's streams."""
        for stream in tuple(self.streams):
            stream.drop(reason)

    def tell_price(self, price: PriceChange) -> None:
        """Put a price on the market's streams."""
        if not self.conditions.down:
            for market in tuple(self.markets):
                market(price)

    async def request(self, process: Process, link: Link, work: Callable[[], T]) -> T:
        """Send a request; `work` is done when it arrives.

        Raises:
            NotConnectedError: Nothing was sent.
            CutError: The connection broke: it may or may not have been carried out.
            TimeoutError: No answer.
        """
        if self.conditions.down:
            await asyncio.sleep(self.chance.random() * NOTICED_S_MAX)
            if self.conditions.down:
                raise NotConnectedError("the exchange cannot be reached")
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting[answer] = (process, self.loop.now_s)
        self.under_way += 1
        if self.network.happens(FaultKind.LOSE, link):
            self.under_way -= 1
            self._may_be_told(answer)
        else:
            delay_s = self.network.delay_s(link)
            self.loop.world.later(delay_s, self._arrived, link, work, answer)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await answer
        finally:
            self._waiting.pop(answer, None)

    def _may_be_told(self, answer: "asyncio.Future[Any]") -> None:
        """Of the requests that get no answer, some get a broken one, or see it break."""
        if self.chance.random() < BROKEN_SHARE:
            delay_s = self.chance.random() * NOTICED_S_MAX
            self.loop.world.later(delay_s, settle, answer, None, CutError("a broken answer"))

    def _arrived(self, link: Link, work: Callable[[], T], answer: "asyncio.Future[T]") -> None:
        self.under_way -= 1
        if self.conditions.down:
            return
        try:
            result: T | None = work()
            problem: Exception | None = None
        except (LimitedError, DependencyError) as error:
            result, problem = None, error
        if self.network.happens(FaultKind.LOSE_ANSWERS, link):
            self._may_be_told(answer)
            return
        delay_s = self.network.delay_s(link)
        self.loop.world.later(delay_s, settle, answer, result, problem)
