"""Comparing one market: what the ledger does not know of the exchange's orders, in order of time.

Of the recent past everything matters: that nothing was left out, and that strangers are seen. Of
the long past, which is read for a grid that is new to the ledger, only what is new to it matters.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

import structlog

from opensqt.core.events import Forced, OrderUpdate
from opensqt.core.grid.book import GridBook, GridIdentity, Standing
from opensqt.core.grid.results import OF_NO_GRID
from opensqt.core.identifiers import bot_tag, epoch_at, parse_order_id
from opensqt.core.orders import Execution, Order, next_status
from opensqt.core.timeline import in_order_of_time, progress
from opensqt.ports import Quarantined
from services.market_data.exchange_side import ExchangeSide
from services.market_data.ledger_side import LedgerSide

NS_PER_S: Final = 10**9
FIRST_OVERLAP_NS: Final = 600 * NS_PER_S
"""How far the first comparison looks back beyond the ledger's newest execution."""

_log = structlog.get_logger(__name__)


class MarketComparison:
    """One comparison of one market.

    Args:
        grids: The grids on it; at least one.
        ledger: What we know.
        exchange: What the exchange knows.
        strangers: Orders that are not ours, and that were told, by the exchange's id.
        horizon_ns: From when on everything is told of a grid that is new to the ledger.
    """

    def __init__(
        self,
        grids: Sequence[GridBook],
        *,
        ledger: LedgerSide,
        exchange: ExchangeSide,
        strangers: Iterable[str],
        horizon_ns: int,
    ) -> None:
        self._grids = grids
        self._new = tuple(grid for grid in grids if is_new(grid))
        self._tags = frozenset(bot_tag(grid.identity.bot_id) for grid in grids)
        self._new_tags = frozenset(bot_tag(grid.identity.bot_id) for grid in self._new)
        self._epoch = min(grid.identity.epoch for grid in grids)
        self._ledger = ledger
        self._exchange = exchange
        self._skipped = set(strangers)
        self._horizon_ns = horizon_ns
        self.missing: list[Order] = []
        self.orderless = 0

    async def compare(self, since_ns: int | None, *, now_ns: int) -> tuple[OrderUpdate, ...]:
        """What the ledger does not know, of executions since a time and of all live orders."""
        # The ledger first: what is placed from here on is told by the stream, and at worst found
        # by the next comparison.
        known = await self._ledger.orders(self._grids)
        live = [order for order in known.values() if not order.status.terminal]
        if since_ns is None:
            since_ns = await self._first_since(live, now_ns=now_ns)
        exchange = self._exchange
        await exchange.read_open()
        if self._new:
            await exchange.read_history(self._horizon_ns)
        absent = await exchange.look_for(live)
        self.missing = [order for order in absent if order.status.resting]
        # What an order has counted, even if nothing of it was the grid's, as of a forced one.
        counted = {number for order in known.values() for number in order.execution_ids}
        by_order, orders = await self._new_executions(counted, since_ns)
        states = _furthest(orders, exchange.states, self._forgotten_states())
        if any(s.client_oid not in known and tag_of(s) in self._tags for s in states.values()):
            self._skip_what_is_put_aside(states, await self._ledger.put_aside())
        return in_order_of_time(
            _news(known.get(state.client_oid), state, by_order.get(exchange_id, ()))
            for exchange_id, state in states.items()
            if state.client_oid in known or exchange_id not in self._skipped
        )

    def whole(self, found: Iterable[OrderUpdate]) -> tuple[GridIdentity, ...]:
        """The new grids of which nothing was found."""
        about = {tag_of(update) for update in found}
        return tuple(
            grid.identity for grid in self._new if bot_tag(grid.identity.bot_id) not in about
        )

    async def _first_since(self, live: Sequence[Order], *, now_ns: int) -> int:
        newest = [
            await self._ledger.newest_execution_ns(grid, now_ns=now_ns) for grid in self._grids
        ]
        times = [time_ns for time_ns in newest if time_ns is not None]
        if times:
            return max(times) - FIRST_OVERLAP_NS
        return min((order.created_ns for order in live), default=now_ns) - FIRST_OVERLAP_NS

    def _forgotten_states(self) -> dict[str, OrderUpdate]:
        """What is open or has filled of the new grids' orders, by the exchange's id."""
        return {
            exchange_id: order
            for exchange_id, order in self._exchange.history.items()
            if tag_of(order) in self._new_tags and (order.status.resting or order.filled_quantity)
        }

    async def _new_executions(
        self, counted: set[str], since_ns: int
    ) -> tuple[dict[str, list[Execution]], dict[str, OrderUpdate]]:
        """What the exchange executed and the ledger has not counted, oldest first, by order.

        With the orders, all by the exchange's id.
        """
        for grid in self._grids:
            counted |= await self._ledger.counted(grid, 0 if is_new(grid) else since_ns)
        from_ns = min(since_ns, self._horizon_ns) if self._new else since_ns
        executions = [
            execution
            for execution in await self._exchange.executions_since(from_ns)
            if execution.exchange_order_id not in self._skipped
        ]
        uncounted = [e for e in executions if e.execution_id not in counted]
        orders = await self._exchange.orders_of(uncounted)
        uncounted = await self._without_old_forced(uncounted, orders, since_ns)
        forced_since_ns = self._forced_since_ns(executions)
        by_order: defaultdict[str, list[Execution]] = defaultdict(list)
        for execution in uncounted:
            order = orders.get(execution.exchange_order_id)
            if order is None:
                self.orderless += 1
                _log.error(
                    "execution_without_order",
                    symbol=execution.symbol,
                    execution=execution.execution_id,
                    exchange_order_id=execution.exchange_order_id,
                )
            elif self._concerns_us(execution, order, since_ns, forced_since_ns):
                named = replace(execution, client_oid=order.client_oid)
                by_order[execution.exchange_order_id].append(named)
        return by_order, {exchange_id: orders[exchange_id] for exchange_id in by_order}

    async def _without_old_forced(
        self, executions: list[Execution], orders: Mapping[str, OrderUpdate], since_ns: int
    ) -> list[Execution]:
        """Without those that a neighbour counted so long ago that it was not asked for them."""
        forced = {i for i, order in orders.items() if order.forced is not Forced.NONE}
        times = [e.exchange_time_ns for e in executions if e.exchange_order_id in forced]
        if not times or min(times) >= since_ns:
            return executions
        counted: set[str] = set()
        for grid in self._grids:
            counted |= await self._ledger.counted(grid, min(times))
        return [e for e in executions if e.execution_id not in counted]

    def _forced_since_ns(self, executions: Iterable[Execution]) -> int | None:
        """When a grid that is new to the ledger began to hold something."""
        history = self._exchange.history
        return min(
            (
                execution.exchange_time_ns
                for execution in executions
                if (order := history.get(execution.exchange_order_id))
                and tag_of(order) in self._new_tags
            ),
            default=None,
        )

    def _concerns_us(
        self,
        execution: Execution,
        order: OrderUpdate,
        since_ns: int,
        forced_since_ns: int | None,
    ) -> bool:
        time_ns = execution.exchange_time_ns
        if order.forced is not Forced.NONE:
            # What was closed by force before there was a grid took nothing from it.
            held = forced_since_ns is not None and time_ns >= forced_since_ns
            return held or epoch_at(time_ns) >= self._epoch
        # Of the long past only what is new to the ledger matters, and no stranger.
        return tag_of(order) in self._new_tags or time_ns >= since_ns

    def _skip_what_is_put_aside(
        self, states: Mapping[str, OrderUpdate], put_aside: Mapping[str, Quarantined]
    ) -> None:
        for exchange_id, state in states.items():
            item = put_aside.get(exchange_id)
            if item is None or self._may_be_ours_by_now(state, item):
                continue
            aside = item.update
            if (
                aside.filled_quantity >= state.filled_quantity
                and next_status(aside.status, state.status) is aside.status
            ):
                self._skipped.add(exchange_id)

    def _may_be_ours_by_now(self, state: OrderUpdate, item: Quarantined) -> bool:
        """Whether it was put aside only because its grid was not registered yet."""
        ours = state.forced is not Forced.NONE or tag_of(state) in self._tags
        return ours and OF_NO_GRID in item.reason


