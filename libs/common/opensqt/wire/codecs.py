"""Events as bytes, for whatever carries them: one codec per type of event."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, cast

from google.protobuf.message import DecodeError, Message

from opensqt.core.actions import ActionBatch
from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.events import (
    Candle,
    FundingUpdate,
    GateBeat,
    OrderUpdate,
    PositionCheck,
    PositionUpdate,
    PriceChange,
    StreamStatus,
)
from opensqt.core.grid.book import GridChange
from opensqt.market_maker.v1 import actions_pb2, events_pb2, resources_pb2, state_pb2
from opensqt.wire import actions, comparison, events, resources, state

E = TypeVar("E")
MessageT = TypeVar("MessageT", bound=Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec(Generic[E]):
    """Turns one type of event into bytes and back."""

    to_bytes: Callable[[E], bytes]
    from_bytes: Callable[[bytes], E]
    """Raises `Refusal` for bytes that are not such an event."""


def codec(event: type[E]) -> Codec[E]:
    """The codec of a type of event.

    Raises:
        KeyError: No such event travels.
    """
    return cast("Codec[E]", CODECS[event])


def _codec(
    message: type[MessageT], encode: Callable[[E], MessageT], decode: Callable[[MessageT], E]
) -> Codec[E]:
    def from_bytes(data: bytes) -> E:
        try:
            parsed = message.FromString(data)
        except DecodeError as error:
            raise Refusal(
                RefusalReason.VALUE_NOT_ALLOWED,
                field=message.DESCRIPTOR.name,
                value=error,
                allowed=f"a serialised {message.DESCRIPTOR.full_name}",
            ) from None
        return decode(parsed)

    return Codec(to_bytes=lambda event: encode(event).SerializeToString(), from_bytes=from_bytes)


CODECS: Final[Mapping[type[Any], Codec[Any]]] = {
    PriceChange: _codec(
        events_pb2.PriceChange, events.encode_price_change, events.decode_price_change
    ),
    OrderUpdate: _codec(
        events_pb2.OrderUpdate, events.encode_order_update, events.decode_order_update
    ),
    FundingUpdate: _codec(
        events_pb2.FundingUpdate, events.encode_funding_update, events.decode_funding_update
    ),
    PositionUpdate: _codec(
        events_pb2.PositionUpdate, events.encode_position_update, events.decode_position_update
    ),
    PositionCheck: _codec(
        events_pb2.PositionCheck, comparison.encode_position_check, comparison.decode_position_check
    ),
    Candle: _codec(resources_pb2.Candle, resources.encode_candle, resources.decode_candle),
    StreamStatus: _codec(
        events_pb2.StreamStatus, events.encode_stream_status, events.decode_stream_status
    ),
    GateBeat: _codec(events_pb2.GateBeat, events.encode_gate_beat, events.decode_gate_beat),
    ActionBatch: _codec(actions_pb2.ActionBatch, actions.encode_batch, actions.decode_batch),
    GridChange: _codec(state_pb2.GridChange, state.encode_change, state.decode_change),
}
"""Every event of `ports`' topics."""
