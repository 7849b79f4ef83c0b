"""Comparing the ledger with the exchange: what the ledger does not know yet, as order updates.

The ledger is the only witness of what we know: nothing here is remembered from one comparison to
the next but how far back to look for executions, and which orders are not ours.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import GridBook
from opensqt.core.identifiers import bot_tag, parse_order_id
from opensqt.core.numbers import ZERO
from opensqt.core.orders import Execution, Order, OrderStatus, next_status
from opensqt.ports import AccountFeed, Clock, PositionManager

NS_PER_S: Final = 10**9
OVERLAP_NS: Final = 120 * NS_PER_S
"""How far a comparison looks back beyond the last one: clocks differ, and look-ups lag."""
FIRST_OVERLAP_NS: Final = 600 * NS_PER_S
"""The same at the start, beyond the ledger's newest execution."""
LOOK_UPS_AT_ONCE: Final = 8
PAGE_SIZE: Final = 500
STRANGERS_MAX: Final = 10_000

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a comparison found."""

    updates: tuple[OrderUpdate, ...]
    """What the ledger does not know, in an order in which it can be applied."""
    missing: tuple[Order, ...]
    """Orders that were confirmed open, and that the exchange says it does not have."""
    orderless: int
    """Executions whose order cannot be looked up yet."""
    symbols: tuple[str, ...]
    """The markets that were compared."""


class Comparison:
    """Compares every grid of one account.

    Args:
        account: The account.
        feed: The exchange's side.
        positions: The ledger's side.
        clock: Tells the time.
    """

    def __init__(
        self, account: str, *, feed: AccountFeed, positions: PositionManager, clock: Clock
    ) -> None:
        self._account = account
        self._feed = feed
        self._positions = positions
        self._clock = clock
        self._since_ns: dict[str, int] = {}
        self._strangers: dict[str, None] = {}
        self._tags: frozenset[str] = frozenset()
        self._orderless = 0

    async def run(self) -> Findings:
        """Compare once.

        Raises:
            DependencyError: The ledger or the exchange does not answer.
        """
        by_symbol: defaultdict[str, list[GridBook]] = defaultdict(list)
        for grid in await self._positions.grids():
            if grid.identity.account == self._account:
                by_symbol[grid.identity.symbol].append(grid)
        self._tags = frozenset(
            bot_tag(grid.identity.bot_id) for grids in by_symbol.values() for grid in grids
        )
        updates: list[OrderUpdate] = []
        missing: list[Order] = []
        self._orderless = 0
        for symbol, grids in sorted(by_symbol.items()):
            started_ns = self._clock.now_ns()
            found, absent = await self._compare(symbol, grids)
            updates += found
            missing += absent
            self._since_ns[symbol] = started_ns - OVERLAP_NS
        return Findings(
            updates=tuple(updates),
            missing=tuple(missing),
            orderless=self._orderless,
            symbols=tuple(sorted(by_symbol)),
        )

    async def _compare(
        self, symbol: str, grids: Sequence[GridBook]
    ) -> tuple[list[OrderUpdate], list[Order]]:
        # The ledger first: what is placed from here on is told by the stream, and at worst found
        # by the next comparison.
        live = await self._live_orders(grids)
        states = {u.client_oid: u for u in await self._feed.open_orders(symbol)}
        absent = [order for order in live.values() if order.client_oid not in states]
        missing: list[Order] = []
        for order, update in zip(absent, await self._find_all(absent), strict=True):
            if update is not None:
                states[order.client_oid] = update
            elif order.status.resting:
                missing.append(order)
        executions = await self._new_executions(symbol, grids, live)
        by_order = await self._by_order(symbol, executions, states)
        updates: list[OrderUpdate] = []
        for client_oid, state in states.items():
            known = live.get(client_oid)
            if known is None and state.exchange_order_id in self._strangers:
                continue
            updates += _progress(state, by_order.get(client_oid, ()))
            if known is None or _is_news(known, state):
                updates.append(state)
        return updates, missing

    async def _live_orders(self, grids: Iterable[GridBook]) -> dict[str, Order]:
        live: dict[str, Order] = {}
        for grid in grids:
            token = ""
            while True:
                page = await self._positions.orders(
                    grid.identity.bot_id, live_only=True, page_size=PAGE_SIZE, page_token=token
                )
                live |= {order.client_oid: order for order in page.items}
                token = page.next_token
                if not token:
                    break
        return live

    async def _find_all(self, orders: Sequence[Order]) -> list[OrderUpdate | None]:
        at_once = asyncio.Semaphore(LOOK_UPS_AT_ONCE)

        async def find(order: Order) -> OrderUpdate | None:
            async with at_once:
                return await self._feed.find_order(order.symbol, order.client_oid)

        return list(await asyncio.gather(*(find(order) for order in orders)))

    async def _new_executions(
        self, symbol: str, grids: Sequence[GridBook], live: Mapping[str, Order]
    ) -> tuple[Execution, ...]:
        """What the exchange executed and the ledger has not counted, oldest first."""
        since_ns = self._since_ns.get(symbol)
        if since_ns is None:
            since_ns = await self._first_since(grids, live)
        counted: set[str] = set()
        for grid in grids:
            counted |= await self._counted(grid, since_ns)
        return tuple(
            execution
            for execution in await self._feed.executions_since(symbol, since_ns)
            if execution.execution_id not in counted
            and execution.exchange_order_id not in self._strangers
        )

    async def _first_since(self, grids: Sequence[GridBook], live: Mapping[str, Order]) -> int:
        newest: list[int] = []
        for grid in grids:
            page = await self._positions.executions(grid.identity.bot_id, page_size=1)
            newest += (execution.exchange_time_ns for execution in page.items)
        if newest:
            return max(newest) - FIRST_OVERLAP_NS
        created = [order.created_ns for order in live.values()]
        return min(created, default=self._clock.now_ns()) - FIRST_OVERLAP_NS

    async def _counted(self, grid: GridBook, since_ns: int) -> set[str]:
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

    async def _by_order(
        self, symbol: str, executions: Iterable[Execution], states: dict[str, OrderUpdate]
    ) -> dict[str, list[Execution]]:
        """Executions by client order id; orders that they are of are added to `states`."""
        ids = {u.exchange_order_id: client_oid for client_oid, u in states.items()}
        by_order: defaultdict[str, list[Execution]] = defaultdict(list)
        for execution in executions:
            client_oid = ids.get(execution.exchange_order_id)
            if client_oid is None:
                update = await self._feed.find_order_by_exchange_id(
                    symbol, execution.exchange_order_id
                )
                if update is None:
                    self._orderless += 1
                    _log.error(
                        "execution_without_order",
                        symbol=symbol,
                        execution=execution.execution_id,
                        exchange_order_id=execution.exchange_order_id,
                    )
                    continue
                client_oid = update.client_oid
                ids[execution.exchange_order_id] = client_oid
                states[client_oid] = update
            by_order[client_oid].append(replace(execution, client_oid=client_oid))
        return by_order

    def was_told(self, update: OrderUpdate) -> None:
        """Remember an order that is not of our grids, so that it is not found again."""
        parsed = parse_order_id(update.client_oid)
        if parsed is not None and parsed.bot_tag in self._tags:
            return
        self._strangers[update.exchange_order_id] = None
        while len(self._strangers) > STRANGERS_MAX:
            del self._strangers[next(iter(self._strangers))]


def _progress(state: OrderUpdate, executions: Sequence[Execution]) -> list[OrderUpdate]:
    """The executions of an order one by one, each with the quantity that was filled by then.

    So each counts at its own price. All but the last leave the order partially filled.
    """
    before = state.filled_quantity - sum((e.quantity for e in executions), ZERO)
    filled = max(before, ZERO)
    updates: list[OrderUpdate] = []
    for execution in executions:
        filled += execution.quantity
        updates.append(
            replace(
                state,
                status=OrderStatus.PARTIALLY_FILLED,
                filled_quantity=filled,
                execution=execution,
                exchange_time_ns=execution.exchange_time_ns,
            )
        )
    return updates


def _is_news(known: Order, state: OrderUpdate) -> bool:
    """Whether the exchange's state of an order tells the ledger anything."""
    return (
        next_status(known.status, state.status) is not known.status
        or state.filled_quantity > known.filled_quantity
        or (bool(state.exchange_order_id) and not known.exchange_order_id)
    )
