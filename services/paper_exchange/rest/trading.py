"""The endpoints that place, change, cancel and query orders."""

from typing import Any

import orjson

from opensqt.core.exchange.orders import Order
from opensqt.core.orders import OrderStatus
from services.paper_exchange import encode
from services.paper_exchange.errors import ApiError, mandatory, no_such_order, not_valid
from services.paper_exchange.rest.endpoints import Call, Security, endpoint
from services.paper_exchange.rest.params import Params, check_precision, read_order, which_order
from services.paper_exchange.wording import ms

BATCH_PLACE_MAX = 5
BATCH_CANCEL_MAX = 10
Json = dict[str, Any]


def place(call: Call) -> Json:
    """Place an order. By default only its acceptance is answered, with RESULT what came of it."""
    instruments = {
        symbol: market.rules.instrument for symbol, market in call.venue.exchange.markets.items()
    }
    request = read_order(call.params, instruments, call.venue.fresh_client_order_id())
    wanted = (call.params.text("newOrderRespType") or "ACK").upper()
    if wanted not in ("ACK", "RESULT"):
        raise not_valid("newOrderRespType")
    order = call.venue.place(call.caller.account, request)
    return _told(call, order, status=None if wanted == "RESULT" else OrderStatus.NEW)


def test_place(call: Call) -> Json:
    """Check an order's parameters without placing it."""
    instruments = {
        symbol: market.rules.instrument for symbol, market in call.venue.exchange.markets.items()
    }
    read_order(call.params, instruments, "test")
    return {}


def place_batch(call: Call) -> list[Json]:
    """Place up to five orders, each accepted or refused by itself."""
    return [
        _item(place, call, item) for item in _batch(call.params, "batchOrders", BATCH_PLACE_MAX)
    ]


def amend(call: Call) -> Json:
    """Change an order's price and quantity."""
    order_id, client_order_id = which_order(call.params)
    symbol = call.symbol()
    price, quantity = call.params.decimal("price"), call.params.decimal("quantity")
    if price is None:
        raise mandatory("price")
    if quantity is None:
        raise mandatory("quantity")
    instrument = call.venue.exchange.markets[symbol].rules.instrument
    check_precision(instrument, price=price, quantity=quantity)
    order = call.venue.amend(
        call.caller.account,
        symbol,
        order_id=order_id,
        client_order_id=client_order_id,
        price=price,
        quantity=quantity,
    )
    return _told(call, order)


def cancel(call: Call) -> Json:
    """Cancel an order."""
    order_id, client_order_id = which_order(call.params)
    order = call.venue.cancel(
        call.caller.account, call.symbol(), order_id=order_id, client_order_id=client_order_id
    )
    return _told(call, order)


def cancel_batch(call: Call) -> list[Json]:
    """Cancel up to ten orders, each by itself."""
    symbol = call.symbol()
    for name, key in (("orderIdList", "orderId"), ("origClientOrderIdList", "origClientOrderId")):
        if call.params.text(name) is not None:
            listed = _list(call.params, name, BATCH_CANCEL_MAX)
            return [_item(cancel, call, {"symbol": symbol, key: str(one)}) for one in listed]
    raise mandatory("orderIdList")


def cancel_all(call: Call) -> Json:
    """Cancel all open orders of a symbol."""
    call.venue.cancel_all(call.caller.account, call.symbol())
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def query(call: Call) -> Json:
    """An order, open or not."""
    return _told(call, _find(call))


def query_open(call: Call) -> Json:
    """An order that is open."""
    order = _find(call)
    if not order.open:
        raise no_such_order()
    return _told(call, order)


def open_orders(call: Call) -> list[Json]:
    """The open orders, oldest first."""
    symbols = call.symbols()
    account = call.venue.account(call.caller.account)
    return [
        _told(call, order)
        for order in account.open_orders.values()
        if order.symbol in symbols and _visible(call, order)
    ]


def all_orders(call: Call) -> list[Json]:
    """Orders from an id or a time on, else the latest."""
    symbol, limit = call.symbol(), call.params.limit(default=500, most=1000)
    from_id = call.params.integer("orderId")
    start, end = call.params.window()
    account = call.venue.account(call.caller.account)
    found = [
        order
        for order in account.orders.values()
        if order.symbol == symbol
        and start <= ms(order.created_ns) <= end
        and (from_id is None or order.order_id >= from_id)
        and _visible(call, order)
    ]
    page = found[:limit] if start or from_id is not None else found[-limit:]
    return [_told(call, order) for order in page]


def user_trades(call: Call) -> list[Json]:
    """The account's own trades from an id or a time on, else the latest."""
    symbol, limit = call.symbol(), call.params.limit(default=500, most=1000)
    from_id, order_id = call.params.integer("fromId"), call.params.integer("orderId")
    start, end = call.params.window()
    asset, wording = call.venue.symbols[symbol].quote, call.venue.tapes[symbol].wording
    found = [
        fill
        for fill in call.venue.account(call.caller.account).fills
        if fill.symbol == symbol
        and start <= ms(fill.time_ns) <= end
        and (from_id is None or fill.trade_id >= from_id)
        and (order_id is None or fill.order_id == order_id)
    ]
    page = found[:limit] if start or from_id is not None else found[-limit:]
    return [encode.user_trade(fill, wording, asset=asset) for fill in page]


