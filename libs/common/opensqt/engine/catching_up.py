"""`CatchingUp`: what may have happened to a bot's orders without its having been told.

It is asked for at the start, since a checkpoint is older than the crash, and after every gap in the
account's stream. Until then the bot is not current, and nothing is decided for it.
"""

import asyncio
from typing import Final

import structlog

from opensqt.core.events import Forced
from opensqt.core.grid.book import Standing
from opensqt.core.grid.brain import Brain
from opensqt.engine.past import what_happened
from opensqt.engine.sending import apply
from opensqt.engine.timing import NS_PER_S, SimpleTiming
from opensqt.ports import Clock, DependencyError, OrderSide

OVERLAP_NS: Final = 120 * NS_PER_S
"""How far we look back beyond what is known: clocks differ, and look-ups lag."""
HORIZON_NS: Final = 30 * 24 * 3600 * NS_PER_S
"""How far a grid is looked for that is new to us, and perhaps not to the exchange."""
RETRY_NS: Final = NS_PER_S
"""Between attempts to ask an exchange that does not answer."""

_log = structlog.get_logger(__name__)


class CatchingUp:
    """Keeps one bot's book up to date with the exchange.

    Args:
        bot_id: Whose, for the log.
        exchange: Is asked.
        clock: Tells the time.
        timing: How long an answer is awaited, and for how long something sent may come to light.
    """

    def __init__(
        self, bot_id: str, *, exchange: OrderSide, clock: Clock, timing: SimpleTiming
    ) -> None:
        self._bot_id = bot_id
        self._exchange = exchange
        self._clock = clock
        self._timing = timing
        self.current = False
        """Nothing may have happened that we were not told of."""
        self._told_ns = 0
        """All that happened on the exchange before this is in the book."""
        self._ask_from_ns = 0
        """When to ask the exchange for what happened."""

    def begin(self, standing: Standing, *, saved_ns: int) -> None:
        """The book is that of a checkpoint."""
        self._told_ns = saved_ns
        if standing is Standing.RECONCILING:
            self.begin_anew()

    def begin_anew(self) -> None:
        """Nobody has compared the grid with the exchange yet."""
        now_ns = self._clock.now_ns()
        self._told_ns = now_ns - HORIZON_NS
        # Whoever had the bot before, and lost its checkpoints, may have sent something just now.
        self._ask_from_ns = now_ns + self._timing.quiet_ns

    def missed(self) -> None:
        """There was a gap in what we are told."""
        self.current = False

    async def learn(self, brain: Brain) -> bool:
        """Ask for what happened, if it is time to, and let the bot know; whether that is all."""
        asked_ns = self._clock.now_ns()
        if asked_ns < self._ask_from_ns:
            return False
        self.current = True  # a gap that comes while we ask is one more
        try:
            async with asyncio.timeout(self._timing.answer_s):
                since_ns = self._told_ns - OVERLAP_NS
                news = await what_happened(self._exchange, brain.book, since_ns=since_ns)
        except (DependencyError, TimeoutError) as problem:
            self.current, self._ask_from_ns = False, asked_ns + RETRY_NS
            _log.warning("past_not_known_yet", bot=self._bot_id, problem=repr(problem))
            return False
        for update in news:
            if update.forced is not Forced.NONE and not brain.book.position:
                continue  # of somebody else's position, or of one that was before us
            apply(brain, update, now_ns=self._clock.now_ns())
        self._told_ns = asked_ns
        if brain.book.standing is Standing.RECONCILING:
            brain.confirm(now_ns=self._clock.now_ns())
        return True
