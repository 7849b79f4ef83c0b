"""What the answers of Bybit v5 prove.

Source: "Error Codes" of Bybit's v5 API documentation. Most errors come as `retCode` in the body of
a 200. A success means that the request was accepted: the order's fate, a post-only order that would
take included, is told by stream and look-up (`rejectReason`).
"""

from typing import Final

from opensqt.adapters.ccxt.answers.verdicts import (
    ANSWERED,
    DOUBT,
    DUPLICATE,
    NO_SUCH_ORDER,
    NOT_OPEN,
    WHATEVER,
    Proof,
    Row,
    Verdict,
    http,
    refused,
)
from opensqt.adapters.ccxt.answers.verdicts import rows as rows_of
from opensqt.core.orders import EndReason

HOLD_FORBIDDEN_S: Final = 600.0
"""Too many requests from one address: 600 within 5 s bar it for ten minutes."""


def rows(codes: str, verdict: Verdict) -> tuple[Row, ...]:
    """Lines about return codes, which come with 200 or 4xx."""
    return rows_of(codes, verdict, statuses=ANSWERED)


TABLE: Final[tuple[Row, ...]] = (
    http(403, refused(EndReason.RATE_LIMIT, hold_s=HOLD_FORBIDDEN_S)),
    # The trading service is overloaded; whether it has taken the order is not said.
    http(429, Verdict(proof=Proof.UNKNOWN, hold_s=1.0)),
    *rows_of("429", DOUBT, statuses=ANSWERED),
    # Ids are never used again, so a duplicate may be an order that has ended.
    *rows("10014 110030 110072 170141", DUPLICATE),
    # Timeouts and inner errors; an order that is locked, or whose cancel is under way (110079).
    *rows_of(
        "10000 10016 110079 170001 170007 170032 170035 170144 170146 170147 170149 170150 "
        "170191 170234",
        DOUBT,
        statuses=WHATEVER,
    ),
    *rows("10006 10018 110009 110020 170005 170222", refused(EndReason.RATE_LIMIT)),
    *rows("170213", NO_SUCH_ORDER),
    # "Order does not exist" (110001) answers cancels of filled orders too.
    *rows("110001 110008 110010 170139 170142 170143 170190", NOT_OPEN),
    *rows("170218", refused(EndReason.POST_ONLY_WOULD_TAKE)),
    *rows("110017", refused(EndReason.REDUCE_ONLY_REJECTED)),
    *rows(
        "110004 110006 110007 110012 110014 110016 110044 110045 110051 110052 110053 170033 "
        "170131",
        refused(EndReason.INSUFFICIENT_MARGIN),
    ),
    *rows(
        "110003 110094 170124 170132 170133 170134 170135 170136 170137 170140 170148 170192 "
        "170193 170194 170371 170372",
        refused(EndReason.FILTER),
    ),
    *rows("-1 10002", refused(EndReason.TIMESTAMP)),
    *rows(
        "-2015 10003 10004 10005 10007 10008 10009 10010 10024 10027 10028 33004",
        refused(EndReason.AUTHENTICATION),
    ),
    # Reduce-only modes, no trading now, settlement under way, not open yet.
    *rows(
        "110023 110042 110063 110066 170151 170157 170201", refused(EndReason.EXCHANGE_UNAVAILABLE)
    ),
    # The position mode.
    *rows("110024 110028 110029", refused(EndReason.OTHER)),
    *rows(
        "10001 10017 10029 110005 110018 110019 110021 110022 110032 110034 110040 170105 170115 "
        "170116 170117 170121 170130 170145",
        refused(EndReason.OTHER),
    ),
)
"""The first line that fits an answer decides; none fits: UNKNOWN."""

REJECT_REASONS: Final = {
    "EC_PostOnlyWillTakeLiquidity": EndReason.POST_ONLY_WOULD_TAKE,
    "EC_CancelByMMP": EndReason.OTHER,
    "EC_NoError": EndReason.NONE,
    "EC_PerCancelRequest": EndReason.CANCEL_REQUESTED,
    "EC_NoEnoughQtyToFill": EndReason.OTHER,
    "EC_ReachMaxPendingNum": EndReason.RATE_LIMIT,
}
"""`rejectReason` of an order that was accepted and then ended; others are OTHER."""