def countdown_cancel_all(call: Call) -> Json:
    """Arm or disarm the dead man's switch of a symbol."""
    symbol, after_ms = call.symbol(), call.params.need_integer("countdownTime")
    call.venue.arm_countdown(call.caller.account, symbol, after_ms)
    return {"symbol": symbol, "countdownTime": str(after_ms)}


def no_algo_orders(_: Call) -> list[Json]:
    """Conditional orders are not simulated, so there are none."""
    return []


def order_limits(call: Call) -> list[Json]:
    """The limits on new orders."""
    limits = call.venue.config.limits
    spans = (("SECOND", 10, limits.orders_per_10s), ("MINUTE", 1, limits.orders_per_minute))
    return [
        {"rateLimitType": "ORDERS", "interval": unit, "intervalNum": number, "limit": limit}
        for unit, number, limit in spans
    ]


def orders_in(params: Params) -> int:
    """How many new orders a request asks for: those of its batch, else one."""
    if params.text("batchOrders") is None:
        return 1
    return len(_list(params, "batchOrders", BATCH_PLACE_MAX))


def _told(call: Call, order: Order, *, status: OrderStatus | None = None) -> Json:
    return encode.order(order, call.venue.tapes[order.symbol].wording, status=status)


def _find(call: Call) -> Order:
    order_id, client_order_id = which_order(call.params)
    account = call.venue.account(call.caller.account)
    order = account.find(call.symbol(), order_id=order_id, client_order_id=client_order_id)
    if order is None or not _visible(call, order):
        raise no_such_order()
    return order


def _visible(call: Call, order: Order) -> bool:
    """Queries lag behind the books when that fault is injected."""
    lag_ns = call.venue.injector.faults.query_lag_ms * 1_000_000
    return not lag_ns or call.venue.clock.now_ns() - order.created_ns >= lag_ns


def _item(handler: Any, call: Call, values: Any) -> Json:
    if not isinstance(values, dict):
        raise not_valid("batchOrders")
    texts = {
        name: value if isinstance(value, str) else orjson.dumps(value).decode()
        for name, value in values.items()
    }
    try:
        answer: Json = handler(Call(venue=call.venue, caller=call.caller, params=Params(texts)))
    except ApiError as error:
        return dict(error.body)
    return answer


def _batch(params: Params, name: str, most: int) -> list[Any]:
    items = _list(params, name, most)
    for item in items:
        if isinstance(item, dict):
            item.setdefault("newOrderRespType", "ACK")
    return items


def _list(params: Params, name: str, most: int) -> list[Any]:
    try:
        items = orjson.loads(params.need(name))
    except orjson.JSONDecodeError:
        raise not_valid(name) from None
    if not isinstance(items, list) or not items:
        raise not_valid(name)
    if len(items) > most:
        raise ApiError(-4082, "Invalid number of batch place orders.")
    return items


_ORDER = "/fapi/v1/order"
_BATCH = "/fapi/v1/batchOrders"
_TRADE, _READ = Security.TRADE, Security.READ
ENDPOINTS = (
    endpoint("POST", _ORDER, place, security=_TRADE, weight=0, orders=True, may_fail=True),
    endpoint("PUT", _ORDER, amend, security=_TRADE, orders=True, may_fail=True),
    endpoint("DELETE", _ORDER, cancel, security=_TRADE, may_fail=True),
    endpoint("GET", _ORDER, query, security=_READ),
    endpoint("POST", "/fapi/v1/order/test", test_place, security=_TRADE),
    endpoint("POST", _BATCH, place_batch, security=_TRADE, weight=5, orders=True, may_fail=True),
    endpoint("DELETE", _BATCH, cancel_batch, security=_TRADE, may_fail=True),
    endpoint("GET", "/fapi/v1/openOrder", query_open, security=_READ),
    endpoint("GET", "/fapi/v1/openOrders", open_orders, security=_READ, weight_of_all=40),
    endpoint("DELETE", "/fapi/v1/allOpenOrders", cancel_all, security=_TRADE, may_fail=True),
    endpoint("GET", "/fapi/v1/allOrders", all_orders, security=_READ, weight=5),
    endpoint("GET", "/fapi/v1/userTrades", user_trades, security=_READ, weight=5),
    endpoint(
        "POST", "/fapi/v1/countdownCancelAll", countdown_cancel_all, security=_TRADE, weight=10
    ),
    endpoint("GET", "/fapi/v1/openAlgoOrders", no_algo_orders, security=_READ),
    endpoint("GET", "/fapi/v1/allAlgoOrders", no_algo_orders, security=_READ),
    endpoint("GET", "/fapi/v1/rateLimit/order", order_limits, security=_READ),
)
