"""What the answers of Gate v4 prove.

Source: "Error handling" and "Label list" of Gate's v4 API documentation. Errors come with 4xx or
5xx, as a `label`. There is none for a duplicate id: Gate does not tell ids apart, and a second
order under the same id is a second order.
"""

from typing import Final

from opensqt.adapters.ccxt.answers.verdicts import (
    DOUBT,
    DUPLICATE,
    NO_SUCH_ORDER,
    NOT_OPEN,
    WHATEVER,
    Row,
    refused,
    rows,
)
from opensqt.core.orders import EndReason

TABLE: Final[tuple[Row, ...]] = (
    *rows("SERVER_ERROR INTERNAL TOO_BUSY", DOUBT, statuses=WHATEVER),
    # The same batch within a short time.
    *rows("REPEATED_CREATION", DUPLICATE),
    *rows("TOO_MANY_REQUESTS TOO_FAST TOO_MANY_ORDERS", refused(EndReason.RATE_LIMIT)),
    # By its client id an order is found for a minute after it ended, so that this alone proves
    # nothing later; whoever looks up goes on to the ended orders.
    *rows("ORDER_NOT_FOUND CLIENT_ID_NOT_FOUND", NO_SUCH_ORDER),
    *rows("ORDER_FINISHED ORDER_CLOSED ORDER_CANCELLED", NOT_OPEN),
    *rows("POC_FILL_IMMEDIATELY ORDER_POC_IMMEDIATE", refused(EndReason.POST_ONLY_WOULD_TAKE)),
    *rows(
        "REDUCE_EXCEEDED REDUCE_ONLY_FAIL POSITION_EMPTY INCREASE_POSITION",
        refused(EndReason.REDUCE_ONLY_REJECTED),
    ),
    *rows(
        "BALANCE_NOT_ENOUGH MARGIN_BALANCE_NOT_ENOUGH FUTURES_BALANCE_NOT_ENOUGH "
        "INSUFFICIENT_AVAILABLE LIQUIDATE_IMMEDIATELY RISK_LIMIT_EXCEEDED QUANTITY_NOT_ENOUGH",
        refused(EndReason.INSUFFICIENT_MARGIN),
    ),
    *rows("INVALID_PARAM_VALUE", refused(EndReason.FILTER), text="order size"),
    *rows(
        "INVALID_PRECISION AMOUNT_TOO_LITTLE AMOUNT_TOO_MUCH SIZE_TOO_LARGE SIZE_TOO_SMALL "
        "PRICE_TOO_DEVIATED PRICE_OVER_LIQUIDATION PRICE_OVER_BANKRUPT PRICE_THRESHOLD_EXCEEDED",
        refused(EndReason.FILTER),
    ),
    # The time after which the request is void (X-Gate-Exptime) has passed, or our clock is wrong.
    *rows("REQUEST_EXPIRED", refused(EndReason.TIMESTAMP)),
    *rows(
        "AUTHENTICATION_FAILED INVALID_CREDENTIALS INVALID_KEY IP_FORBIDDEN READ_ONLY "
        "INVALID_SIGNATURE MISSING_REQUIRED_HEADER FORBIDDEN ACCOUNT_LOCKED SUB_ACCOUNT_LOCKED",
        refused(EndReason.AUTHENTICATION),
    ),
    *rows(
        "CONTRACT_IN_DELISTING POSITION_IN_LIQUIDATION POSITION_IN_CLOSE TRADE_RESTRICTED",
        refused(EndReason.EXCHANGE_UNAVAILABLE),
    ),
    *rows(
        "INVALID_PARAM_VALUE INVALID_PROTOCOL INVALID_ARGUMENT INVALID_REQUEST_BODY "
        "MISSING_REQUIRED_PARAM BAD_REQUEST INVALID_CONTENT_TYPE NOT_ACCEPTABLE METHOD_NOT_ALLOWED "
        "NOT_FOUND CONTRACT_NOT_FOUND INVALID_CURRENCY INVALID_CURRENCY_PAIR USER_NOT_FOUND "
        "ORDER_NOT_OWNED MIXED_ACCOUNT_TYPE MARGIN_NOT_SUPPORTED",
        refused(EndReason.OTHER),
    ),
)
"""The first line that fits an answer decides; none fits: UNKNOWN."""
