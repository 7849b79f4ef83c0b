"""What goes over the wire comes back equal."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opensqt import ports
from opensqt.core.actions import ActionBatch
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
from opensqt.core.grid.book import GridBook, GridChange
from opensqt.market_maker.v1.state_pb2 import GridState
from opensqt.testing import core_values as values
from opensqt.wire import actions, comparison, events, intents, resources, state
from opensqt.wire.codecs import CODECS, codec

EXAMPLES = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)

NOUNS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "order": (values.ORDERS, resources.encode_order, resources.decode_order),
    "execution": (values.EXECUTIONS, resources.encode_execution, resources.decode_execution),
    "position": (values.POSITIONS, resources.encode_position, resources.decode_position),
    "instrument": (values.INSTRUMENTS, resources.encode_instrument, resources.decode_instrument),
    "gate": (values.GATES, events.encode_gate, events.decode_gate),
    "action": (values.ACTIONS, actions.encode_action, actions.decode_action),
    "slot": (values.slots(), state.encode_slot, state.decode_slot),
    "identity": (values.IDENTITIES, state.encode_identity, state.decode_identity),
    "totals": (values.TOTALS, state.encode_totals, state.decode_totals),
    "placement": (values.PLACEMENTS, intents.encode_placement, intents.decode_placement),
    "quarantined": (
        values.QUARANTINED,
        comparison.encode_quarantined,
        comparison.decode_quarantined,
    ),
    "reservation": (values.RESERVATIONS, intents.encode_reservation, intents.decode_reservation),
}

EVENTS: dict[type[Any], st.SearchStrategy[Any]] = {
    PriceChange: values.PRICE_CHANGES,
    OrderUpdate: values.ORDER_UPDATES,
    FundingUpdate: values.FUNDING_UPDATES,
    PositionUpdate: values.POSITION_UPDATES,
    PositionCheck: values.POSITION_CHECKS,
    Candle: values.CANDLES,
    StreamStatus: values.STREAM_STATUSES,
    GateBeat: values.GATE_BEATS,
    ActionBatch: values.BATCHES,
    GridChange: values.changes(),
}


@pytest.mark.parametrize("noun", NOUNS)
@EXAMPLES
@given(data=st.data())
def test_nouns(noun: str, data: st.DataObject) -> None:
    strategy, encode, decode = NOUNS[noun]
    value = data.draw(strategy)
    message = encode(value)
    assert decode(type(message).FromString(message.SerializeToString())) == value


def test_every_event_has_a_codec() -> None:
    topics = {topic.event for topic in vars(ports).values() if isinstance(topic, ports.Topic)}
    assert topics == set(CODECS) == set(EVENTS)


@EXAMPLES
@given(event=st.one_of(*EVENTS.values()))
def test_events(event: Any) -> None:
    either_way = codec(type(event))
    assert either_way.from_bytes(either_way.to_bytes(event)) == event


@EXAMPLES
@given(book=values.books())
def test_grids_keep_every_live_order(book: GridBook) -> None:
    message = state.encode_grid(book)
    assert state.decode_grid(GridState.FromString(message.SerializeToString())) == book
