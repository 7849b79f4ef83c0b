"""What happened to orders, as updates that can be applied one after the other."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from opensqt.core.events import OrderUpdate
from opensqt.core.numbers import ZERO
from opensqt.core.orders import Execution, OrderStatus


def progress(state: OrderUpdate, executions: Sequence[Execution]) -> list[OrderUpdate]:
    """The executions of an order one by one, each with the quantity that was filled by then.

    So each counts at its own price. All leave the order partially filled, except for the one that
    fills it whole.
    """
    before = state.filled_quantity - sum((e.quantity for e in executions), ZERO)
    filled = max(before, ZERO)
    updates: list[OrderUpdate] = []
    for execution in executions:
        filled += execution.quantity
        whole = state.status is OrderStatus.FILLED and filled == state.filled_quantity
        updates.append(
            replace(
                state,
                status=OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED,
                filled_quantity=filled,
                execution=execution,
                exchange_time_ns=execution.exchange_time_ns,
            )
        )
    return updates


def in_order_of_time(orders: Iterable[Sequence[OrderUpdate]]) -> tuple[OrderUpdate, ...]:
    """The updates of many orders in the order in which things happened.

    The order matters where a slot's closing follows its opening. What is told of one order stays
    in its order, whatever its times say; of two orders at the same time the older one comes first.
    """
    timed: list[tuple[int, int, str, int, OrderUpdate]] = []
    for updates in orders:
        time_ns = 0
        for number, update in enumerate(updates):
            time_ns = max(time_ns, update.exchange_time_ns)
            order_id = update.exchange_order_id
            timed.append((time_ns, len(order_id), order_id, number, update))
    return tuple(entry[-1] for entry in sorted(timed, key=lambda entry: entry[:-1]))
