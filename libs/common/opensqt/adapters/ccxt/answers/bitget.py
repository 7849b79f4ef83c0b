"""What the answers of Bitget v2 prove.

Source: "Error code" of Bitget's API documentation. Errors come as `code` other than "00000", with
400 or 200.
"""

from typing import Final

from opensqt.adapters.ccxt.answers.verdicts import (
    ANSWERED,
    DOUBT,
    DUPLICATE,
    NO_SUCH_ORDER,
    NOT_OPEN,
    WHATEVER,
    Row,
    Verdict,
    http,
    refused,
)
from opensqt.adapters.ccxt.answers.verdicts import rows as rows_of
from opensqt.core.orders import EndReason

HOLD_TOO_MANY_S: Final = 5.0


def rows(codes: str, verdict: Verdict) -> tuple[Row, ...]:
    """Lines about codes, which come with 200 or 4xx."""
    return rows_of(codes, verdict, statuses=ANSWERED)


TABLE: Final[tuple[Row, ...]] = (
    http(429, refused(EndReason.RATE_LIMIT, hold_s=HOLD_TOO_MANY_S)),
    *rows("429", refused(EndReason.RATE_LIMIT)),
    *rows("40786 25212", DUPLICATE),
    # Timed out, abnormal, busy, inner errors.
    *rows_of("40010 40015 40604 40725 45001", DOUBT, statuses=WHATEVER),
    *rows("40109 40768 43001", NO_SUCH_ORDER),
    *rows("22001", NOT_OPEN),
    *rows("22002", refused(EndReason.REDUCE_ONLY_REJECTED)),
    *rows("40711 40712 40754 40762 43012", refused(EndReason.INSUFFICIENT_MARGIN)),
    *rows("40108 40706 40808 41103 41117 45110 45113", refused(EndReason.FILTER)),
    *rows("40004 40005 40008", refused(EndReason.TIMESTAMP)),
    *rows(
        "40001 40002 40003 40006 40009 40011 40012 40013 40014 40016 40018 40031 40037",
        refused(EndReason.AUTHENTICATION),
    ),
    # Server upgrade, contract under maintenance, pair under maintenance, pair not open yet.
    *rows("40200 40308 41114 43115", refused(EndReason.EXCHANGE_UNAVAILABLE)),
    # The position mode: the order's kind is that of the other one.
    *rows("40774", refused(EndReason.OTHER)),
    *rows(
        "40007 40017 40019 40020 40024 40034 40085 40102 40103 40301 40305 40309 40500 400172 "
        "43011",
        refused(EndReason.OTHER),
    ),
)
"""The first line that fits an answer decides; none fits: UNKNOWN."""