def _news(
    known: Order | None, state: OrderUpdate, executions: Sequence[Execution]
) -> list[OrderUpdate]:
    """What the ledger does not know of an order."""
    updates = progress(state, executions)
    if updates and updates[-1].status is state.status:
        return updates
    if known is not None and not _is_news(known, state):
        return updates
    if known is None and state.forced is not Forced.NONE and not updates:
        return []  # what matters of a forced order is what it executed
    return [*updates, state]


def _is_news(known: Order, state: OrderUpdate) -> bool:
    """Whether the exchange's state of an order tells the ledger anything."""
    return (
        next_status(known.status, state.status) is not known.status
        or state.filled_quantity > known.filled_quantity
        or (bool(state.exchange_order_id) and not known.exchange_order_id)
    )


def _furthest(*views: Mapping[str, OrderUpdate]) -> dict[str, OrderUpdate]:
    """Of what look-ups said of each order, that which has happened last."""
    states: dict[str, OrderUpdate] = {}
    for view in views:
        for exchange_id, seen in view.items():
            known = states.get(exchange_id)
            if known is None or _progress_of(seen) >= _progress_of(known):
                states[exchange_id] = seen
    return states


def _progress_of(state: OrderUpdate) -> tuple[bool, Decimal]:
    return state.status.terminal, state.filled_quantity


def is_new(grid: GridBook) -> bool:
    """Whether the ledger may not know yet what the exchange has of a grid."""
    return grid.standing is Standing.RECONCILING


def tag_of(update: OrderUpdate) -> str | None:
    """The tag of the bot that an order's id names."""
    parsed = parse_order_id(update.client_oid)
    return parsed.bot_tag if parsed is not None else None
