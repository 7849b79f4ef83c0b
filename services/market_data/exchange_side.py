"""What the exchange knows of one market, for comparing the ledger with it."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final

from opensqt.core.events import OrderUpdate
from opensqt.core.orders import Execution, Order
from opensqt.ports import AccountFeed

LOOK_UPS_AT_ONCE: Final = 8
LOOK_UPS_MAX: Final = 20
"""More orders than this are looked for in the history first, which shows a thousand at once."""
CLOCKS_NS: Final = 60 * 10**9
"""How far the clocks may be apart."""


class ExchangeSide:
    """One comparison's view of one market; every method raises DependencyError.

    Args:
        feed: The exchange.
        symbol: The market.
    """

    def __init__(self, feed: AccountFeed, symbol: str) -> None:
        self._feed = feed
        self._symbol = symbol
        self.states: dict[str, OrderUpdate] = {}
        """Where orders stand that the ledger should know, by the exchange's id."""
        self.history: dict[str, OrderUpdate] = {}
        """Every order since the beginning of the horizon, when it was asked for."""

    async def read_open(self) -> None:
        """Read the open orders."""
        self._note(await self._feed.open_orders(self._symbol))

    async def read_history(self, since_ns: int) -> None:
        """Read every order that was made since then."""
        orders = await self._feed.orders_since(self._symbol, since_ns)
        self.history |= {order.exchange_order_id: order for order in orders}

    async def look_for(self, orders: Iterable[Order]) -> list[Order]:
        """Find out where orders stand that are not open; those that the exchange does not have."""
        known = {state.client_oid for state in self.states.values()}
        absent = [order for order in orders if order.client_oid not in known]
        if len(absent) > LOOK_UPS_MAX and not self.history:
            await self.read_history(min(order.created_ns for order in absent) - CLOCKS_NS)
        ended = {u.client_oid: u for u in self.history.values() if u.status.terminal}
        self._note(ended[order.client_oid] for order in absent if order.client_oid in ended)
        absent = [order for order in absent if order.client_oid not in ended]
        found = await self._each(
            self._feed.find_order(self._symbol, order.client_oid) for order in absent
        )
        self._note(update for update in found if update is not None)
        return [order for order, update in zip(absent, found, strict=True) if update is None]

    async def executions_since(self, since_ns: int) -> tuple[Execution, ...]:
        """Every execution since then, oldest first."""
        return await self._feed.executions_since(self._symbol, since_ns)

    async def orders_of(self, executions: Iterable[Execution]) -> dict[str, OrderUpdate]:
        """The orders of executions, by the exchange's id, as far as it tells them."""
        ids = dict.fromkeys(execution.exchange_order_id for execution in executions)
        known = self.history | self.states
        unseen = [exchange_id for exchange_id in ids if exchange_id not in known]
        found = await self._each(
            self._feed.find_order_by_exchange_id(self._symbol, exchange_id)
            for exchange_id in unseen
        )
        known |= {order.exchange_order_id: order for order in found if order is not None}
        return {exchange_id: known[exchange_id] for exchange_id in ids if exchange_id in known}

    def _note(self, updates: Iterable[OrderUpdate]) -> None:
        self.states |= {update.exchange_order_id: update for update in updates}

    async def _each(
        self, asking: Iterable[Coroutine[Any, Any, OrderUpdate | None]]
    ) -> list[OrderUpdate | None]:
        at_once = asyncio.Semaphore(LOOK_UPS_AT_ONCE)

        async def ask(one: Coroutine[Any, Any, OrderUpdate | None]) -> OrderUpdate | None:
            async with at_once:
                return await one

        return list(await asyncio.gather(*(ask(one) for one in asking)))
