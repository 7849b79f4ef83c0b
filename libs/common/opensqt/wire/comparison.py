"""What comparing the ledger with the exchange brings to light."""

from opensqt.core.events import PositionCheck
from opensqt.market_maker.v1 import events_pb2
from opensqt.market_maker.v1 import state_service_pb2 as pb
from opensqt.ports import Quarantined
from opensqt.wire.events import decode_order_update, encode_order_update
from opensqt.wire.fields import (
    TEXT_LENGTH_MAX,
    encode_decimal,
    encode_time,
    missing,
    not_allowed,
    path,
    read_count,
    read_decimal,
    read_text,
    read_time,
)


def encode_position_check(event: PositionCheck) -> events_pb2.PositionCheck:
    """The exchange's position beside the ledger's."""
    return events_pb2.PositionCheck(
        account=event.account,
        symbol=event.symbol,
        exchange_quantity=encode_decimal(event.exchange_quantity),
        ledger_quantity=encode_decimal(event.ledger_quantity),
        bound=encode_decimal(event.bound),
        diverging=event.diverging,
        check_time=encode_time(event.check_time_ns),
    )


def decode_position_check(message: events_pb2.PositionCheck, where: str = "check") -> PositionCheck:
    """The exchange's position beside the ledger's.

    Raises:
        Refusal: A field is missing or not allowed.
    """
    bound = read_decimal(message, "bound", where)
    if bound < 0:
        raise not_allowed(path(where, "bound"), bound, "0 or more")
    return PositionCheck(
        account=read_text(message, "account", where),
        symbol=read_text(message, "symbol", where),
        exchange_quantity=read_decimal(message, "exchange_quantity", where),
        ledger_quantity=read_decimal(message, "ledger_quantity", where),
        bound=bound,
        diverging=message.diverging,
        check_time_ns=read_time(message, "check_time", where),
    )


def encode_quarantined(put_aside: Quarantined) -> pb.QuarantinedOrder:
    """An order that was put aside."""
    return pb.QuarantinedOrder(
        update=encode_order_update(put_aside.update),
        reason=put_aside.reason[:TEXT_LENGTH_MAX],
        since=encode_time(put_aside.since_ns),
        updates=put_aside.updates,
    )


def decode_quarantined(message: pb.QuarantinedOrder, where: str = "order") -> Quarantined:
    """An order that was put aside.

    Raises:
        Refusal: A field is missing or not allowed.
    """
    if not message.HasField("update"):
        raise missing(path(where, "update"), "what was heard of the order")
    updates = read_count(message, "updates", where)
    if not updates:
        raise not_allowed(path(where, "updates"), updates, "1 or more")
    return Quarantined(
        update=decode_order_update(message.update, path(where, "update")),
        reason=read_text(message, "reason", where),
        since_ns=read_time(message, "since", where),
        updates=updates,
    )
