"""A request's parameters: text from outside, read into what the exchange works with."""

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeVar

from opensqt.core.exchange.orders import OrderRequest, OrderType, TimeInForce
from opensqt.core.instrument import Instrument
from opensqt.core.numbers import NotExactError, parse_decimal
from opensqt.core.orders import Side
from services.paper_exchange.errors import ApiError, mandatory, not_valid
from services.paper_exchange.wording import Wording, decimals_of

_CLIENT_ORDER_ID: Final = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
_CONDITIONAL: Final = frozenset(
    {"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"}
)
E = TypeVar("E", bound=StrEnum)


class Params:
    """Named text values. What is sent beyond what is read is passed over, as Binance does."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, name: str) -> str | None:
        """A value, or None if it was not sent or is empty."""
        return self._values.get(name) or None

    def need(self, name: str) -> str:
        """A value that has to be there.

        Raises:
            ApiError: -1102.
        """
        value = self.text(name)
        if value is None:
            raise mandatory(name)
        return value

    def integer(self, name: str) -> int | None:
        """A whole number.

        Raises:
            ApiError: -1102, as Binance answers a malformed number.
        """
        value = self.text(name)
        if value is None:
            return None
        try:
            return int(value)
        except ValueError:
            raise mandatory(name) from None

    def need_integer(self, name: str) -> int:
        """A whole number that has to be there.

        Raises:
            ApiError: -1102.
        """
        value = self.integer(name)
        if value is None:
            raise mandatory(name)
        return value

    def limit(self, *, default: int, most: int) -> int:
        """How many rows are wanted.

        Raises:
            ApiError: -1130.
        """
        value = self.integer("limit")
        if value is None:
            return default
        if value < 1:
            raise not_valid("limit")
        return min(value, most)

    def boolean(self, name: str) -> bool:
        """``true`` or ``false``; false if it was not sent.

        Raises:
            ApiError: -1130.
        """
        value = (self.text(name) or "false").lower()
        if value not in ("true", "false"):
            raise not_valid(name)
        return value == "true"

    def decimal(self, name: str) -> Decimal | None:
        """An exact number.

        Raises:
            ApiError: -1102, as Binance answers a malformed number.
        """
        value = self.text(name)
        if value is None:
            return None
        try:
            return parse_decimal(value, name=name)
        except NotExactError:
            raise mandatory(name) from None

    def choice(self, name: str, kind: type[E], code: int, message: str) -> E:
        """One of an enumeration's values.

        Raises:
            ApiError: -1102 if it is missing, else `code`.
        """
        value = self.need(name)
        try:
            return kind(value.upper())
        except ValueError:
            raise ApiError(code, message) from None

    def window(self) -> tuple[int, int]:
        """The times from and to which rows are wanted, both included, in milliseconds.

        Raises:
            ApiError: -1102 or -4063.
        """
        start = self.integer("startTime") or 0
        end = self.integer("endTime")
        if end is not None and end < start:
            raise ApiError(-4063, "Start time is greater than end time.")
        return start, end if end is not None else 2**62


def read_order(
    params: Params, instruments: Mapping[str, Instrument], fresh_id: str
) -> OrderRequest:
    """What a request to place an order asks for.

    Args:
        params: As sent.
        instruments: The listed markets.
        fresh_id: The client order id if none was sent.

    Raises:
        ApiError: Something is missing, malformed or not supported.
    """
    symbol = params.need("symbol")
    if symbol not in instruments:
        raise ApiError(-1121, "Invalid symbol.")
    side = params.choice("side", Side, -1117, "Invalid side.")
    if params.need("type").upper() in _CONDITIONAL:
        raise ApiError(
            -4120,
            "Order type not supported for this endpoint. Please use the Algo Order API endpoints "
            "instead.",
        )
    kind = params.choice("type", OrderType, -1116, "Invalid orderType.")
    if (params.text("positionSide") or "BOTH") != "BOTH":
        raise ApiError(-4061, "Order's position side does not match user's setting.")
    if params.boolean("closePosition"):
        raise ApiError(-4136, "Target strategy invalid for orderType closePosition true.")
    quantity = params.decimal("quantity")
    if quantity is None:
        raise mandatory("quantity")
    price, time_in_force = params.decimal("price"), TimeInForce.GTC
    good_till_ms = params.integer("goodTillDate")
    if kind is OrderType.MARKET:
        for name in ("price", "timeInForce"):
            if params.text(name) is not None:
                raise ApiError(-1106, f"Parameter '{name}' sent when not required.")
    else:
        if price is None:
            raise mandatory("price")
        time_in_force = params.choice("timeInForce", TimeInForce, -1115, "Invalid timeInForce.")
        if time_in_force is TimeInForce.GTD and good_till_ms is None:
            raise mandatory("goodTillDate")
    check_precision(instruments[symbol], price=price, quantity=quantity)
    return OrderRequest(
        symbol=symbol,
        client_order_id=read_client_order_id(params) or fresh_id,
        side=side,
        type=kind,
        quantity=quantity,
        price=price,
        time_in_force=time_in_force,
        reduce_only=params.boolean("reduceOnly"),
        good_till_ns=good_till_ms * 1_000_000 if good_till_ms else None,
    )


def read_client_order_id(params: Params) -> str | None:
    """The client order id of a new order.

    Raises:
        ApiError: -4015 if it is too long, -1100 for characters that are not allowed.
    """
    value = params.text("newClientOrderId")
    if value is None or _CLIENT_ORDER_ID.fullmatch(value):
        return value
    if len(value) > 36:
        raise ApiError(-4015, "Client order id length should be less than 36 chars")
    raise ApiError(
        -1100,
        "Illegal characters found in parameter 'newClientOrderId'; "
        "legal range is '^[\\.A-Z\\:/a-z0-9_-]{1,36}$'.",
    )


def check_precision(instrument: Instrument, *, price: Decimal | None, quantity: Decimal) -> None:
    """Refuse more decimals than the market has.

    Raises:
        ApiError: -1111.
    """
    wording = Wording(instrument)
    pairs = ((price, wording.price_decimals), (quantity, wording.quantity_decimals))
    for value, decimals in pairs:
        if value is not None and decimals_of(value) > decimals:
            raise ApiError(-1111, "Precision is over the maximum defined for this asset.")


def which_order(params: Params) -> tuple[int | None, str | None]:
    """The order that a request is about: its id, else its client order id.

    Raises:
        ApiError: -1102 if neither was sent.
    """
    order_id, client_order_id = params.integer("orderId"), params.text("origClientOrderId")
    if order_id is None and client_order_id is None:
        raise ApiError(
            -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
        )
    return order_id, None if order_id is not None else client_order_id
