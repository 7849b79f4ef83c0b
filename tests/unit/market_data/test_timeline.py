"""What happened, in the order in which it can be applied."""

from dataclasses import replace
from decimal import Decimal as D

from opensqt.core.events import OrderUpdate, UpdateSource
from opensqt.core.orders import EndReason, Execution, OrderStatus, Side
from opensqt.core.timeline import in_order_of_time, progress

STATE = OrderUpdate(
    account="main",
    symbol="BTCUSDT",
    client_oid="a",
    exchange_order_id="9",
    side=Side.BUY,
    status=OrderStatus.FILLED,
    end_reason=EndReason.NONE,
    price=D(100),
    quantity=D(3),
    filled_quantity=D(3),
    average_price=D(100),
    execution=None,
    source=UpdateSource.QUERY,
    exchange_time_ns=50,
    receive_time_ns=60,
)


def execution(number: int, quantity: str, time_ns: int) -> Execution:
    return Execution(
        execution_id=str(number),
        client_oid="a",
        symbol="BTCUSDT",
        side=Side.BUY,
        price=D(100),
        quantity=D(quantity),
        fee=D(0),
        fee_asset="USDT",
        maker=True,
        exchange_time_ns=time_ns,
        exchange_order_id="9",
    )


def stands(updates: list[OrderUpdate]) -> list[tuple[OrderStatus, D]]:
    return [(update.status, update.filled_quantity) for update in updates]


def test_every_execution_has_what_was_filled_by_then() -> None:
    told = progress(STATE, [execution(1, "1", 10), execution(2, "2", 20)])
    assert stands(told) == [(OrderStatus.PARTIALLY_FILLED, D(1)), (OrderStatus.FILLED, D(3))]
    assert [update.exchange_time_ns for update in told] == [10, 20]


def test_what_filled_before_is_not_told_again() -> None:
    assert stands(progress(STATE, [execution(2, "2", 20)])) == [(OrderStatus.FILLED, D(3))]


def test_an_order_that_was_cancelled_is_not_ended_by_its_last_fill() -> None:
    canceled = replace(STATE, status=OrderStatus.CANCELED, filled_quantity=D(1))
    told = progress(canceled, [execution(1, "1", 10)])
    assert stands(told) == [(OrderStatus.PARTIALLY_FILLED, D(1))]


def test_executions_ahead_of_a_state_that_lags_count_from_nought() -> None:
    lagging = replace(STATE, status=OrderStatus.NEW, filled_quantity=D(0))
    told = progress(lagging, [execution(1, "1", 10), execution(2, "1", 20)])
    assert stands(told) == [(OrderStatus.PARTIALLY_FILLED, D(n)) for n in (1, 2)]


def at(order_id: str, *times_ns: int) -> list[OrderUpdate]:
    return [replace(STATE, exchange_order_id=order_id, exchange_time_ns=t) for t in times_ns]


def told(*orders: list[OrderUpdate]) -> list[tuple[str, int]]:
    return [(u.exchange_order_id, u.exchange_time_ns) for u in in_order_of_time(orders)]


def test_orders_are_told_as_they_took_turns() -> None:
    assert told(at("8", 20, 40), at("7", 10, 30)) == [("7", 10), ("8", 20), ("7", 30), ("8", 40)]


def test_of_two_at_the_same_time_the_older_order_comes_first() -> None:
    # Numbers grow beyond a digit: 9 is older than 10.
    assert told(at("10", 5), at("9", 5)) == [("9", 5), ("10", 5)]


def test_what_is_told_of_one_order_keeps_its_order() -> None:
    assert told(at("7", 30, 10), at("8", 20)) == [("8", 20), ("7", 30), ("7", 10)]
