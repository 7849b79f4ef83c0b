"""The ports that are other processes, over calls."""

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from opensqt.core.actions import ActionBatch
from opensqt.core.events import Candle, OrderUpdate, PriceChange
from opensqt.core.grid.book import GridBook, GridIdentity
from opensqt.core.grid.results import Applied, PlacementResult, Reservation
from opensqt.core.instrument import Instrument
from opensqt.core.orders import Execution, Order
from opensqt.ports import Page, Quarantined, WatchEvent
from simulation.calls import Caller

T = TypeVar("T")


class RemotePositions:
    """Implements `ports.PositionManager` over calls.

    Args:
        caller: Reaches the state service.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def register_grid(self, identity: GridIdentity) -> GridBook:
        """Register a grid."""
        return await self._caller.repeated("register", lambda s: s.register_grid(identity))

    async def reserve(self, batch: ActionBatch, *, deadline_ns: int) -> Reservation:
        """Commit a batch's intents."""
        return await self._caller.call(
            "reserve",
            lambda s: s.reserve(batch, deadline_ns=deadline_ns, request_id=batch.batch_id),
        )

    async def record(self, bot_id: str, results: tuple[PlacementResult, ...]) -> int:
        """Record what the exchange answered."""
        return await self._caller.repeated("record", lambda s: s.record(bot_id, results))

    async def apply(self, update: OrderUpdate) -> Applied:
        """Apply what is known of an order."""
        return await self._caller.repeated("apply", lambda s: s.apply(update))

    async def confirm_grid(self, bot_id: str, *, epoch: int) -> int:
        """Let a RECONCILING grid trade."""
        return await self._caller.repeated("confirm", lambda s: s.confirm_grid(bot_id, epoch=epoch))

    async def halt_grid(self, bot_id: str, *, reason: str, by: str) -> int:
        """Halt a grid."""
        return await self._caller.repeated(
            "halt", lambda s: s.halt_grid(bot_id, reason=reason, by=by)
        )

    async def resume_grid(self, bot_id: str, *, by: str) -> int:
        """End a halt."""
        return await self._caller.repeated("resume", lambda s: s.resume_grid(bot_id, by=by))

    async def quarantine(self, *, page_size: int = 0, page_token: str = "") -> Page[Quarantined]:
        """What was put aside."""
        return await self._caller.repeated(
            "quarantine", lambda s: s.quarantine(page_size=page_size, page_token=page_token)
        )

    async def grid(self, bot_id: str) -> GridBook:
        """A grid."""
        return await self._caller.repeated("grid", lambda s: s.grid(bot_id))

    async def grids(self) -> tuple[GridBook, ...]:
        """Every grid."""
        return await self._caller.repeated("grids", lambda s: s.grids())

    async def orders(
        self,
        bot_id: str,
        *,
        live_only: bool = False,
        unsettled_only: bool = False,
        batch_id: str = "",
        page_size: int = 0,
        page_token: str = "",
    ) -> Page[Order]:
        """Orders, newest first."""
        return await self._caller.repeated(
            "orders",
            lambda s: s.orders(
                bot_id,
                live_only=live_only,
                unsettled_only=unsettled_only,
                batch_id=batch_id,
                page_size=page_size,
                page_token=page_token,
            ),
        )

    async def executions(
        self, bot_id: str, *, page_size: int = 0, page_token: str = ""
    ) -> Page[Execution]:
        """Executions, newest first."""
        return await self._caller.repeated(
            "executions",
            lambda s: s.executions(bot_id, page_size=page_size, page_token=page_token),
        )

    def watch(self, bot_id: str, *, from_revision: int = 0) -> AsyncIterator[WatchEvent]:
        """Follow a grid."""
        return self._caller.stream("watch", lambda s: s.watch(bot_id, from_revision=from_revision))


class RemoteMarketData:
    """Implements `ports.MarketData` over calls.

    Args:
        caller: Reaches the market data service.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def instruments(self) -> tuple[Instrument, ...]:
        """Every instrument."""
        return await self._caller.repeated("instruments", lambda s: _now(s.instruments))

    async def price(self, symbol: str) -> PriceChange:
        """The latest price."""
        return await self._caller.repeated("price", lambda s: _now(s.price, symbol))

    async def candles(self, symbol: str, limit: int) -> tuple[Candle, ...]:
        """The latest closed candles."""
        return await self._caller.repeated("candles", lambda s: _now(s.candles, symbol, limit))


async def _now(work: Callable[..., T], *args: Any) -> T:
    return work(*args)
