"""What the executor must know of a bot and of its market before it commits anything."""

import asyncio

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.grid.book import GridIdentity
from opensqt.core.instrument import Instrument
from opensqt.ports import MarketFeed, PositionManager


class Markets:
    """The registered grids of one account and the rules of their markets.

    Both are read once and again when something is asked for that is not there; a grid's identity
    never changes.

    Args:
        account: Only its grids are known here.
        feed: Knows the instruments.
        positions: Knows the grids.
    """

    def __init__(self, *, account: str, feed: MarketFeed, positions: PositionManager) -> None:
        self._account = account
        self._feed = feed
        self._positions = positions
        self._grids: dict[str, GridIdentity] = {}
        self._instruments: dict[str, Instrument] = {}
        self._reading = asyncio.Lock()

    async def read(self) -> None:
        """Read the instruments and the grids, so that the first batch need not.

        Raises:
            DependencyError: The exchange or the state service does not answer.
        """
        await self._read_instruments()
        await self._read_grids()

    async def bots(self) -> tuple[str, ...]:
        """Every bot that is registered for the account now.

        Raises:
            DependencyError: The state service does not answer.
        """
        await self._read_grids()
        return tuple(sorted(self._grids))

    async def instrument_of(self, bot_id: str) -> Instrument:
        """The rules of the market that a bot trades.

        Raises:
            Refusal: BOT_UNKNOWN; VALUE_NOT_ALLOWED when the exchange does not list its symbol.
            DependencyError: The exchange or the state service does not answer.
        """
        if bot_id not in self._grids:
            async with self._reading:
                if bot_id not in self._grids:
                    await self._read_grids()
        grid = self._grids.get(bot_id)
        if grid is None:
            raise Refusal(
                RefusalReason.BOT_UNKNOWN,
                field="batch.bot_id",
                value=bot_id,
                allowed=f"a bot registered for the account {self._account}",
            )
        if grid.symbol not in self._instruments:
            async with self._reading:
                if grid.symbol not in self._instruments:
                    await self._read_instruments()
        instrument = self._instruments.get(grid.symbol)
        if instrument is None:
            raise Refusal(
                RefusalReason.VALUE_NOT_ALLOWED,
                field="batch.bot_id",
                value=f"{bot_id}, which trades {grid.symbol}",
                allowed="a symbol that the exchange lists",
            )
        return instrument

    async def _read_grids(self) -> None:
        books = await self._positions.grids()
        self._grids = {
            book.identity.bot_id: book.identity
            for book in books
            if book.identity.account == self._account
        }

    async def _read_instruments(self) -> None:
        self._instruments = {i.symbol: i for i in await self._feed.instruments()}
