"""What the answers of Binance spot prove.

Source: "Error codes" of Binance's spot API documentation, with the words that -2010 comes with.
"""

from typing import Final

from opensqt.adapters.ccxt.answers.binance_shared import AROUND, DOUBTFUL, TOO_MANY
from opensqt.adapters.ccxt.answers.verdicts import DUPLICATE, NOT_OPEN, Row, refused, rows
from opensqt.core.orders import EndReason

TABLE: Final[tuple[Row, ...]] = (
    # -2010, "new order rejected", says why in words alone.
    *rows("-2010", DUPLICATE, text="duplicate order sent"),
    *rows("-2010", refused(EndReason.POST_ONLY_WOULD_TAKE), text="immediately match and take"),
    *rows("-2010", refused(EndReason.INSUFFICIENT_MARGIN), text="insufficient balance"),
    *rows("-2010", refused(EndReason.EXCHANGE_UNAVAILABLE), text="market is closed"),
    *rows("-2010", refused(EndReason.AUTHENTICATION), text="disabled on this account"),
    *rows("-2010", refused(EndReason.OTHER)),
    *DOUBTFUL,
    *TOO_MANY,
    # An archived order (-2026) has ended without a fill, long ago.
    *rows("-2011 -2026", NOT_OPEN),
    *AROUND,
)
"""The first line that fits an answer decides; none fits: UNKNOWN."""
