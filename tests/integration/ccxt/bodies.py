"""What the six exchanges write: refusals, successes, and orders that were looked up."""

from collections.abc import Callable
from typing import Any

import orjson

from opensqt.core.orders import Order

Body = dict[str, Any]


def refusal(exchange: str, code: str, words: str) -> list[bytes]:
    """Every form in which `exchange` reports an error."""
    return [orjson.dumps(body) for body in REFUSALS[exchange](code, words)]


def success(exchange: str, order: Order, **changes: Any) -> bytes:
    """The answer to an order that was taken, with some fields of its own."""
    return _encoded(exchange, {**PLACED[exchange](order), **changes})


def sighting(exchange: str, order: Order, **changes: Any) -> bytes:
    """The answer to a look-up of an order that rests."""
    return _encoded(exchange, {**SEEN[exchange](order), **changes}, seen=True)


def _encoded(exchange: str, row: Body, *, seen: bool = False) -> bytes:
    row = {key: value for key, value in row.items() if value is not ...}
    match exchange:
        case "bybit":
            result = {"category": "linear", "list": [row]} if seen else row
            whole: Any = {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}}
        case "okx":
            whole = {"code": "0", "msg": "", "data": [row]}
        case "bitget":
            whole = {"code": "00000", "msg": "success", "requestTime": 1, "data": row}
        case _:
            whole = row
    return orjson.dumps(whole)


def _binance(code: str, words: str) -> list[Body]:
    return [{"code": int(code), "msg": words}]


def _okx(code: str, words: str) -> list[Body]:
    order = {"clOrdId": "gb0001", "ordId": "", "sCode": code, "sMsg": words, "tag": ""}
    return [
        {"code": "1", "msg": "All operations failed", "data": [order]},
        {"code": code, "msg": words, "data": []},
    ]


REFUSALS: dict[str, Callable[[str, str], list[Body]]] = {
    "binanceusdm": _binance,
    "binance": _binance,
    "bybit": lambda code, words: [
        {"retCode": int(code), "retMsg": words, "result": {}, "retExtInfo": {}, "time": 1}
    ],
    "okx": _okx,
    "bitget": lambda code, words: [{"code": code, "msg": words, "requestTime": 1, "data": None}],
    "gate": lambda code, words: [
        {"label": code, "message": words},
        {"label": code, "detail": words},
    ],
}

PLACED: dict[str, Callable[[Order], Body]] = {
    "binanceusdm": lambda order: {
        "orderId": 12,
        "clientOrderId": order.client_oid,
        "symbol": order.symbol,
        "side": order.side.value,
        "price": str(order.price),
        "origQty": str(order.quantity),
        "status": "NEW",
    },
    "binance": lambda order: {
        "orderId": 12,
        "clientOrderId": order.client_oid,
        "symbol": order.symbol,
        "transactTime": 1,
    },
    "bybit": lambda order: {"orderId": "12", "orderLinkId": order.client_oid},
    "okx": lambda order: {
        "ordId": "12",
        "clOrdId": order.client_oid,
        "sCode": "0",
        "sMsg": "",
        "tag": "",
        "ts": "1",
    },
    "bitget": lambda order: {"orderId": "12", "clientOid": order.client_oid},
    "gate": lambda order: {
        "id": 12,
        "text": f"t-{order.client_oid}",
        "contract": order.symbol,
        "size": str(order.quantity * order.side.sign),
        "left": str(order.quantity * order.side.sign),
        "price": str(order.price),
        "status": "open",
    },
}

SEEN: dict[str, Callable[[Order], Body]] = {
    "binanceusdm": lambda order: {
        **PLACED["binanceusdm"](order),
        "executedQty": "0",
        "updateTime": 1,
    },
    "binance": lambda order: {**PLACED["binance"](order), "status": "NEW"},
    "bybit": lambda order: {**PLACED["bybit"](order), "orderStatus": "New", "rejectReason": ""},
    "okx": lambda order: {**PLACED["okx"](order), "state": "live", "cancelSource": ""},
    "bitget": lambda order: {**PLACED["bitget"](order), "state": "live"},
    "gate": PLACED["gate"],
}

ID_KEYS = {
    "binanceusdm": "clientOrderId",
    "binance": "clientOrderId",
    "bybit": "orderLinkId",
    "okx": "clOrdId",
    "bitget": "clientOid",
    "gate": "text",
}
ORDER_ID_KEYS = {
    "binanceusdm": "orderId",
    "binance": "orderId",
    "bybit": "orderId",
    "okx": "ordId",
    "bitget": "orderId",
    "gate": "id",
}
