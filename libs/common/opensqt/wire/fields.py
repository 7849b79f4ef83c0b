"""Fields: exact numbers, times, texts and counts, read out of messages with the path to blame.

A path is built while decoding: `where` is the path of the message, ``batch.actions[2].place``, and
a reader adds the field's name to it.
"""

import re
from decimal import Decimal
from typing import Final

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.numbers import NotExactError, parse_decimal, plain
from opensqt.market_maker.v1 import resources_pb2 as pb

NS_PER_S: Final = 1_000_000_000
TIME_NS_MAX: Final = 253_402_300_799 * NS_PER_S + NS_PER_S - 1
"""The end of the year 9999, where protobuf's timestamps end."""

TEXT_LENGTH_MAX: Final = 256
"""Longest name or id that is taken from the wire."""

_DECIMAL: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
"""As google.type.Decimal; `Decimal` itself would also take blanks, underscores and other digits."""


def path(where: str, name: str) -> str:
    """The path of a field of the message at `where`; the empty path is the request itself."""
    return f"{where}.{name}" if where else name


def encode_decimal(number: Decimal) -> pb.Decimal:
    """An exact number, as text without exponent."""
    return pb.Decimal(value=plain(number))


def encode_optional(number: Decimal | None) -> pb.Decimal | None:
    """An exact number, or the missing message."""
    return None if number is None else pb.Decimal(value=plain(number))


def read_decimal(message: Message, name: str, where: str) -> Decimal:
    """The exact number in a field.

    Raises:
        Refusal: FIELD_MISSING, or NOT_A_DECIMAL when it is empty, malformed, NaN or infinite.
    """
    number = read_optional_decimal(message, name, where)
    if number is None:
        raise missing(path(where, name), "decimal text such as '61800.30'")
    return number


def read_optional_decimal(message: Message, name: str, where: str) -> Decimal | None:
    """The exact number in a field, or None when the message is missing.

    Raises:
        Refusal: NOT_A_DECIMAL when it is there, and empty, malformed, NaN or infinite.
    """
    if not message.HasField(name):
        return None
    text: str = getattr(message, name).value
    number = _parse(text)
    if number is None:
        raise Refusal(
            RefusalReason.NOT_A_DECIMAL,
            field=path(where, name),
            value=text[:80],
            allowed="a finite decimal of at most 34 digits, such as '61800.30'",
        )
    return number


def read_positive(message: Message, name: str, where: str) -> Decimal:
    """The exact number in a field, which must be greater than zero.

    Raises:
        Refusal: FIELD_MISSING, NOT_A_DECIMAL or VALUE_NOT_ALLOWED.
    """
    number = read_decimal(message, name, where)
    if number <= 0:
        raise not_allowed(path(where, name), plain(number), "greater than 0")
    return number


def encode_time(time_ns: int) -> Timestamp:
    """A time in nanoseconds since 1970 UTC, exactly."""
    seconds, nanos = divmod(time_ns, NS_PER_S)
    return Timestamp(seconds=seconds, nanos=nanos)


def read_time(message: Message, name: str, where: str) -> int:
    """The time in a field, in nanoseconds since 1970 UTC.

    Raises:
        Refusal: FIELD_MISSING, or VALUE_NOT_ALLOWED when it is not a time from 1970 to 9999.
    """
    if not message.HasField(name):
        raise missing(path(where, name), "a time")
    time: Timestamp = getattr(message, name)
    time_ns = time.seconds * NS_PER_S + time.nanos
    if not 0 <= time.nanos < NS_PER_S or not 0 <= time_ns <= TIME_NS_MAX:
        raise not_allowed(
            path(where, name), f"{time.seconds} s, {time.nanos} ns", "a time from 1970 to 9999"
        )
    return time_ns


def read_text(message: Message, name: str, where: str) -> str:
    """The text in a field, which must not be empty.

    Raises:
        Refusal: FIELD_MISSING when it is empty, VALUE_NOT_ALLOWED when it is too long.
    """
    text = read_optional_text(message, name, where)
    if not text:
        raise missing(path(where, name), "text that is not empty")
    return text


def read_optional_text(message: Message, name: str, where: str) -> str:
    """The text in a field, which may be empty.

    Raises:
        Refusal: VALUE_NOT_ALLOWED when it is longer than any name of ours, or has a NUL in it,
            which no database takes.
    """
    text: str = getattr(message, name)
    if len(text) > TEXT_LENGTH_MAX or "\0" in text:
        raise not_allowed(
            path(where, name), text[:80], f"at most {TEXT_LENGTH_MAX} characters, none of them NUL"
        )
    return text


def read_count(message: Message, name: str, where: str) -> int:
    """The whole number in a field, from 0 on.

    Raises:
        Refusal: VALUE_NOT_ALLOWED when it is negative.
    """
    number: int = getattr(message, name)
    if number < 0:
        raise not_allowed(path(where, name), number, "0 or more")
    return number


def missing(field: str, allowed: str) -> Refusal:
    """The refusal of a field that is not there."""
    return Refusal(RefusalReason.FIELD_MISSING, field=field, allowed=allowed)


def not_allowed(field: str, value: object, allowed: str) -> Refusal:
    """The refusal of a value."""
    return Refusal(RefusalReason.VALUE_NOT_ALLOWED, field=field, value=value, allowed=allowed)


def _parse(text: str) -> Decimal | None:
    if not _DECIMAL.fullmatch(text):
        return None
    try:
        return parse_decimal(text)
    except NotExactError:
        return None
