"""What an exchange has of a grid, as updates that can be applied one after the other.

Asked for wherever something may have happened that was not told: at the start, since the checkpoint
is older than the crash, and after a gap in the account's stream.
"""

from collections import defaultdict
from collections.abc import Iterable

from opensqt.core.events import Forced, OrderUpdate
from opensqt.core.grid.book import GridBook
from opensqt.core.identifiers import bot_tag, parse_order_id
from opensqt.core.orders import Execution
from opensqt.core.timeline import in_order_of_time, progress
from opensqt.ports import OrderSide


async def what_happened(
    exchange: OrderSide, book: GridBook, *, since_ns: int
) -> tuple[OrderUpdate, ...]:
    """Every order of a grid that was made, or has traded, or is live in the book, since a time.

    Whatever of it is known already changes nothing when it is applied again.

    Args:
        exchange: Is asked; it remembers orders for days, and executions for months.
        book: The grid.
        since_ns: How far back to look.

    Raises:
        DependencyError: The exchange does not answer.
    """
    symbol = book.identity.symbol
    # The executions first: what trades in between is in the orders, and comes once more by itself.
    executions = await exchange.executions_since(symbol, since_ns)
    found = {
        update.exchange_order_id: update
        for update in (
            *await exchange.orders_since(symbol, since_ns),
            *await exchange.open_orders(symbol),
        )
    }
    names = {update.client_oid for update in found.values()}
    for order in book.live_orders():
        if order.client_oid not in names:
            update = await exchange.find_order(symbol, order.client_oid)
            if update is not None:
                found[update.exchange_order_id] = update
    for order_id in dict.fromkeys(item.exchange_order_id for item in executions):
        if order_id not in found:
            update = await exchange.find_order_by_exchange_id(symbol, order_id)
            if update is not None:
                found[order_id] = update
    tag = bot_tag(book.identity.bot_id)
    return _told(tag, found.values(), executions)


def concerns(tag: str, update: OrderUpdate) -> bool:
    """Whether an update may be of the grid with this tag: by its id, or since it was forced."""
    if update.forced is not Forced.NONE:
        return True
    parsed = parse_order_id(update.client_oid)
    return parsed is not None and parsed.bot_tag == tag


def _told(
    tag: str, found: Iterable[OrderUpdate], executions: Iterable[Execution]
) -> tuple[OrderUpdate, ...]:
    by_order: defaultdict[str, list[Execution]] = defaultdict(list)
    for execution in executions:
        by_order[execution.exchange_order_id].append(execution)
    return in_order_of_time(
        [*progress(update, by_order[update.exchange_order_id]), update]
        for update in found
        if concerns(tag, update)
    )
