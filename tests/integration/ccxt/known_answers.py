"""What answers prove, written down a second time, from the exchanges' documentation.

Each line: what it proves, then ``status code`` pairs, or a status with words. A line of the tables
that no answer here reaches fails, and so does an answer here that no line is about.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from opensqt.adapters.ccxt.answers import Proof
from opensqt.core.orders import EndReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An answer, and what it proves."""

    exchange: str
    status: int
    code: str
    words: str
    proof: Proof
    reason: EndReason

    def __str__(self) -> str:
        """Names it in the report."""
        words = self.words if self.words != WORDS else ""
        return " ".join(f"{self.exchange} {self.status} {self.code} {words}".split())


WORDS = "Words that mean nothing."

R, N, O, U = Proof.REFUSED, Proof.NO_SUCH_ORDER, Proof.NOT_OPEN, Proof.UNKNOWN  # noqa: E741

_SPOKEN: dict[str, list[tuple[Proof, EndReason, int, str, str]]] = {
    "binanceusdm": [
        (U, EndReason.DUPLICATE_ID, 400, "-2010", "Duplicate order sent."),
        (R, EndReason.OTHER, 400, "-2010", "NEW_ORDER_REJECTED"),
        (U, EndReason.OTHER, 503, "", "Unknown error, please check your request or try again."),
        (R, EndReason.EXCHANGE_UNAVAILABLE, 503, "", "Service Unavailable."),
        (
            R,
            EndReason.EXCHANGE_UNAVAILABLE,
            503,
            "",
            "Internal error; unable to process your request. Please try again.",
        ),
        (U, EndReason.OTHER, 408, "", "Request Timeout"),
        (R, EndReason.RATE_LIMIT, 429, "", "Too Many Requests"),
        (R, EndReason.RATE_LIMIT, 418, "", "I'm a teapot"),
    ],
    "binance": [
        (U, EndReason.DUPLICATE_ID, 400, "-2010", "Duplicate order sent."),
        (
            R,
            EndReason.INSUFFICIENT_MARGIN,
            400,
            "-2010",
            "Account has insufficient balance for requested action.",
        ),
        (
            R,
            EndReason.POST_ONLY_WOULD_TAKE,
            400,
            "-2010",
            "Order would immediately match and take.",
        ),
        (R, EndReason.EXCHANGE_UNAVAILABLE, 400, "-2010", "Market is closed."),
        (R, EndReason.AUTHENTICATION, 400, "-2010", "This action is disabled on this account."),
        (R, EndReason.OTHER, 400, "-2010", "Order would trigger immediately."),
        (U, EndReason.OTHER, 503, "", "Unknown error, please check your request or try again."),
        (R, EndReason.EXCHANGE_UNAVAILABLE, 503, "", "Service Unavailable."),
        (
            R,
            EndReason.EXCHANGE_UNAVAILABLE,
            503,
            "",
            "Internal error; unable to process your request. Please try again.",
        ),
        (U, EndReason.OTHER, 408, "", "Request Timeout"),
        (R, EndReason.RATE_LIMIT, 429, "", "Too Many Requests"),
        (R, EndReason.RATE_LIMIT, 418, "", "I'm a teapot"),
    ],
    "bybit": [
        (R, EndReason.RATE_LIMIT, 403, "", "403, access too frequent"),
        (U, EndReason.OTHER, 429, "", "System level frequency protection"),
    ],
    "okx": [],
    "bitget": [(R, EndReason.RATE_LIMIT, 429, "", "Too Many Requests")],
    "gate": [
        (
            R,
            EndReason.FILTER,
            400,
            "INVALID_PARAM_VALUE",
            "Your order size 0.003 USDT is too small. The minimum is 3 USDT",
        ),
    ],
}

