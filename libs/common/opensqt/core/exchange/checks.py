"""Whether the exchange takes an order: filters first, then ids, limits, crossing and margin.

Nothing here changes anything; a request that passes has still to be carried out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from opensqt.core.exchange.account import Account
from opensqt.core.exchange.events import Refused
from opensqt.core.exchange.margin import account_margin, symbol_initial
from opensqt.core.exchange.market import Market
from opensqt.core.exchange.orders import Order, OrderRequest, OrderType, TimeInForce
from opensqt.core.exchange.rules import RuleBroken, check_request
from opensqt.core.numbers import ZERO, plain


def check_place(
    owner: Account,
    markets: Mapping[str, Market],
    request: OrderRequest,
    order: Order,
    *,
    now_ns: int,
) -> None:
    """Refuse a request that the exchange does not take, given the order that would come of it.

    Raises:
        RuleBroken: Naming the rule and what it allows.
    """
    market = markets[order.symbol]
    check_request(request, market.rules, mark=market.mark, now_ns=now_ns)
    if order.client_order_id in owner.open_ids:
        raise RuleBroken(Refused.DUPLICATE_ID, "an id that no open order has")
    most = market.rules.max_open_orders
    if len(owner.open_orders) >= most:
        here = sum(other.symbol == order.symbol for other in owner.open_orders.values())
        if here >= most:
            raise RuleBroken(Refused.TOO_MANY_ORDERS, f"up to {most}")
    if order.reduce_only and owner.position(order.symbol).quantity * order.side.sign >= 0:
        raise RuleBroken(Refused.REDUCE_ONLY, "an order against the position")
    _check_crossing(market, request)
    if not order.reduce_only:  # it needs no margin
        _check_margin(owner, markets, order.symbol, (*owner.open_orders.values(), order))


def check_amend(
    owner: Account, markets: Mapping[str, Market], order: Order, changed: Order, *, now_ns: int
) -> None:
    """Refuse an amendment that the exchange does not take.

    Raises:
        RuleBroken: Naming the rule and what it allows.
    """
    if order.type is not OrderType.LIMIT:
        raise RuleBroken(Refused.NOTHING_TO_AMEND, "a limit order")
    if (order.price, order.quantity) == (changed.price, changed.quantity):
        raise RuleBroken(Refused.NOTHING_TO_AMEND, "another price or quantity")
    market = markets[order.symbol]
    request = as_request(changed)
    check_request(request, market.rules, mark=market.mark, now_ns=now_ns)
    if changed.remaining > ZERO:
        _check_crossing(market, replace(request, quantity=changed.remaining))
        others = (other for other in owner.open_orders.values() if other is not order)
        _check_margin(owner, markets, order.symbol, (*others, changed))


def as_request(order: Order) -> OrderRequest:
    """What a client would ask for to get this order."""
    return OrderRequest(
        symbol=order.symbol,
        client_order_id=order.client_order_id,
        side=order.side,
        type=order.type,
        quantity=order.quantity,
        price=order.price,
        time_in_force=order.time_in_force,
        reduce_only=order.reduce_only,
        good_till_ns=order.good_till_ns,
    )


def _check_crossing(market: Market, request: OrderRequest) -> None:
    if request.price is None:
        return
    if request.time_in_force is TimeInForce.GTX and market.crosses(request.side, request.price):
        raise RuleBroken(Refused.POST_ONLY, "a price that does not fill at once")
    if request.time_in_force is TimeInForce.FOK:
        found = market.liquidity(request.side, request.quantity, request.price)
        if sum(quantity for _, quantity in found) < request.quantity:
            raise RuleBroken(Refused.FILL_OR_KILL, "a quantity that fills at once")


def _check_margin(
    owner: Account, markets: Mapping[str, Market], symbol: str, after: Iterable[Order]
) -> None:
    """Refuse what raises the initial margin beyond the equity; what lowers it always passes."""
    position, leverage = owner.position(symbol), owner.leverage_of(symbol)
    mark = markets[symbol].mark or ZERO  # before the market opened, limits count by their price
    needed_before = sum(
        symbol_initial(position, owner.open_orders.values(), mark=mark, leverage=leverage)
    )
    needed_after = sum(symbol_initial(position, after, mark=mark, leverage=leverage))
    if needed_after <= needed_before:
        return
    margin = account_margin(owner, markets)
    if margin.initial + needed_after - needed_before > margin.equity:
        raise RuleBroken(Refused.MARGIN, f"{plain(margin.available)} of initial margin is free")
