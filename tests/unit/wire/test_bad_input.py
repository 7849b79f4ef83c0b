"""What is missing, malformed or unspecified is refused, with the path of the field."""

from collections.abc import Callable
from decimal import Decimal as D

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from opensqt.core.actions import ActionBatch, Cancel, Place
from opensqt.core.errors import Refusal
from opensqt.core.orders import Purpose, Side
from opensqt.market_maker.v1 import actions_pb2, resources_pb2
from opensqt.wire.actions import decode_batch, encode_batch
from opensqt.wire.codecs import codec
from opensqt.wire.fields import read_decimal

BATCH = encode_batch(
    ActionBatch(
        bot_id="btc",
        epoch=3,
        state_revision=7,
        price_time_ns=1_700_000_000_123_456_789,
        actions=(
            Cancel(slot_price=D(99), client_oid="gbxx"),
            Place(
                slot_price=D(100),
                side=Side.BUY,
                purpose=Purpose.OPEN,
                price=D(100),
                quantity=D("0.001"),
                reduce_only=False,
                post_only=True,
                exit_price=D(101),
            ),
        ),
    )
)
PLACE = "batch.actions[1].place"


def price(text: str) -> Callable[[actions_pb2.ActionBatch], None]:
    def put(batch: actions_pb2.ActionBatch) -> None:
        batch.actions[1].place.price.value = text

    return put


@pytest.mark.parametrize(
    ("spoil", "reason", "field"),
    [
        (price(""), "NOT_A_DECIMAL", f"{PLACE}.price"),
        (price("NaN"), "NOT_A_DECIMAL", f"{PLACE}.price"),
        (price("sNaN"), "NOT_A_DECIMAL", f"{PLACE}.price"),
        (price("Infinity"), "NOT_A_DECIMAL", f"{PLACE}.price"),
        (price("1_000"), "NOT_A_DECIMAL", f"{PLACE}.price"),
        (price(" 1"), "NOT_A_DECIMAL", f"{PLACE}.price"),
        (price("1,5"), "NOT_A_DECIMAL", f"{PLACE}.price"),
        (price("٣"), "NOT_A_DECIMAL", f"{PLACE}.price"),
        (price("1e99"), "NOT_A_DECIMAL", f"{PLACE}.price"),
        (price("1e999999999"), "NOT_A_DECIMAL", f"{PLACE}.price"),
        (price("9" * 35), "NOT_A_DECIMAL", f"{PLACE}.price"),
        (price("-1"), "VALUE_NOT_ALLOWED", f"{PLACE}.price"),
        (price("0"), "VALUE_NOT_ALLOWED", f"{PLACE}.price"),
        (lambda b: b.actions[1].place.ClearField("price"), "FIELD_MISSING", f"{PLACE}.price"),
        (lambda b: b.actions[1].place.ClearField("side"), "ENUM_UNSPECIFIED", f"{PLACE}.side"),
        (lambda b: setattr(b.actions[1].place, "purpose", 99), "ENUM_UNSPECIFIED", f"{PLACE}.purpose"),
        (lambda b: b.actions[1].Clear(), "FIELD_MISSING", "batch.actions[1].action"),
        (lambda b: b.ClearField("actions"), "VALUE_NOT_ALLOWED", "batch.actions"),
        (lambda b: b.ClearField("bot_id"), "FIELD_MISSING", "batch.bot_id"),
        (lambda b: b.ClearField("price_time"), "FIELD_MISSING", "batch.price_time"),
        (lambda b: setattr(b, "state_revision", -1), "VALUE_NOT_ALLOWED", "batch.state_revision"),
        (lambda b: setattr(b, "batch_id", "btc:3:8"), "VALUE_NOT_ALLOWED", "batch.batch_id"),
        (lambda b: setattr(b, "bot_id", "b" * 300), "VALUE_NOT_ALLOWED", "batch.bot_id"),
        (lambda b: setattr(b, "bot_id", "b\0c"), "VALUE_NOT_ALLOWED", "batch.bot_id"),
        (
            lambda b: b.price_time.CopyFrom(Timestamp(seconds=1, nanos=-1)),
            "VALUE_NOT_ALLOWED",
            "batch.price_time",
        ),
    ],
)  # fmt: skip
def test_is_refused(
    spoil: Callable[[actions_pb2.ActionBatch], None], reason: str, field: str
) -> None:
    message = actions_pb2.ActionBatch()
    message.CopyFrom(BATCH)
    spoil(message)
    with pytest.raises(Refusal) as refused:
        decode_batch(message)
    assert (refused.value.reason, refused.value.field) == (reason, field)
    assert refused.value.allowed


@pytest.mark.parametrize("text", ["1", "+1", "01.50", ".5", "5.", "1e-8", "-0", "1E+3"])
def test_decimal_text_that_is_taken(text: str) -> None:
    candle = resources_pb2.Candle(volume=resources_pb2.Decimal(value=text))
    assert read_decimal(candle, "volume", "") == D(text)


def test_bytes_that_are_no_message_are_refused() -> None:
    with pytest.raises(Refusal) as refused:
        codec(ActionBatch).from_bytes(b"\xff\xff\xff")
    assert refused.value.reason == "VALUE_NOT_ALLOWED"
