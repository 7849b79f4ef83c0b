"""Reading Binance's payloads: every number from its text, exactly."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from opensqt.core.numbers import parse_decimal

NS_PER_MS: Final = 1_000_000

Payload = Mapping[str, Any]


class PayloadError(ValueError):
    """A payload that is not what the exchange documents: what was found."""


def rows(answer: Any) -> list[Payload]:
    """The rows of an answer that is a list; anything else, even if empty, says nothing.

    Raises:
        PayloadError: It is not a list of objects.
    """
    if not isinstance(answer, list) or not all(isinstance(row, Mapping) for row in answer):
        raise PayloadError(f"a list of objects was to be expected, not {answer!r:.100}")
    return answer


def number(payload: Payload, key: str) -> Decimal:
    """An exact number.

    Raises:
        PayloadError: Missing, or not a decimal number as text.
    """
    try:
        return parse_decimal(payload[key], name=key)
    except KeyError:
        raise PayloadError(f"{key} is missing") from None


def positive_or_none(payload: Payload, key: str) -> Decimal | None:
    """A number that the exchange writes as 0 or leaves out when it has none."""
    if payload.get(key) in (None, ""):
        return None
    value = number(payload, key)
    return value if value > 0 else None


def optional(payload: Payload, key: str) -> Decimal | None:
    """A number that may be missing."""
    return None if payload.get(key) in (None, "") else number(payload, key)


def time_ns(payload: Payload, key: str) -> int:
    """A time, from milliseconds."""
    return int(payload[key]) * NS_PER_MS
