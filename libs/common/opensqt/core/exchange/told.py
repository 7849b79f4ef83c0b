"""What the simulated exchange's records say to a trader: its events as those of the trader's side.

As far as an exchange's payloads tell, and no further: why an order ended is told only where Binance
tells it.
"""

from decimal import Decimal
from typing import Final

from opensqt.core.events import OrderUpdate, Position, PositionUpdate, UpdateSource
from opensqt.core.exchange.account import Position as ExchangePosition
from opensqt.core.exchange.events import AccountChanged, OrderRefused, Refused
from opensqt.core.exchange.forced import forced_by_id
from opensqt.core.exchange.orders import Fill, OrderRequest, OrderType, TimeInForce
from opensqt.core.exchange.orders import Order as ExchangeOrder
from opensqt.core.grid.results import PlacementResult
from opensqt.core.orders import EndReason, Execution, Order, OrderStatus

REASONS: Final = {
    Refused.REDUCE_ONLY: EndReason.REDUCE_ONLY_REJECTED,
    Refused.MARGIN: EndReason.INSUFFICIENT_MARGIN,
    Refused.POST_ONLY: EndReason.POST_ONLY_WOULD_TAKE,
    Refused.TOO_MANY_ORDERS: EndReason.RATE_LIMIT,
    Refused.TICK: EndReason.FILTER,
    Refused.STEP: EndReason.FILTER,
    Refused.NOTIONAL: EndReason.FILTER,
    Refused.QUANTITY_TOO_SMALL: EndReason.FILTER,
    Refused.QUANTITY_TOO_LARGE: EndReason.FILTER,
    Refused.PRICE_TOO_HIGH: EndReason.FILTER,
    Refused.PRICE_TOO_LOW: EndReason.FILTER,
}
"""What a refusal tells a trader; any other is OTHER."""


def request_of(order: Order) -> OrderRequest:
    """The request that places an order of ours: a limit, post-only as GTX."""
    return OrderRequest(
        symbol=order.symbol,
        client_order_id=order.client_oid,
        side=order.side,
        type=OrderType.LIMIT,
        quantity=order.quantity,
        price=order.price,
        time_in_force=TimeInForce.GTX if order.post_only else TimeInForce.GTC,
        reduce_only=order.reduce_only,
    )


def accepted(order: Order, taken: ExchangeOrder) -> PlacementResult:
    """The answer to a request that was accepted."""
    return PlacementResult(
        client_oid=order.client_oid,
        status=OrderStatus.NEW,
        exchange_order_id=str(taken.order_id),
    )


def refused(order: Order, refusal: OrderRefused) -> PlacementResult:
    """The answer to a request that was refused.

    An id that is in use proves nothing: the order that has it may be the very one.
    """
    if refusal.reason is Refused.DUPLICATE_ID:
        return PlacementResult(
            client_oid=order.client_oid,
            status=OrderStatus.UNKNOWN,
            end_reason=EndReason.DUPLICATE_ID,
        )
    return PlacementResult(
        client_oid=order.client_oid,
        status=OrderStatus.REJECTED,
        end_reason=REASONS.get(refusal.reason, EndReason.OTHER),
    )


def order_update(
    order: ExchangeOrder,
    *,
    source: UpdateSource,
    receive_time_ns: int,
    fill: Fill | None = None,
    fee_asset: str = "",
) -> OrderUpdate:
    """What is told of an order as it stands.

    Args:
        order: The exchange's record.
        source: How it is told.
        receive_time_ns: When it is heard.
        fill: The fill that is told with it.
        fee_asset: What the fill's fee was paid in.
    """
    client_oid = order.client_order_id
    return OrderUpdate(
        account=order.account,
        symbol=order.symbol,
        client_oid=client_oid,
        exchange_order_id=str(order.order_id),
        side=order.side,
        status=order.status,
        end_reason=_end_reason(order),
        price=order.price,
        quantity=order.quantity,
        filled_quantity=order.executed,
        average_price=order.average_price or None,
        execution=(
            execution_of(fill, client_oid=client_oid, fee_asset=fee_asset) if fill else None
        ),
        source=source,
        exchange_time_ns=order.updated_ns,
        receive_time_ns=receive_time_ns,
        forced=forced_by_id(client_oid),
    )


def execution_of(fill: Fill, *, client_oid: str, fee_asset: str) -> Execution:
    """What is told of a fill; `client_oid` is empty where only the exchange's own id is told."""
    return Execution(
        execution_id=str(fill.trade_id),
        client_oid=client_oid,
        symbol=fill.symbol,
        side=fill.side,
        price=fill.price,
        quantity=fill.quantity,
        fee=fill.fee,
        fee_asset=fee_asset,
        maker=fill.maker,
        exchange_time_ns=fill.time_ns,
        exchange_order_id=str(fill.order_id),
    )


def position_of(held: ExchangePosition, *, mark_price: Decimal | None = None) -> Position:
    """What is told of a position."""
    return Position(
        symbol=held.symbol,
        quantity=held.quantity,
        entry_price=held.entry_price if held.quantity else None,
        mark_price=mark_price,
        unrealised_pnl=None if mark_price is None else held.unrealised(mark_price),
        liquidation_price=None,
    )


def position_update(event: AccountChanged, *, receive_time_ns: int) -> PositionUpdate | None:
    """What is told of a change of the account; None for one of the wallet alone."""
    if event.position is None:
        return None
    return PositionUpdate(
        account=event.account,
        position=position_of(event.position),
        cause=event.reason,
        wallet_balance=event.wallet,
        balance_change=event.balance_change,
        exchange_time_ns=event.time_ns,
        receive_time_ns=receive_time_ns,
    )


def _end_reason(order: ExchangeOrder) -> EndReason:
    if order.status is OrderStatus.CANCELED:
        return EndReason.CANCEL_REQUESTED
    if order.status is not OrderStatus.EXPIRED:
        return EndReason.NONE
    if order.expired_in_match:
        return EndReason.SELF_TRADE_PREVENTION
    return EndReason.REDUCE_ONLY_REJECTED if order.reduce_only else EndReason.OTHER