_CODES = """
binanceusdm
UNKNOWN       DUPLICATE_ID          400: -4116
UNKNOWN       OTHER                 400: -1000 -1001 -1006 -1007
REFUSED       EXCHANGE_UNAVAILABLE  400: -1008
REFUSED       EXCHANGE_UNAVAILABLE  503: -1008
REFUSED       RATE_LIMIT            400: -1003 -1015 -2025
REFUSED       RATE_LIMIT            429: -1015
NOT_OPEN      OTHER                 400: -2011
NO_SUCH_ORDER OTHER                 400: -2013
REFUSED       POST_ONLY_WOULD_TAKE  400: -5022
REFUSED       REDUCE_ONLY_REJECTED  400: -2022 -2024 -2026 -4118
REFUSED       INSUFFICIENT_MARGIN   400: -2018 -2019 -2027 -2028
REFUSED       FILTER                400: -1013 -1111 -4001 -4002 -4003 -4004 -4005 -4013 -4014
REFUSED       FILTER                400: -4016 -4023 -4024 -4029 -4030 -4131 -4164
REFUSED       TIMESTAMP             400: -1021 -5028
REFUSED       AUTHENTICATION        401: -1002 -1022 -2014 -2015
REFUSED       EXCHANGE_UNAVAILABLE  400: -1016 -4087 -4088 -4517 -4518 -4519
REFUSED       OTHER                 400: -1014 -1020 -1100 -1101 -1102 -1103 -1104 -1105 -1106
REFUSED       OTHER                 400: -1114 -1115 -1116 -1117 -1118 -1119 -1120 -1121 -1130
REFUSED       OTHER                 400: -2020 -2021 -2023 -4015 -4061 -4067 -4068 -5021

binance
UNKNOWN       OTHER                 400: -1000 -1001 -1006 -1007
REFUSED       EXCHANGE_UNAVAILABLE  400: -1008 -1016
REFUSED       EXCHANGE_UNAVAILABLE  503: -1008
REFUSED       RATE_LIMIT            400: -1003 -1015
NOT_OPEN      OTHER                 400: -2011 -2026
NO_SUCH_ORDER OTHER                 400: -2013
REFUSED       FILTER                400: -1013 -1111
REFUSED       TIMESTAMP             400: -1021
REFUSED       AUTHENTICATION        401: -1002 -1022 -2014 -2015
REFUSED       OTHER                 400: -1014 -1020 -1100 -1101 -1102 -1103 -1104 -1105 -1106
REFUSED       OTHER                 400: -1114 -1115 -1116 -1117 -1118 -1119 -1120 -1121 -1130

bybit
UNKNOWN       DUPLICATE_ID          200: 10014 110030 110072 170141
UNKNOWN       OTHER                 200: 429 10000 10016 110079 170001 170007 170032 170035 170144
UNKNOWN       OTHER                 200: 170146 170147 170149 170150 170191 170234
UNKNOWN       OTHER                 500: 10016
REFUSED       RATE_LIMIT            200: 10006 10018 110009 110020 170005 170222
NO_SUCH_ORDER OTHER                 200: 170213
NOT_OPEN      OTHER                 200: 110001 110008 110010 170139 170142 170143 170190
REFUSED       POST_ONLY_WOULD_TAKE  200: 170218
REFUSED       REDUCE_ONLY_REJECTED  200: 110017
REFUSED       INSUFFICIENT_MARGIN   200: 110004 110006 110007 110012 110014 110016 110044 110045
REFUSED       INSUFFICIENT_MARGIN   200: 110051 110052 110053 170033 170131
REFUSED       FILTER                200: 110003 110094 170124 170132 170133 170134 170135 170136
REFUSED       FILTER                200: 170137 170140 170148 170192 170193 170194 170371 170372
REFUSED       TIMESTAMP             200: -1 10002
REFUSED       AUTHENTICATION        200: -2015 10003 10004 10005 10007 10008 10009 10010 10024 10027
REFUSED       AUTHENTICATION        200: 10028 33004
REFUSED       AUTHENTICATION        401: 10003
REFUSED       EXCHANGE_UNAVAILABLE  200: 110023 110042 110063 110066 170151 170157 170201
REFUSED       OTHER                 200: 110024 110028 110029 10001 10017 10029 110005 110018 110019
REFUSED       OTHER                 200: 110021 110022 110032 110034 110040 170105 170115 170116
REFUSED       OTHER                 200: 170117 170121 170130 170145

okx
UNKNOWN       DUPLICATE_ID          200: 51011 51016
UNKNOWN       OTHER                 200: 50004 50005 50013 50026 51149 51410
UNKNOWN       OTHER                 500: 50026
UNKNOWN       OTHER                 503: 50013
REFUSED       RATE_LIMIT            200: 50061 51102 51103 51113 51174
REFUSED       RATE_LIMIT            429: 50011
NO_SUCH_ORDER OTHER                 200: 51603
NOT_OPEN      OTHER                 200: 51400 51401 51402 51405
REFUSED       REDUCE_ONLY_REJECTED  200: 51023 51112 51169 51205
REFUSED       INSUFFICIENT_MARGIN   200: 51008 51119 51127 51131
REFUSED       FILTER                200: 51004 51005 51006 51007 51020 51031 51100 51101 51116 51118
REFUSED       FILTER                200: 51120 51121 51122 51135 51136 51137 51138 51185 51201 51203
REFUSED       FILTER                200: 51204
REFUSED       TIMESTAMP             401: 50102 50112
REFUSED       TIMESTAMP             200: 50036
REFUSED       AUTHENTICATION        401: 50103 50104 50105 50106 50107 50110 50111 50113 50114 50120
REFUSED       AUTHENTICATION        200: 50007 50008 50027 50100 50101
REFUSED       EXCHANGE_UNAVAILABLE  503: 50001
REFUSED       EXCHANGE_UNAVAILABLE  200: 50009 50017 50018 50019 50020 50021 50022 50023 51009 51021
REFUSED       EXCHANGE_UNAVAILABLE  200: 51022 51027 51028 51029 51030
REFUSED       OTHER                 400: 50000 50002 50006 50014 50015 50016 50024 50025 50115
REFUSED       OTHER                 200: 50012 50028 51000 51001 51002 51003 51010 51012 51014 51015
REFUSED       OTHER                 200: 51019 51024 51026

bitget
UNKNOWN       DUPLICATE_ID          400: 40786 25212
UNKNOWN       OTHER                 400: 40010 40015 40604 40725 45001
UNKNOWN       OTHER                 500: 40015
REFUSED       RATE_LIMIT            429: 429
REFUSED       RATE_LIMIT            200: 429
NO_SUCH_ORDER OTHER                 400: 40109 40768 43001
NOT_OPEN      OTHER                 400: 22001
REFUSED       REDUCE_ONLY_REJECTED  400: 22002
REFUSED       INSUFFICIENT_MARGIN   400: 40711 40712 40754 40762 43012
REFUSED       FILTER                400: 40108 40706 40808 41103 41117 45110 45113
REFUSED       TIMESTAMP             400: 40004 40005 40008
REFUSED       AUTHENTICATION        400: 40001 40002 40003 40006 40009 40011 40012 40013 40014 40016
REFUSED       AUTHENTICATION        400: 40018 40031 40037
REFUSED       EXCHANGE_UNAVAILABLE  400: 40200 40308 41114 43115
REFUSED       OTHER                 400: 40774 40007 40017 40019 40020 40024 40034 40085 40102 40103
REFUSED       OTHER                 400: 40301 40305 40309 40500 400172 43011

gate
UNKNOWN       OTHER                 500: SERVER_ERROR INTERNAL
UNKNOWN       OTHER                 503: TOO_BUSY
UNKNOWN       OTHER                 400: TOO_BUSY
UNKNOWN       DUPLICATE_ID          400: REPEATED_CREATION
REFUSED       RATE_LIMIT            429: TOO_MANY_REQUESTS
REFUSED       RATE_LIMIT            400: TOO_FAST TOO_MANY_ORDERS
NO_SUCH_ORDER OTHER                 404: ORDER_NOT_FOUND CLIENT_ID_NOT_FOUND
NOT_OPEN      OTHER                 400: ORDER_FINISHED ORDER_CLOSED ORDER_CANCELLED
REFUSED       POST_ONLY_WOULD_TAKE  400: POC_FILL_IMMEDIATELY ORDER_POC_IMMEDIATE
REFUSED       REDUCE_ONLY_REJECTED  400: REDUCE_EXCEEDED REDUCE_ONLY_FAIL POSITION_EMPTY
REFUSED       REDUCE_ONLY_REJECTED  400: INCREASE_POSITION
REFUSED       INSUFFICIENT_MARGIN   400: BALANCE_NOT_ENOUGH MARGIN_BALANCE_NOT_ENOUGH
REFUSED       INSUFFICIENT_MARGIN   400: FUTURES_BALANCE_NOT_ENOUGH INSUFFICIENT_AVAILABLE
REFUSED       INSUFFICIENT_MARGIN   400: LIQUIDATE_IMMEDIATELY RISK_LIMIT_EXCEEDED
REFUSED       INSUFFICIENT_MARGIN   400: QUANTITY_NOT_ENOUGH
REFUSED       FILTER                400: INVALID_PRECISION AMOUNT_TOO_LITTLE AMOUNT_TOO_MUCH
REFUSED       FILTER                400: SIZE_TOO_LARGE SIZE_TOO_SMALL PRICE_TOO_DEVIATED
REFUSED       FILTER                400: PRICE_OVER_LIQUIDATION PRICE_OVER_BANKRUPT
REFUSED       FILTER                400: PRICE_THRESHOLD_EXCEEDED
REFUSED       TIMESTAMP             401: REQUEST_EXPIRED
REFUSED       AUTHENTICATION        401: AUTHENTICATION_FAILED INVALID_CREDENTIALS INVALID_KEY
REFUSED       AUTHENTICATION        401: INVALID_SIGNATURE MISSING_REQUIRED_HEADER
REFUSED       AUTHENTICATION        403: IP_FORBIDDEN READ_ONLY FORBIDDEN ACCOUNT_LOCKED
REFUSED       AUTHENTICATION        403: SUB_ACCOUNT_LOCKED
REFUSED       EXCHANGE_UNAVAILABLE  400: CONTRACT_IN_DELISTING POSITION_IN_LIQUIDATION
REFUSED       EXCHANGE_UNAVAILABLE  400: POSITION_IN_CLOSE TRADE_RESTRICTED
REFUSED       OTHER                 400: INVALID_PARAM_VALUE INVALID_PROTOCOL INVALID_ARGUMENT
REFUSED       OTHER                 400: INVALID_REQUEST_BODY MISSING_REQUIRED_PARAM BAD_REQUEST
REFUSED       OTHER                 400: INVALID_CONTENT_TYPE NOT_ACCEPTABLE METHOD_NOT_ALLOWED
REFUSED       OTHER                 404: NOT_FOUND CONTRACT_NOT_FOUND USER_NOT_FOUND
REFUSED       OTHER                 400: INVALID_CURRENCY INVALID_CURRENCY_PAIR ORDER_NOT_OWNED
REFUSED       OTHER                 400: MIXED_ACCOUNT_TYPE MARGIN_NOT_SUPPORTED
"""


