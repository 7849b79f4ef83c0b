"""Binance USD-M orders and executions, raw, to the core's values."""

from collections.abc import Mapping
from typing import Any, Final

from opensqt.adapters.ccxt.payloads import (
    Payload,
    PayloadError,
    number,
    optional,
    positive_or_none,
    time_ns,
)
from opensqt.core.events import OrderUpdate, UpdateSource
from opensqt.core.orders import EndReason, Execution, OrderStatus, Side

ORDER_STATUSES: Final[Mapping[str, OrderStatus]] = {
    "NEW": OrderStatus.NEW,
    "PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELED,
    "EXPIRED": OrderStatus.EXPIRED,
    # Self-trade prevention took the order back.
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
    "REJECTED": OrderStatus.REJECTED,
}

EXECUTION_TYPES: Final = frozenset(
    {"NEW", "CANCELED", "CALCULATED", "EXPIRED", "TRADE", "AMENDMENT", "REJECTED"}
)
"""CALCULATED: executed by a liquidation."""

FORCED_ID_PREFIXES: Final = ("autoclose-", "adl_autoclose", "settlement_autoclose-")


def order_status(text: Any) -> OrderStatus:
    """The status of an order.

    Raises:
        PayloadError: One that we do not know: what it means must not be guessed.
    """
    status = ORDER_STATUSES.get(str(text))
    if status is None:
        raise PayloadError(f"order status {text!r}: known are {', '.join(ORDER_STATUSES)}")
    return status


def queried_order(
    row: Payload, *, account: str, source: UpdateSource, receive_time_ns: int
) -> OrderUpdate:
    """An order as a look-up, or the answer to a cancel, shows it."""
    client_oid = str(row["clientOrderId"])
    return OrderUpdate(
        account=account,
        symbol=str(row["symbol"]),
        client_oid=client_oid,
        exchange_order_id=str(row["orderId"]),
        side=Side(row["side"]),
        status=order_status(row["status"]),
        end_reason=_end_reason(
            str(row["status"]),
            client_oid=client_oid,
            time_in_force=str(row.get("timeInForce", "")),
            reduce_only=bool(row.get("reduceOnly", False)),
        ),
        price=positive_or_none(row, "price"),
        quantity=number(row, "origQty"),
        filled_quantity=number(row, "executedQty"),
        average_price=positive_or_none(row, "avgPrice"),
        execution=None,
        source=source,
        exchange_time_ns=time_ns(row, "updateTime"),
        receive_time_ns=receive_time_ns,
    )


def streamed_order(event: Payload, *, account: str, receive_time_ns: int) -> OrderUpdate:
    """An ORDER_TRADE_UPDATE: where the order stands, and the execution if it was one."""
    order: Payload = event["o"]
    if order["x"] not in EXECUTION_TYPES:
        raise PayloadError(f"execution type {order['x']!r}: known are {sorted(EXECUTION_TYPES)}")
    client_oid = str(order["c"])
    return OrderUpdate(
        account=account,
        symbol=str(order["s"]),
        client_oid=client_oid,
        exchange_order_id=str(order["i"]),
        side=Side(order["S"]),
        status=order_status(order["X"]),
        end_reason=_end_reason(
            str(order["X"]),
            client_oid=client_oid,
            time_in_force=str(order.get("f", "")),
            reduce_only=bool(order.get("R", False)),
        ),
        price=positive_or_none(order, "p"),
        quantity=number(order, "q"),
        filled_quantity=number(order, "z"),
        average_price=positive_or_none(order, "ap"),
        execution=_streamed_execution(order),
        source=UpdateSource.STREAM,
        exchange_time_ns=time_ns(event, "T"),
        receive_time_ns=receive_time_ns,
    )


def _streamed_execution(order: Payload) -> Execution | None:
    if order["x"] not in ("TRADE", "CALCULATED") or not number(order, "l"):
        return None
    # A liquidation may come without a trade id; its cumulative quantity tells its parts apart.
    trade_id = str(order.get("t") or f"{order['i']}-{order['z']}")
    return Execution(
        execution_id=trade_id,
        client_oid=str(order["c"]),
        symbol=str(order["s"]),
        side=Side(order["S"]),
        price=number(order, "L"),
        quantity=number(order, "l"),
        fee=optional(order, "n"),
        fee_asset=str(order.get("N") or ""),
        maker=bool(order["m"]),
        exchange_time_ns=time_ns(order, "T"),
        exchange_order_id=str(order["i"]),
    )


def queried_execution(row: Payload) -> Execution:
    """A row of userTrades, which names the order by the exchange's id alone."""
    return Execution(
        execution_id=str(row["id"]),
        client_oid="",
        symbol=str(row["symbol"]),
        side=Side(row["side"]),
        price=number(row, "price"),
        quantity=number(row, "qty"),
        fee=optional(row, "commission"),
        fee_asset=str(row.get("commissionAsset") or ""),
        maker=bool(row["maker"]),
        exchange_time_ns=time_ns(row, "time"),
        exchange_order_id=str(row["orderId"]),
    )


def _end_reason(
    status: str, *, client_oid: str, time_in_force: str, reduce_only: bool
) -> EndReason:
    """Why an order ended without being filled whole, as far as its payload tells."""
    if status in ("NEW", "PARTIALLY_FILLED", "FILLED"):
        return EndReason.NONE
    if client_oid.startswith(FORCED_ID_PREFIXES):
        return EndReason.FORCED
    if status == "CANCELED":
        return EndReason.CANCEL_REQUESTED
    if status == "EXPIRED_IN_MATCH":
        return EndReason.SELF_TRADE_PREVENTION
    if time_in_force == "GTX":
        return EndReason.POST_ONLY_WOULD_TAKE
    # A reduce-only order is taken back when the position is gone.
    return EndReason.REDUCE_ONLY_REJECTED if reduce_only else EndReason.OTHER
