"""Standings, forced orders, position checks and quarantined orders: what is refused."""

from collections.abc import Callable
from decimal import Decimal as D
from typing import Any

import pytest

from opensqt.core.errors import Refusal
from opensqt.core.events import Forced, OrderUpdate, PositionCheck, UpdateSource
from opensqt.core.grid.book import Direction, GridBook, GridChange, GridIdentity, GridTotals
from opensqt.core.orders import EndReason, OrderStatus, Side
from opensqt.ports import Quarantined
from opensqt.wire.comparison import (
    decode_position_check,
    decode_quarantined,
    encode_position_check,
    encode_quarantined,
)
from opensqt.wire.events import decode_order_update, encode_order_update
from opensqt.wire.fields import TEXT_LENGTH_MAX
from opensqt.wire.state import decode_change, decode_grid, encode_change, encode_grid

UPDATE = OrderUpdate(
    account="paper",
    symbol="BTCUSDT",
    client_oid="autoclose-17",
    exchange_order_id="17",
    side=Side.SELL,
    status=OrderStatus.FILLED,
    end_reason=EndReason.FORCED,
    price=D(60_000),
    quantity=D("0.01"),
    filled_quantity=D("0.01"),
    average_price=D(60_000),
    execution=None,
    source=UpdateSource.STREAM,
    exchange_time_ns=1,
    receive_time_ns=2,
    forced=Forced.LIQUIDATION,
)
BOOK = GridBook(
    identity=GridIdentity(
        bot_id="btc",
        account="paper",
        symbol="BTCUSDT",
        quote="USDT",
        direction=Direction.LONG,
        anchor=D(60_000),
        interval=D(10),
        epoch=7,
    )
)
CHANGE = GridChange(
    bot_id="btc",
    revision=3,
    slots=(),
    orders=(),
    executions=(),
    totals=GridTotals(),
    commit_time_ns=5,
)
CHECK = PositionCheck(
    account="paper",
    symbol="BTCUSDT",
    exchange_quantity=D(1),
    ledger_quantity=D(2),
    bound=D(0),
    diverging=True,
    check_time_ns=5,
)
PUT_ASIDE = Quarantined(update=UPDATE, reason="not ours", since_ns=3)


@pytest.mark.parametrize(
    ("message", "decode", "spoil", "reason", "field"),
    [
        (encode_grid(BOOK), decode_grid, lambda m: m.ClearField("standing"),
         "ENUM_UNSPECIFIED", "grid.standing"),
        (encode_grid(BOOK), decode_grid, lambda m: setattr(m, "standing", 9),
         "ENUM_UNSPECIFIED", "grid.standing"),
        (encode_grid(BOOK), decode_grid, lambda m: setattr(m, "standing_reason", "x" * 300),
         "VALUE_NOT_ALLOWED", "grid.standing_reason"),
        (encode_change(CHANGE), decode_change, lambda m: m.ClearField("standing"),
         "ENUM_UNSPECIFIED", "change.standing"),
        (encode_change(CHANGE), decode_change, lambda m: setattr(m, "standing_reason", "a\0b"),
         "VALUE_NOT_ALLOWED", "change.standing_reason"),
        (encode_order_update(UPDATE), decode_order_update, lambda m: setattr(m, "forced", 9),
         "ENUM_UNSPECIFIED", "update.forced"),
        (encode_position_check(CHECK), decode_position_check,
         lambda m: m.ClearField("ledger_quantity"), "FIELD_MISSING", "check.ledger_quantity"),
        (encode_position_check(CHECK), decode_position_check,
         lambda m: setattr(m.exchange_quantity, "value", "NaN"),
         "NOT_A_DECIMAL", "check.exchange_quantity"),
        (encode_position_check(CHECK), decode_position_check,
         lambda m: setattr(m.bound, "value", "-1"), "VALUE_NOT_ALLOWED", "check.bound"),
        (encode_position_check(CHECK), decode_position_check,
         lambda m: m.ClearField("check_time"), "FIELD_MISSING", "check.check_time"),
        (encode_quarantined(PUT_ASIDE), decode_quarantined,
         lambda m: m.ClearField("update"), "FIELD_MISSING", "order.update"),
        (encode_quarantined(PUT_ASIDE), decode_quarantined,
         lambda m: m.update.ClearField("account"), "FIELD_MISSING", "order.update.account"),
        (encode_quarantined(PUT_ASIDE), decode_quarantined,
         lambda m: m.ClearField("updates"), "VALUE_NOT_ALLOWED", "order.updates"),
        (encode_quarantined(PUT_ASIDE), decode_quarantined,
         lambda m: m.ClearField("reason"), "FIELD_MISSING", "order.reason"),
    ],
)  # fmt: skip
def test_is_refused(
    message: Any,
    decode: Callable[[Any], Any],
    spoil: Callable[[Any], None],
    reason: str,
    field: str,
) -> None:
    decode(message)
    spoil(message)
    with pytest.raises(Refusal) as refused:
        decode(message)
    assert (refused.value.reason, refused.value.field) == (reason, field)
    assert refused.value.allowed


def test_an_order_of_an_older_sender_is_not_forced() -> None:
    message = encode_order_update(UPDATE)
    message.ClearField("forced")
    assert decode_order_update(message).forced is Forced.NONE


def test_a_reason_that_is_too_long_is_cut_and_can_be_read() -> None:
    long = GridBook(identity=BOOK.identity, standing_reason="x" * 1000)
    assert decode_grid(encode_grid(long)).standing_reason == "x" * TEXT_LENGTH_MAX