def known_answers() -> tuple[Known, ...]:
    """Every answer that is written down here."""
    return (*_spoken(), *_coded())


def _spoken() -> Iterator[Known]:
    for exchange, lines in _SPOKEN.items():
        for proof, reason, status, code, words in lines:
            yield Known(
                exchange=exchange, status=status, code=code, words=words, proof=proof, reason=reason
            )


def _coded() -> Iterator[Known]:
    exchange = ""
    for line in filter(None, _CODES.splitlines()):
        if ":" not in line:
            exchange = line
            continue
        head, codes = line.split(":")
        proof, reason, status = head.split()
        for code in codes.split():
            yield Known(
                exchange=exchange,
                status=int(status),
                code=code,
                words=WORDS,
                proof=Proof[proof],
                reason=EndReason[reason],
            )


REFUSED_FOR_MARGIN = {
    "binanceusdm": b'{"code": -2019, "msg": "Margin is insufficient."}',
    "binance": b'{"code": -2010, "msg": "Account has insufficient balance."}',
    "bybit": b'{"retCode": 110007, "retMsg": "ab not enough for new order", "result": {}}',
    "okx": b'{"code": "1", "msg": "", "data": [{"sCode": "51008", "sMsg": "Insufficient"}]}',
    "bitget": b'{"code": "40762", "msg": "The order amount exceeds the balance", "data": null}',
    "gate": b'{"label": "BALANCE_NOT_ENOUGH", "message": "Not enough."}',
}
"""A refusal of each exchange, as it writes it."""
