"""What an exchange's answer proves: one table, and UNKNOWN for whatever is not in it.

A request to place an order is only known to have failed when the exchange says so in words that are
listed here. ccxt's own mapping is not used: it depends on the URL, calls truncated answers rejects,
and has no word for "may have happened".
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from opensqt.core.orders import EndReason

TEXT_MAX: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that is not a plain success."""

    status: int
    """HTTP status."""
    code: str
    """The exchange's own code; empty when the body has none."""
    text: str
    """The exchange's words, or the beginning of a body that is not what was expected."""
    retry_after_s: float | None = None


class Proof(Enum):
    """What an answer proves about the request."""

    REFUSED = "refused"
    """It was not carried out, and never will be."""
    NO_SUCH_ORDER = "no such order"
    """The exchange knows no such order, or no such open one."""
    UNKNOWN = "unknown"
    """It may or may not have been carried out, or may still be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an answer proves, and why."""

    proof: Proof
    reason: EndReason = EndReason.OTHER
    listed: bool = True
    """The answer is in the table; one that is not should be looked at by a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    exchange: str
    status: int | None
    """HTTP status; None: any from 400 to 499, where the exchange blames the request."""
    code: str | None
    """None: whatever code, or none."""
    text: str
    """Part of the exchange's words; empty: whatever words."""
    verdict: Verdict

    def fits(self, exchange: str, answer: Answer) -> bool:
        """Whether the line is about this answer."""
        if self.exchange != exchange or (self.code is not None and self.code != answer.code):
            return False
        blamed = 400 <= answer.status < 500
        status_fits = blamed if self.status is None else self.status == answer.status
        return status_fits and self.text.lower() in answer.text.lower()


def classify(exchange: str, answer: Answer) -> Verdict:
    """What `answer` proves; the first line of the table that fits decides."""
    for row in TABLE:
        if row.fits(exchange, answer):
            return row.verdict
    return _UNLISTED


_UNLISTED: Final = Verdict(proof=Proof.UNKNOWN, listed=False)
_DOUBT: Final = Verdict(proof=Proof.UNKNOWN)
_USDM: Final = "binanceusdm"


def _refused(reason: EndReason) -> Verdict:
    return Verdict(proof=Proof.REFUSED, reason=reason)


def _usdm(
    codes: str, verdict: Verdict, *, status: int | None = None, text: str = ""
) -> tuple[Row, ...]:
    return tuple(
        Row(exchange=_USDM, status=status, code=code, text=text, verdict=verdict)
        for code in codes.split()
    )


def _usdm_http(status: int, text: str, verdict: Verdict) -> Row:
    return Row(exchange=_USDM, status=status, code=None, text=text, verdict=verdict)


# Sources: Binance's error code lists for USD-M futures and its notes on HTTP 503.
TABLE: Final[tuple[Row, ...]] = (
    # The order may exist. An id in use may be our own order, sent before: it is looked up.
    *_usdm("-4116", Verdict(proof=Proof.UNKNOWN, reason=EndReason.DUPLICATE_ID)),
    *_usdm("-2010", Verdict(proof=Proof.UNKNOWN, reason=EndReason.DUPLICATE_ID), text="duplicate"),
    *_usdm("-1006 -1007", _DOUBT),
    _usdm_http(408, "", _DOUBT),
    # HTTP 503 has variants, told apart by their words.
    *_usdm("-1008", _refused(EndReason.EXCHANGE_UNAVAILABLE), status=503),
    *_usdm("-1008", _refused(EndReason.EXCHANGE_UNAVAILABLE)),
    _usdm_http(503, "unknown error", _DOUBT),
    _usdm_http(503, "service unavailable.", _refused(EndReason.EXCHANGE_UNAVAILABLE)),
    _usdm_http(503, "internal error; unable to process", _refused(EndReason.EXCHANGE_UNAVAILABLE)),
    # Too many requests or orders.
    _usdm_http(429, "", _refused(EndReason.RATE_LIMIT)),
    _usdm_http(418, "", _refused(EndReason.RATE_LIMIT)),
    *_usdm("-1003 -1015 -2025", _refused(EndReason.RATE_LIMIT)),
    # Unknown orders, of look-ups and cancels.
    *_usdm("-2011 -2013", Verdict(proof=Proof.NO_SUCH_ORDER)),
    # The order itself.
    *_usdm("-5022", _refused(EndReason.POST_ONLY_WOULD_TAKE)),
    *_usdm("-2022 -2024 -2026 -4118", _refused(EndReason.REDUCE_ONLY_REJECTED)),
    *_usdm("-2018 -2019 -2027 -2028", _refused(EndReason.INSUFFICIENT_MARGIN)),
    *_usdm(
        "-1013 -1111 -4001 -4002 -4003 -4004 -4005 -4013 -4014 -4016 -4023 -4024 -4029 -4030 "
        "-4131 -4164",
        _refused(EndReason.FILTER),
    ),
    # The request around it.
    *_usdm("-1021 -5028", _refused(EndReason.TIMESTAMP)),
    *_usdm("-1002 -1022 -2014 -2015", _refused(EndReason.AUTHENTICATION)),
    # Restricted modes: cancels and reductions only, or nothing at all.
    *_usdm("-4087 -4088 -4517 -4518 -4519", _refused(EndReason.EXCHANGE_UNAVAILABLE)),
    # Malformed, or not for this account or market.
    *_usdm(
        "-1100 -1101 -1102 -1103 -1104 -1105 -1106 -1114 -1115 -1116 -1117 -1118 -1119 -1120 "
        "-1121 -1130 -2010 -2020 -2021 -2023 -4015 -4061 -4067 -4068 -5021",
        _refused(EndReason.OTHER),
    ),
)
"""The first line that fits an answer decides; none fits: UNKNOWN."""
