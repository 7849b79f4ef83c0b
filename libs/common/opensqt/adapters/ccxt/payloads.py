"""Binance USD-M payloads, raw, to the core's values: every number from its text, exactly."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from opensqt.core.events import (
    Candle,
    FundingUpdate,
    OrderUpdate,
    Position,
    PositionUpdate,
    UpdateSource,
)
from opensqt.core.instrument import Instrument
from opensqt.core.numbers import ZERO, parse_decimal
from opensqt.core.orders import EndReason, Execution, OrderStatus, Side

NS_PER_MS: Final = 1_000_000

Payload = Mapping[str, Any]


class PayloadError(ValueError):
    """A payload that is not what the exchange documents: what was found."""


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

ONE_WAY: Final = "BOTH"
"""Position side of an account in one-way mode; we do not trade in hedge mode."""


def number(payload: Payload, key: str) -> Decimal:
    """An exact number.

    Raises:
        PayloadError: Missing, or not a decimal number as text.
    """
    try:
        return parse_decimal(payload[key], name=key)
    except KeyError:
        raise PayloadError(f"{key} is missing") from None


def positive_or_none(payload: Payload, key: str) -> Decimal | None:
    """A number that the exchange writes as 0 or leaves out when it has none."""
    if payload.get(key) in (None, ""):
        return None
    value = number(payload, key)
    return value if value > 0 else None


def optional(payload: Payload, key: str) -> Decimal | None:
    """A number that may be missing."""
    return None if payload.get(key) in (None, "") else number(payload, key)


def time_ns(payload: Payload, key: str) -> int:
    """A time, from milliseconds."""
    return int(payload[key]) * NS_PER_MS


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


def queried_position(symbol: str, rows: list[Payload]) -> Position:
    """The account's position from positionRisk, which leaves flat symbols out.

    Raises:
        PayloadError: The account is in hedge mode.
    """
    held = [row for row in rows if row["symbol"] == symbol]
    for row in held:
        if row.get("positionSide", ONE_WAY) != ONE_WAY:
            raise PayloadError(f"{symbol}: the account is in hedge mode; allowed is one-way mode")
    if not held:
        return flat(symbol)
    row = held[0]
    quantity = number(row, "positionAmt")
    return Position(
        symbol=symbol,
        quantity=quantity,
        entry_price=positive_or_none(row, "entryPrice") if quantity else None,
        mark_price=positive_or_none(row, "markPrice"),
        unrealised_pnl=optional(row, "unRealizedProfit"),
        liquidation_price=positive_or_none(row, "liquidationPrice"),
    )


def flat(symbol: str) -> Position:
    """No position."""
    return Position(
        symbol=symbol,
        quantity=ZERO,
        entry_price=None,
        mark_price=None,
        unrealised_pnl=None,
        liquidation_price=None,
    )


def streamed_positions(
    event: Payload, known: Mapping[str, Position], *, account: str, receive_time_ns: int
) -> tuple[PositionUpdate, ...]:
    """An ACCOUNT_UPDATE: the positions that changed, and the balance that changed with them.

    Args:
        event: The payload.
        known: The last positions by symbol: funding comes without a position, and can be told of
            a symbol only when just one is held.
        account: Whose.
        receive_time_ns: When it came.

    Raises:
        PayloadError: The account is in hedge mode, or a field is not as documented.
    """
    update: Payload = event["a"]
    positions = [_streamed_position(row) for row in update.get("P", ())]
    if not positions:
        held = [position for position in known.values() if position.quantity]
        positions = held if len(held) == 1 else []
    balances = update.get("B", ())
    balance: Payload = balances[0] if len(balances) == 1 else {}
    return tuple(
        PositionUpdate(
            account=account,
            position=position,
            cause=str(update.get("m", "")),
            wallet_balance=optional(balance, "wb"),
            # The change belongs to the whole event, so only its first position carries it.
            balance_change=optional(balance, "bc") if index == 0 else None,
            exchange_time_ns=time_ns(event, "T"),
            receive_time_ns=receive_time_ns,
        )
        for index, position in enumerate(positions)
    )


def _streamed_position(row: Payload) -> Position:
    if row.get("ps", ONE_WAY) != ONE_WAY:
        raise PayloadError(f"{row['s']}: the account is in hedge mode; allowed is one-way mode")
    quantity = number(row, "pa")
    return Position(
        symbol=str(row["s"]),
        quantity=quantity,
        entry_price=positive_or_none(row, "ep") if quantity else None,
        mark_price=None,
        unrealised_pnl=optional(row, "up"),
        liquidation_price=None,
    )


def instrument(row: Payload) -> Instrument:
    """A row of exchangeInfo."""
    filters = {item["filterType"]: item for item in row["filters"]}
    lot = filters["LOT_SIZE"]
    return Instrument(
        symbol=str(row["symbol"]),
        base=str(row["baseAsset"]),
        quote=str(row["quoteAsset"]),
        tick_size=number(filters["PRICE_FILTER"], "tickSize"),
        step_size=number(lot, "stepSize"),
        min_quantity=number(lot, "minQty"),
        max_quantity=number(lot, "maxQty"),
        min_notional=number(filters["MIN_NOTIONAL"], "notional"),
    )


def trades_now(row: Payload) -> bool:
    """Whether a row of exchangeInfo is a perpetual that can be traded."""
    return row.get("status") == "TRADING" and row.get("contractType") == "PERPETUAL"


def streamed_candle(event: Payload) -> Candle:
    """A kline event."""
    bar: Payload = event["k"]
    return Candle(
        symbol=str(bar["s"]),
        open_time_ns=time_ns(bar, "t"),
        interval_s=60,
        open=number(bar, "o"),
        high=number(bar, "h"),
        low=number(bar, "l"),
        close=number(bar, "c"),
        volume=number(bar, "v"),
        closed=bool(bar["x"]),
    )


def queried_candle(symbol: str, row: list[Any], *, now_ms: int) -> Candle:
    """A row of klines: open time, prices, volume, close time, and more."""
    values = dict(zip(("t", "o", "h", "l", "c", "v", "T"), row, strict=False))
    return Candle(
        symbol=symbol,
        open_time_ns=time_ns(values, "t"),
        interval_s=60,
        open=number(values, "o"),
        high=number(values, "h"),
        low=number(values, "l"),
        close=number(values, "c"),
        volume=number(values, "v"),
        closed=int(values["T"]) < now_ms,
    )


def streamed_funding(
    event: Payload, *, interval_hours: int | None, receive_time_ns: int
) -> FundingUpdate | None:
    """A markPriceUpdate; None for a contract without funding."""
    rate = optional(event, "r")
    if rate is None or not event.get("T"):
        return None
    return FundingUpdate(
        symbol=str(event["s"]),
        rate=rate,
        settlement_time_ns=time_ns(event, "T"),
        interval_hours=interval_hours,
        mark_price=positive_or_none(event, "p"),
        index_price=positive_or_none(event, "i"),
        exchange_time_ns=time_ns(event, "E"),
        receive_time_ns=receive_time_ns,
    )
