"""Binance USD-M orders and executions, raw, to the core's values."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from opensqt.adapters.ccxt.payloads import (
    Payload,
    PayloadError,
    amount,
    event_time_ns,
    flag,
    number,
    optional,
    positive_or_none,
)
from opensqt.core.events import Forced, OrderUpdate, UpdateSource
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
    # Of liquidations, in the past: by the insurance fund, and by a counterparty.
    "NEW_INSURANCE": OrderStatus.NEW,
    "NEW_ADL": OrderStatus.NEW,
}

EXECUTION_TYPES: Final = frozenset(
    {"NEW", "CANCELED", "CALCULATED", "EXPIRED", "TRADE", "AMENDMENT", "REJECTED"}
)
"""CALCULATED: executed by a liquidation."""

FORCED_ID_PREFIXES: Final[Mapping[str, Forced]] = {
    "autoclose-": Forced.LIQUIDATION,
    "adl_autoclose": Forced.DELEVERAGING,
    "settlement_autoclose-": Forced.SETTLEMENT,
}
FORCED_WORDS: Final[Mapping[str, Forced]] = {
    "LIQUIDATION": Forced.LIQUIDATION,  # an order type
    "CALCULATED": Forced.LIQUIDATION,  # an execution type
    "NEW_INSURANCE": Forced.LIQUIDATION,
    "NEW_ADL": Forced.DELEVERAGING,
}


def order_status(text: Any) -> OrderStatus:
    """The status of an order.

    Raises:
        PayloadError: One that we do not know: what it means must not be guessed.
    """
    status = ORDER_STATUSES.get(str(text))
    if status is None:
        raise PayloadError(f"order status {text!r}: known are {', '.join(ORDER_STATUSES)}")
    return status


def forced(client_oid: str, *words: Any) -> Forced:
    """Whether the exchange made an order itself.

    Args:
        client_oid: Its client order id, which says it best.
        words: Its status, its type, and the type of its execution, as far as they are told.
    """
    for prefix, kind in FORCED_ID_PREFIXES.items():
        if client_oid.startswith(prefix):
            return kind
    return next((FORCED_WORDS[w] for w in map(str, words) if w in FORCED_WORDS), Forced.NONE)


def queried_order(
    row: Payload, *, account: str, source: UpdateSource, receive_time_ns: int
) -> OrderUpdate:
    """An order as a look-up, or the answer to a cancel, shows it.

    Raises:
        PayloadError: Its fields are not as documented, or contradict each other.
    """
    client_oid = str(row["clientOrderId"])
    made_by_exchange = forced(client_oid, row["status"], row.get("type"), row.get("origType"))
    return OrderUpdate(
        account=account,
        symbol=str(row["symbol"]),
        client_oid=client_oid,
        exchange_order_id=str(row["orderId"]),
        side=Side(row["side"]),
        status=order_status(row["status"]),
        end_reason=_end_reason(
            str(row["status"]),
            forced=made_by_exchange,
            time_in_force=str(row.get("timeInForce", "")),
            reduce_only=flag(row, "reduceOnly"),
        ),
        price=positive_or_none(row, "price"),
        quantity=amount(row, "origQty"),
        filled_quantity=_filled(row, "executedQty", of="origQty"),
        average_price=positive_or_none(row, "avgPrice"),
        execution=None,
        source=source,
        exchange_time_ns=event_time_ns(row, "updateTime", receive_time_ns=receive_time_ns),
        receive_time_ns=receive_time_ns,
        forced=made_by_exchange,
    )


def streamed_order(event: Payload, *, account: str, receive_time_ns: int) -> OrderUpdate:
    """An ORDER_TRADE_UPDATE: where the order stands, and the execution if it was one.

    Raises:
        PayloadError: Its fields are not as documented, or contradict each other.
    """
    order: Payload = event["o"]
    if order["x"] not in EXECUTION_TYPES:
        raise PayloadError(f"execution type {order['x']!r}: known are {sorted(EXECUTION_TYPES)}")
    client_oid = str(order["c"])
    made_by_exchange = forced(client_oid, order["X"], order["x"], order.get("o"), order.get("ot"))
    return OrderUpdate(
        account=account,
        symbol=str(order["s"]),
        client_oid=client_oid,
        exchange_order_id=str(order["i"]),
        side=Side(order["S"]),
        status=order_status(order["X"]),
        end_reason=_end_reason(
            str(order["X"]),
            forced=made_by_exchange,
            time_in_force=str(order.get("f", "")),
            reduce_only=flag(order, "R"),
        ),
        price=positive_or_none(order, "p"),
        quantity=amount(order, "q"),
        filled_quantity=_filled(order, "z", of="q"),
        average_price=positive_or_none(order, "ap"),
        execution=_streamed_execution(order, receive_time_ns=receive_time_ns),
        source=UpdateSource.STREAM,
        exchange_time_ns=event_time_ns(event, "T", receive_time_ns=receive_time_ns),
        receive_time_ns=receive_time_ns,
        forced=made_by_exchange,
    )


def _streamed_execution(order: Payload, *, receive_time_ns: int) -> Execution | None:
    if order["x"] not in ("TRADE", "CALCULATED") or not amount(order, "l"):
        return None
    # A liquidation may come without a trade id; its cumulative quantity tells its parts apart.
    trade_id = str(order.get("t") or f"{order['i']}-{order['z']}")
    return Execution(
        execution_id=trade_id,
        client_oid=str(order["c"]),
        symbol=str(order["s"]),
        side=Side(order["S"]),
        price=_positive(order, "L"),
        quantity=_positive(order, "l"),
        fee=optional(order, "n"),
        fee_asset=str(order.get("N") or ""),
        maker=flag(order, "m"),
        exchange_time_ns=event_time_ns(order, "T", receive_time_ns=receive_time_ns),
        exchange_order_id=str(order["i"]),
    )


def queried_execution(row: Payload, *, receive_time_ns: int) -> Execution:
    """A row of userTrades, which names the order by the exchange's id alone.

    Raises:
        PayloadError: Its fields are not as documented.
    """
    return Execution(
        execution_id=str(row["id"]),
        client_oid="",
        symbol=str(row["symbol"]),
        side=Side(row["side"]),
        price=_positive(row, "price"),
        quantity=_positive(row, "qty"),
        fee=optional(row, "commission"),
        fee_asset=str(row.get("commissionAsset") or ""),
        maker=flag(row, "maker"),
        exchange_time_ns=event_time_ns(row, "time", receive_time_ns=receive_time_ns),
        exchange_order_id=str(row["orderId"]),
    )


def _positive(payload: Payload, key: str) -> Decimal:
    value = number(payload, key)
    if value <= 0:
        raise PayloadError(f"{key}: {value} of an execution is not positive")
    return value


def _filled(payload: Payload, key: str, *, of: str) -> Decimal:
    """What has filled; an order that closes a whole position is told with a quantity of zero."""
    filled, quantity = amount(payload, key), amount(payload, of)
    if quantity and filled > quantity:
        raise PayloadError(f"{key}: {filled} filled of {quantity}")
    return filled


def _end_reason(status: str, *, forced: Forced, time_in_force: str, reduce_only: bool) -> EndReason:
    """Why an order ended without being filled whole, as far as its payload tells."""
    if not order_status(status).terminal or status == "FILLED":
        return EndReason.NONE
    if forced is not Forced.NONE:
        return EndReason.FORCED
    if status == "CANCELED":
        return EndReason.CANCEL_REQUESTED
    if status == "EXPIRED_IN_MATCH":
        return EndReason.SELF_TRADE_PREVENTION
    if time_in_force == "GTX":
        return EndReason.POST_ONLY_WOULD_TAKE
    # A reduce-only order is taken back when the position is gone.
    return EndReason.REDUCE_ONLY_REJECTED if reduce_only else EndReason.OTHER
