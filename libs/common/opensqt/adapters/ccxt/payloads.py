"""Reading Binance's payloads: every number from its text, exactly."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from opensqt.core.numbers import parse_decimal

NS_PER_MS: Final = 1_000_000
AHEAD_NS_MAX: Final = 60 * 10**9
"""How far an exchange's clock may be ahead of ours; more is a fault of its payload."""
MAGNITUDE_MAX: Final = Decimal(10) ** 18
"""No market has larger prices, quantities or sums of money."""

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

    Binance writes its numbers as text. A float is read as the shortest text that means it, which is
    what was written before somebody parsed it.

    Raises:
        PayloadError: Missing, or larger than anything on a market.
        NotExactError: Not a decimal number.
    """
    try:
        value = payload[key]
    except KeyError:
        raise PayloadError(f"{key} is missing") from None
    parsed = parse_decimal(repr(value) if isinstance(value, float) else value, name=key)
    if abs(parsed) >= MAGNITUDE_MAX:
        raise PayloadError(f"{key}: {value!r} is no number of a market")
    return parsed


def amount(payload: Payload, key: str) -> Decimal:
    """A number that is never negative; raises as `number`."""
    value = number(payload, key)
    if value < 0:
        raise PayloadError(f"{key}: {value} is negative")
    return value


def flag(payload: Payload, key: str) -> bool:
    """A truth value, which may be written as text; one that is missing is false.

    Raises:
        PayloadError: Neither true nor false.
    """
    value = payload.get(key, False)
    known = {True: True, False: False, "true": True, "false": False}
    if isinstance(value, bool | str) and value in known:
        return known[value]
    raise PayloadError(f"{key}: {value!r}; known are true and false")


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


def event_time_ns(payload: Payload, key: str, *, receive_time_ns: int) -> int:
    """When something happened, from milliseconds, and never long after we have heard of it.

    Raises:
        PayloadError: Missing, or no time.
    """
    try:
        told_ns = time_ns(payload, key)
    except (KeyError, TypeError, ValueError):
        raise PayloadError(f"{key}: {payload.get(key)!r} is no time in milliseconds") from None
    if told_ns <= 0:
        return receive_time_ns
    return min(told_ns, receive_time_ns + AHEAD_NS_MAX)
