"""The API's messages as commands show them: plain values under the contract's own field names.

Exact numbers stay text, times are ISO 8601 in UTC, enums lose their prefix, and what is missing is
None rather than zero. Nothing here knows a single message, so new fields show up by themselves.
"""

import re
from datetime import UTC, datetime
from typing import Any, cast

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from opensqt.market_maker.v1.resources_pb2 import Decimal

Row = dict[str, Any]


def as_row(message: Message) -> Row:
    """A message's fields by name."""
    fields = cast("list[FieldDescriptor]", message.DESCRIPTOR.fields)
    return {field.name: _field_value(message, field) for field in fields}


def as_time(timestamp: Timestamp) -> str:
    """A time to the microsecond, such as ``2025-10-04T12:00:00.000001Z``."""
    moment = datetime.fromtimestamp(timestamp.seconds, UTC)
    return moment.replace(microsecond=timestamp.nanos // 1000, tzinfo=None).isoformat() + "Z"


def _field_value(message: Message, field: FieldDescriptor) -> object:
    value = getattr(message, field.name)
    if field.is_repeated:
        return [_plain_value(field, item) for item in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _plain_value(field, value)


def _plain_value(field: FieldDescriptor, value: Any) -> object:
    if isinstance(value, Decimal):
        return value.value
    if isinstance(value, Timestamp):
        return as_time(value)
    if isinstance(value, Message):
        return as_row(value)
    if field.enum_type is not None:
        return _enum_name(field.enum_type, value)
    return value


def _enum_name(enum: EnumDescriptor, number: int) -> str:
    known = enum.values_by_number.get(number)
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"
    return known.name.removeprefix(prefix) if known else str(number)
