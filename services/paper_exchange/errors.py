"""Binance's error codes, with their texts as Binance documents them."""

from typing import Final

from opensqt.core.exchange.events import OrderRefused, Refused


class ApiError(Exception):
    """A request that is answered with an error.

    Args:
        code: Binance's code, negative.
        message: Binance's text.
        status: HTTP status.
        headers: Further HTTP headers, such as Retry-After.
    """

    def __init__(
        self, code: int, message: str, *, status: int = 400, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.headers = headers or {}

    @property
    def body(self) -> dict[str, object]:
        """The JSON that Binance answers with."""
        return {"code": self.code, "msg": self.message}


def mandatory(name: str) -> ApiError:
    """A parameter is missing, empty or malformed."""
    return ApiError(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def not_valid(name: str) -> ApiError:
    """A parameter's value is not one that is allowed."""
    return ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")


def no_such_order() -> ApiError:
    """A query for an order that the account never had."""
    return ApiError(-2013, "Order does not exist.")


_TEXTS: Final[dict[Refused, tuple[int, str]]] = {
    Refused.SYMBOL: (-1121, "Invalid symbol."),
    Refused.PRICE_NOT_POSITIVE: (-4001, "Price less than 0."),
    Refused.PRICE_MISSING: (
        -1102,
        "Mandatory parameter 'price' was not sent, was empty/null, or malformed.",
    ),
    Refused.TICK: (-4014, "Price not increased by tick size."),
    Refused.PRICE_TOO_HIGH: (-4016, "Limit price can't be higher than {}."),
    Refused.PRICE_TOO_LOW: (-4024, "Limit price can't be lower than {}."),
    Refused.QUANTITY_NOT_POSITIVE: (-4003, "Quantity less than or equal to zero."),
    Refused.STEP: (-4023, "Quantity not increased by step size."),
    Refused.QUANTITY_TOO_SMALL: (-4004, "Quantity less than min quantity."),
    Refused.QUANTITY_TOO_LARGE: (-4005, "Quantity greater than max quantity."),
    Refused.NOTIONAL: (
        -4164,
        "Order's notional must be no smaller than {} (unless you choose reduce only).",
    ),
    Refused.GOOD_TILL: (-1130, "Data sent for parameter 'goodTillDate' is not valid."),
    Refused.DUPLICATE_ID: (-4116, "ClientOrderId is duplicated."),
    Refused.TOO_MANY_ORDERS: (-2025, "Reach max open order limit."),
    Refused.REDUCE_ONLY: (-2022, "ReduceOnly Order is rejected."),
    Refused.MARGIN: (-2019, "Margin is insufficient."),
    Refused.POST_ONLY: (
        -5022,
        (
            "Due to the order could not be executed as maker, the Post Only order will be "
            "rejected. The order will not be recorded in the order history"
        ),
    ),
    Refused.FILL_OR_KILL: (
        -5021,
        (
            "Due to the order could not be filled immediately, the FOK order has been rejected. "
            "The order will not be recorded in the order history"
        ),
    ),
    Refused.ORDER_UNKNOWN: (-2011, "Unknown order sent."),
    Refused.NOTHING_TO_AMEND: (-5027, "No need to modify the order."),
    Refused.LEVERAGE: (-4028, "Leverage is not valid"),
    Refused.LEVERAGE_MARGIN: (
        -2028,
        "Leverage is smaller than permitted: insufficient margin balance",
    ),
}


def of_refusal(refusal: OrderRefused) -> ApiError:
    """What Binance answers where the core refuses."""
    code, text = _TEXTS[refusal.reason]
    return ApiError(code, text.format(refusal.allowed))
