"""What the answers of OKX v5 prove.

Source: "Error Code" of OKX's v5 API documentation. Most errors come in the body of a 200: `code` is
"1" and the order's own code is `data[0].sCode`; or `code` itself is the error, with no data.
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
    refused,
)
from opensqt.adapters.ccxt.answers.verdicts import rows as rows_of
from opensqt.core.orders import EndReason


def rows(codes: str, verdict: Verdict) -> tuple[Row, ...]:
    """Lines about codes, which come with 200 or 4xx."""
    return rows_of(codes, verdict, statuses=ANSWERED)


TABLE: Final[tuple[Row, ...]] = (
    *rows("51011 51016", DUPLICATE),
    # A timeout "does not indicate success or failure"; an order whose cancel is under way (51410).
    *rows_of("50004 50005 50013 50026 51149 51410", DOUBT, statuses=WHATEVER),
    # 50011 is about the endpoint, 50061 about the account's orders; neither bars the address.
    *rows("50011 50061 51102 51103 51113 51174", refused(EndReason.RATE_LIMIT)),
    *rows("51603", NO_SUCH_ORDER),
    # "Filled, canceled or does not exist", already canceled, already completed, nothing pending.
    *rows("51400 51401 51402 51405", NOT_OPEN),
    *rows("51023 51112 51169 51205", refused(EndReason.REDUCE_ONLY_REJECTED)),
    *rows("51008 51119 51127 51131", refused(EndReason.INSUFFICIENT_MARGIN)),
    *rows(
        "51004 51005 51006 51007 51020 51031 51100 51101 51116 51118 51120 51121 51122 51135 "
        "51136 51137 51138 51185 51201 51203 51204",
        refused(EndReason.FILTER),
    ),
    # 50036: the time after which the request is void (`expTime`) has passed.
    *rows("50036 50102 50112", refused(EndReason.TIMESTAMP)),
    *rows(
        "50007 50008 50027 50100 50101 50103 50104 50105 50106 50107 50110 50111 50113 50114 50120",
        refused(EndReason.AUTHENTICATION),
    ),
    # Matching engine being upgraded; frozen by liquidation, ADL or funding; contract suspended,
    # not listed yet, expired, under delivery, being settled, or its funding being settled (51030).
    *rows_of(
        "50001", refused(EndReason.EXCHANGE_UNAVAILABLE), statuses=(*ANSWERED, range(503, 504))
    ),
    *rows(
        "50009 50017 50018 50019 50020 50021 50022 50023 51009 51021 51022 51027 51028 51029 51030",
        refused(EndReason.EXCHANGE_UNAVAILABLE),
    ),
    # 51000, "parameter error", is also the answer to a position side of the other position mode.
    *rows(
        "50000 50002 50006 50012 50014 50015 50016 50024 50025 50028 50115 51000 51001 51002 51003 "
        "51010 51012 51014 51015 51019 51024 51026",
        refused(EndReason.OTHER),
    ),
)
"""The first line that fits an answer decides; none fits: UNKNOWN."""

CANCEL_SOURCES: Final = {
    "0": EndReason.OTHER,
    "1": EndReason.CANCEL_REQUESTED,
    "31": EndReason.POST_ONLY_WOULD_TAKE,
    "32": EndReason.SELF_TRADE_PREVENTION,
}
"""`cancelSource` of an order that was accepted and then ended; others are OTHER."""
