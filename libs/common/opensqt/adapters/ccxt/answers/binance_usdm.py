"""What the answers of Binance USD-M futures prove.

Source: "Error codes" of Binance's USD-M futures API documentation, and its notes on HTTP 503.
"""

from typing import Final

from opensqt.adapters.ccxt.answers.binance_shared import AROUND, DOUBTFUL, TOO_MANY
from opensqt.adapters.ccxt.answers.verdicts import DUPLICATE, NOT_OPEN, Row, refused, rows
from opensqt.core.orders import EndReason

TABLE: Final[tuple[Row, ...]] = (
    # An id may be used again once its order has ended; a duplicate is that of an open order.
    *rows("-4116", DUPLICATE),
    *rows("-2010", DUPLICATE, text="duplicate"),
    *DOUBTFUL,
    *TOO_MANY,
    *rows("-2025", refused(EndReason.RATE_LIMIT)),
    # "Unknown order sent", of cancels: filled, as often as not.
    *rows("-2011", NOT_OPEN),
    *rows("-5022", refused(EndReason.POST_ONLY_WOULD_TAKE)),
    *rows("-2022 -2024 -2026 -4118", refused(EndReason.REDUCE_ONLY_REJECTED)),
    *rows("-2018 -2019 -2027 -2028", refused(EndReason.INSUFFICIENT_MARGIN)),
    *rows(
        "-4001 -4002 -4003 -4004 -4005 -4013 -4014 -4016 -4023 -4024 -4029 -4030 -4131 -4164",
        refused(EndReason.FILTER),
    ),
    *rows("-5028", refused(EndReason.TIMESTAMP)),
    # Restricted modes: cancels and reductions only, or nothing at all.
    *rows("-4087 -4088 -4517 -4518 -4519", refused(EndReason.EXCHANGE_UNAVAILABLE)),
    *AROUND,
    # The position mode: the account is in hedge mode, or has orders or positions that bar a change.
    *rows("-4061 -4067 -4068", refused(EndReason.OTHER)),
    *rows("-2010 -2020 -2021 -2023 -4015 -5021", refused(EndReason.OTHER)),
)
"""The first line that fits an answer decides; none fits: UNKNOWN."""
