"""Binance's codes that mean the same on spot and USD-M futures, and its notes on HTTP statuses.

Sources: "General info, HTTP return codes" and "Error codes" of Binance's spot and USD-M futures API
documentation. Codes come with a 4xx; one that comes with a 5xx proves nothing.
"""

from typing import Final

from opensqt.adapters.ccxt.answers.verdicts import DOUBT, NO_SUCH_ORDER, Row, http, refused, rows
from opensqt.core.orders import EndReason

HOLD_TOO_MANY_S: Final = 5.0
HOLD_BAN_S: Final = 120.0
"""Bans begin at two minutes."""

DOUBTFUL: Final[tuple[Row, ...]] = (
    *rows("-1000 -1001 -1006 -1007", DOUBT),
    http(408, DOUBT),
    # HTTP 503 has variants, told apart by their words.
    *rows("-1008", refused(EndReason.EXCHANGE_UNAVAILABLE), statuses=(range(503, 504),)),
    *rows("-1008", refused(EndReason.EXCHANGE_UNAVAILABLE)),
    http(503, DOUBT, text="unknown error"),
    http(503, refused(EndReason.EXCHANGE_UNAVAILABLE), text="service unavailable."),
    http(503, refused(EndReason.EXCHANGE_UNAVAILABLE), text="internal error; unable to process"),
)

TOO_MANY: Final[tuple[Row, ...]] = (
    # Too many orders (-1015) bars orders alone; everything else bars the address.
    *rows("-1015", refused(EndReason.RATE_LIMIT)),
    http(429, refused(EndReason.RATE_LIMIT, hold_s=HOLD_TOO_MANY_S)),
    http(418, refused(EndReason.RATE_LIMIT, hold_s=HOLD_BAN_S)),
    *rows("-1003", refused(EndReason.RATE_LIMIT)),
)

AROUND: Final[tuple[Row, ...]] = (
    *rows("-2013", NO_SUCH_ORDER),
    *rows("-1013 -1111", refused(EndReason.FILTER)),
    *rows("-1021", refused(EndReason.TIMESTAMP)),
    *rows("-1002 -1022 -2014 -2015", refused(EndReason.AUTHENTICATION)),
    *rows("-1016", refused(EndReason.EXCHANGE_UNAVAILABLE)),
    *rows(
        "-1014 -1020 -1100 -1101 -1102 -1103 -1104 -1105 -1106 -1114 -1115 -1116 -1117 -1118 "
        "-1119 -1120 -1121 -1130",
        refused(EndReason.OTHER),
    ),
)
