"""A line of a recording of raw streams, ``<local_ns> <json>``: taken apart, not yet understood."""

from collections.abc import Mapping
from typing import Any

import orjson


def received(line: bytes) -> tuple[int, bytes]:
    """When a message was received, in nanoseconds, and the message.

    Raises:
        ValueError: The line is no such thing.
    """
    stamp, separator, body = line.partition(b" ")
    if not separator or not stamp.isdigit():
        raise ValueError("expected '<local_ns> <json>'")
    return int(stamp), body


def stream_data(body: bytes) -> Mapping[str, Any] | None:
    """What a stream told; None: it is no stream's, but a REST snapshot between them.

    Raises:
        ValueError: It is not JSON.
        TypeError: It is not an object.
    """
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(message, dict):
        raise TypeError("the message is not an object")
    data = message.get("data")
    return data if isinstance(data, dict) else None


def boolean(value: object, name: str) -> bool:
    """A value that must be true or false.

    Raises:
        TypeError: It is neither.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; allowed are true and false")
    return value
