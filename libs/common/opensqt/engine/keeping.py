"""`Keeping`: one bot's way to its checkpoints: what changed since the last one, and when to save.

An attempt that fails loses nothing: the changes wait for the next one.
"""

import structlog

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.grid.book import GridBook, GridChange
from opensqt.core.orders import Order
from opensqt.engine.bot import Bot
from opensqt.ports import BotCheckpoint, CheckpointError, CheckpointStore, Clock

_KEPT = ("account", "symbol", "quote", "direction", "interval")
"""What of a bot's settings belongs to its grid for ever."""

_log = structlog.get_logger(__name__)


class Keeping:
    """Keeps one bot.

    Args:
        bot: Which one.
        checkpoints: Where.
        clock: Tells the time.
        age_ns: How old changes may get before they are saved.
    """

    def __init__(
        self, bot: Bot, *, checkpoints: CheckpointStore, clock: Clock, age_ns: int
    ) -> None:
        self._bot = bot
        self._checkpoints = checkpoints
        self._clock = clock
        self._age_ns = age_ns
        self._unsaved: list[GridChange] = []
        self._saved_ns = 0
        self.problem = ""
        """Why the latest attempt to save failed; empty when it did not."""

    def open(self) -> BotCheckpoint | None:
        """Take the bot, and load its checkpoint if there is one.

        Raises:
            CheckpointError: It cannot be used, or another process runs the bot.
            Refusal: BOT_DIFFERS when it is of a bot with other parameters.
        """
        found = self._checkpoints.open(self._bot.bot_id)
        if found is not None:
            try:
                self._refuse_other(found)
            except Refusal:
                self.close()
                raise
            self._saved_ns = found.saved_ns
        return found

    def close(self) -> None:
        """Leave the bot to others."""
        self._checkpoints.release(self._bot.bot_id)

    def note(self, change: GridChange) -> None:
        """The book has changed."""
        self._unsaved.append(change)

    def recall(self, client_oid: str) -> Order | None:
        """An order that ended long ago."""
        return self._checkpoints.order(self._bot.bot_id, client_oid)

    @property
    def due(self) -> bool:
        """It is time to save, or to try again."""
        old = self._clock.now_ns() - self._saved_ns >= self._age_ns
        return bool(self.problem) or (old and bool(self._unsaved))

    def save(self, book: GridBook) -> bool:
        """Make a checkpoint; whether that went well."""
        now_ns = self._clock.now_ns()
        try:
            self._checkpoints.save(book, self._unsaved, now_ns=now_ns)
        except CheckpointError as error:
            self.problem = str(error)
            _log.error("checkpoint_not_saved", bot=self._bot.bot_id, problem=self.problem)
            return False
        self.problem, self._saved_ns = "", now_ns
        self._unsaved.clear()
        return True

    def _refuse_other(self, found: BotCheckpoint) -> None:
        kept = found.book.identity
        proposed = self._bot.identity(kept.anchor)
        for name in _KEPT:
            given, registered = getattr(proposed, name), getattr(kept, name)
            if given != registered:
                raise Refusal(
                    RefusalReason.BOT_DIFFERS,
                    field=f"bot.{name}",
                    value=given,
                    allowed=f"{registered}, as in its checkpoint, or another bot id",
                )
