"""Orders that the exchange makes itself: liquidation, auto-deleveraging, settlement.

Each takes back the account's open orders first, and closes at the mark price, or at the next price
that the market has, to the account's disadvantage. They are known by their client order ids alone,
which are Binance's.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from opensqt.core.events import Forced
from opensqt.core.exchange.account import Account
from opensqt.core.exchange.events import Event, OrderChanged
from opensqt.core.exchange.executions import Executions
from opensqt.core.exchange.market import Market
from opensqt.core.exchange.orders import Change, Order, OrderType, TimeInForce
from opensqt.core.numbers import ZERO
from opensqt.core.orders import Side

ID_PREFIXES: Final[Mapping[Forced, str]] = {
    Forced.LIQUIDATION: "autoclose-",
    Forced.DELEVERAGING: "adl_autoclose",
    Forced.SETTLEMENT: "settlement_autoclose-",
}
"""What the client order id begins with; that of a deleveraging is always the same."""


def forced_by_id(client_order_id: str) -> Forced:
    """Whether the exchange made an order itself, and why."""
    for kind, prefix in ID_PREFIXES.items():
        if client_order_id.startswith(prefix):
            return kind
    return Forced.NONE


def close_position(
    executions: Executions,
    market: Market,
    owner: Account,
    *,
    kind: Forced,
    quantity: Decimal | None,
    order_id: int,
    now_ns: int,
) -> list[Event]:
    """Take back the open orders of a market, and close what is held, or a part of it.

    A loss beyond the wallet leaves it negative: there is no insurance fund.

    Args:
        executions: Carries it out.
        market: The market, with a mark price.
        owner: Whose position.
        kind: Why.
        quantity: How much of it, in base; None: all.
        order_id: The id of the closing order.
        now_ns: When.
    """
    symbol = market.rules.instrument.symbol
    events: list[Event] = [
        executions.end(owner, order, Change.CANCELED, now_ns=now_ns)
        for order in tuple(owner.open_orders.values())
        if order.symbol == symbol
    ]
    held, mark = owner.position(symbol).quantity, market.mark
    closing = abs(held) if quantity is None else min(quantity, abs(held))
    if not closing or mark is None:
        return events
    instrument, selling = market.rules.instrument, held > ZERO
    price = instrument.price_at_most(mark) if selling else instrument.price_at_least(mark)
    liquidation = kind is Forced.LIQUIDATION
    order = Order(
        order_id=order_id,
        account=owner.name,
        client_order_id=ID_PREFIXES[kind] + ("" if kind is Forced.DELEVERAGING else str(order_id)),
        symbol=symbol,
        side=Side.SELL if selling else Side.BUY,
        type=OrderType.MARKET,
        time_in_force=TimeInForce.IOC,
        price=None,
        quantity=closing,
        reduce_only=True,
        good_till_ns=None,
        created_ns=now_ns,
        updated_ns=now_ns,
    )
    owner.keep(order)
    events.append(OrderChanged(change=Change.NEW, order=order, fill=None, time_ns=now_ns))
    return events + executions.fill(
        owner,
        order,
        price,
        closing,
        maker=False,
        now_ns=now_ns,
        fee_rate=market.rules.liquidation_fee if liquidation else ZERO,
        change=Change.CALCULATED if liquidation else Change.TRADE,
    )


def liquidate(
    executions: Executions,
    markets: Mapping[str, Market],
    owner: Account,
    order_ids: Iterable[int],
    *,
    now_ns: int,
) -> list[Event]:
    """Take back every open order of an account, and close every position."""
    ids = iter(order_ids)
    events: list[Event] = [
        executions.end(owner, order, Change.CANCELED, now_ns=now_ns)
        for order in tuple(owner.open_orders.values())
    ]
    for symbol, position in tuple(owner.positions.items()):
        if position.quantity and markets[symbol].mark is not None:
            events += close_position(
                executions,
                markets[symbol],
                owner,
                kind=Forced.LIQUIDATION,
                quantity=None,
                order_id=next(ids),
                now_ns=now_ns,
            )
    return events
