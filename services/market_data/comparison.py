"""Comparing the ledger with the exchange: what the ledger does not know yet, as order updates.

The ledger is the only witness of what we know: nothing here is remembered from one comparison to
the next but how far back to look for executions, and which orders are not ours.

A grid that is RECONCILING is new to the ledger, and perhaps not to the exchange: the ledger that
knew it may have been lost. Of such a grid everything is told that the exchange remembers.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from opensqt.core.events import Forced, OrderUpdate
from opensqt.core.grid.book import GridBook, GridIdentity
from opensqt.core.identifiers import bot_tag
from opensqt.core.orders import Order
from opensqt.ports import AccountFeed, Clock, PositionManager
from services.market_data.exchange_side import ExchangeSide
from services.market_data.ledger_side import LedgerSide
from services.market_data.market_comparison import MarketComparison, is_new, tag_of

NS_PER_S: Final = 10**9
OVERLAP_NS: Final = 120 * NS_PER_S
"""How far a comparison looks back beyond the last one: clocks differ, and look-ups lag."""
STRANGERS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a comparison found."""

    updates: tuple[OrderUpdate, ...]
    """What the ledger does not know, in an order in which it can be applied."""
    missing: tuple[Order, ...]
    """Orders that were confirmed open, and that the exchange says it does not have."""
    orderless: int
    """Executions whose order cannot be looked up."""
    grids: tuple[GridBook, ...]
    """The grids that were compared, without slots, as they were before."""
    whole: tuple[GridIdentity, ...]
    """The RECONCILING ones of which the exchange has nothing that the ledger does not have."""

    @property
    def reconciling(self) -> bool:
        """Some grid is new to the ledger."""
        return any(is_new(grid) for grid in self.grids)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The markets that were compared."""
        return tuple(sorted({grid.identity.symbol for grid in self.grids}))


class Comparison:
    """Compares every grid of one account.

    Args:
        account: The account.
        feed: The exchange's side.
        positions: The ledger's side.
        clock: Tells the time.
        horizon_ns: How far back a RECONCILING grid is compared.
    """

    def __init__(
        self,
        account: str,
        *,
        feed: AccountFeed,
        positions: PositionManager,
        clock: Clock,
        horizon_ns: int,
    ) -> None:
        self._feed = feed
        self._ledger = LedgerSide(account, positions)
        self._clock = clock
        self._horizon_ns = horizon_ns
        self._since_ns: dict[str, int] = {}
        self._strangers: dict[str, None] = {}
        self._registered: set[GridIdentity] = set()
        self._tags: frozenset[str] = frozenset()

    async def run(self) -> Findings:
        """Compare once.

        Raises:
            DependencyError: The ledger or the exchange does not answer.
        """
        grids = await self._ledger.grids()
        self._tags = frozenset(bot_tag(grid.identity.bot_id) for grid in grids)
        if any(is_new(grid) and grid.identity not in self._registered for grid in grids):
            # The ledger may be another one, whose quarantine is empty.
            self._strangers.clear()
        self._registered = {grid.identity for grid in grids}
        by_symbol: defaultdict[str, list[GridBook]] = defaultdict(list)
        for grid in grids:
            by_symbol[grid.identity.symbol].append(grid)
        updates: list[OrderUpdate] = []
        missing: list[Order] = []
        whole: list[GridIdentity] = []
        orderless = 0
        for symbol, neighbours in sorted(by_symbol.items()):
            started_ns = self._clock.now_ns()
            market = MarketComparison(
                neighbours,
                ledger=self._ledger,
                exchange=ExchangeSide(self._feed, symbol),
                strangers=self._strangers.keys(),
                horizon_ns=started_ns - self._horizon_ns,
            )
            found = await market.compare(self._since_ns.get(symbol), now_ns=started_ns)
            updates += found
            missing += market.missing
            orderless += market.orderless
            whole += market.whole(found)
            self._since_ns[symbol] = started_ns - OVERLAP_NS
        return Findings(
            updates=tuple(updates),
            missing=tuple(missing),
            orderless=orderless,
            grids=grids,
            whole=tuple(whole),
        )

    def is_ours(self, update: OrderUpdate) -> bool:
        """Whether an update may be of a grid: by its id, or since it was forced upon us."""
        return update.forced is not Forced.NONE or tag_of(update) in self._tags

    def was_told(self, update: OrderUpdate) -> None:
        """Remember an order that is not of our grids, so that it is not found again."""
        if self.is_ours(update):
            return
        self._strangers[update.exchange_order_id] = None
        while len(self._strangers) > STRANGERS_MAX:
            del self._strangers[next(iter(self._strangers))]
