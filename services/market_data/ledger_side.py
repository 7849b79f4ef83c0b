"""What the ledger knows, for comparing it with the exchange: pages of lists, as whole lists."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

from opensqt.core.grid.book import GridBook, Standing
from opensqt.core.orders import Order
from opensqt.ports import Page, PositionManager, Quarantined

T = TypeVar("T")

PAGE_SIZE: Final = 500
LATEST: Final = 20
"""Executions among which one is looked for that is not dated in the future."""


class LedgerSide:
    """Reads the ledger of one account; every method raises DependencyError when it is silent.

    Args:
        account: The account.
        positions: The ledger.
    """

    def __init__(self, account: str, positions: PositionManager) -> None:
        self._account = account
        self._positions = positions

    async def grids(self) -> tuple[GridBook, ...]:
        """The account's grids, without slots."""
        return tuple(
            grid for grid in await self._positions.grids() if grid.identity.account == self._account
        )

    async def orders(self, grids: Iterable[GridBook]) -> dict[str, Order]:
        """The live orders of grids, and of RECONCILING ones those that ended too."""
        found: dict[str, Order] = {}
        for grid in grids:
            live_only = grid.standing is not Standing.RECONCILING

            async def ask(token: str, grid: GridBook = grid, live: bool = live_only) -> Page[Order]:  # noqa: FBT001 - bound to this turn of the loop
                return await self._positions.orders(
                    grid.identity.bot_id, live_only=live, page_size=PAGE_SIZE, page_token=token
                )

            found |= {order.client_oid: order for order in await _all(ask)}
        return found

    async def newest_execution_ns(self, grid: GridBook, *, now_ns: int) -> int | None:
        """When the execution happened that the ledger has counted last.

        Not one that is dated in the future: looking for what came after it would find nothing.
        """
        page = await self._positions.executions(grid.identity.bot_id, page_size=LATEST)
        times = (execution.exchange_time_ns for execution in page.items)
        return next((time_ns for time_ns in times if time_ns <= now_ns), None)

    async def counted(self, grid: GridBook, since_ns: int) -> set[str]:
        """Ids of the executions that the ledger has counted since then."""
        counted: set[str] = set()
        token = ""
        while True:
            page = await self._positions.executions(
                grid.identity.bot_id, page_size=PAGE_SIZE, page_token=token
            )
            counted |= {execution.execution_id for execution in page.items}
            token = page.next_token
            # In the order in which they were counted, so late ones may be among newer ones.
            newest_ns = max((e.exchange_time_ns for e in page.items), default=0)
            if not token or newest_ns < since_ns:
                return counted

    async def put_aside(self) -> dict[str, Quarantined]:
        """The orders in quarantine, by the exchange's id."""
        items = await _all(
            lambda token: self._positions.quarantine(page_size=PAGE_SIZE, page_token=token)
        )
        return {
            item.update.exchange_order_id: item
            for item in items
            if item.update.account == self._account
        }


async def _all(ask: Callable[[str], Awaitable[Page[T]]]) -> list[T]:
    found: list[T] = []
    token = ""
    while True:
        page = await ask(token)
        found += page.items
        token = page.next_token
        if not token:
            return found
