"""`MemoryCheckpoints`: checkpoints that outlive engines, but not the test."""

from collections.abc import Sequence

from opensqt.core.grid.book import GridBook, GridChange
from opensqt.core.orders import Order
from opensqt.ports import BotCheckpoint, CheckpointError


class MemoryCheckpoints:
    """Implements `ports.CheckpointStore`."""

    def __init__(self) -> None:
        self._kept: dict[str, BotCheckpoint] = {}
        self._orders: dict[tuple[str, str], Order] = {}
        self._taken: set[str] = set()
        self.fails = False
        """Nothing can be saved."""
        self.saves = 0

    def open(self, bot_id: str) -> BotCheckpoint | None:
        """Take a bot, and load what was saved of it."""
        if bot_id in self._taken:
            raise CheckpointError(f"bot {bot_id} is run by somebody else")
        self._taken.add(bot_id)
        return self._kept.get(bot_id)

    def save(self, book: GridBook, changes: Sequence[GridChange], *, now_ns: int) -> None:
        """Save a book."""
        bot_id = book.identity.bot_id
        assert bot_id in self._taken, f"bot {bot_id} was not taken"
        if self.fails:
            raise CheckpointError("told not to save")
        self._kept[bot_id] = BotCheckpoint(book=book, saved_ns=now_ns)
        for change in changes:
            self._orders.update({(bot_id, order.client_oid): order for order in change.orders})
        self.saves += 1

    def order(self, bot_id: str, client_oid: str) -> Order | None:
        """An order as it was saved last."""
        return self._orders.get((bot_id, client_oid))

    def release(self, bot_id: str) -> None:
        """Leave a bot to others."""
        self._taken.discard(bot_id)
