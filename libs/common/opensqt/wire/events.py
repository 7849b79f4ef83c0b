"""What the monitors and the gate publish."""

from opensqt.core.events import (
    FundingUpdate,
    Gate,
    GateBeat,
    OrderUpdate,
    PositionUpdate,
    PriceChange,
    StreamStatus,
)
from opensqt.market_maker.v1 import events_pb2 as pb
from opensqt.market_maker.v1 import resources_pb2
from opensqt.wire.enums import END_REASON, FORCED, ORDER_STATUS, SIDE, SOURCE
from opensqt.wire.fields import (
    encode_decimal,
    encode_optional,
    encode_time,
    missing,
    not_allowed,
    path,
    read_count,
    read_decimal,
    read_optional_decimal,
    read_optional_text,
    read_text,
    read_time,
)
from opensqt.wire.resources import (
    decode_execution,
    decode_position,
    encode_execution,
    encode_position,
)


def encode_price_change(event: PriceChange) -> pb.PriceChange:
    """A move of the market."""
    return pb.PriceChange(
        symbol=event.symbol,
        last_price=encode_optional(event.last),
        bid_price=encode_optional(event.bid),
        ask_price=encode_optional(event.ask),
        exchange_time=encode_time(event.exchange_time_ns),
        receive_time=encode_time(event.receive_time_ns),
        sequence=event.sequence,
    )


def decode_price_change(message: pb.PriceChange, where: str = "price") -> PriceChange:
    """A move of the market.

    Raises:
        Refusal: A field is missing or not allowed.
    """
    return PriceChange(
        symbol=read_text(message, "symbol", where),
        last=read_optional_decimal(message, "last_price", where),
        bid=read_optional_decimal(message, "bid_price", where),
        ask=read_optional_decimal(message, "ask_price", where),
        exchange_time_ns=read_time(message, "exchange_time", where),
        receive_time_ns=read_time(message, "receive_time", where),
        sequence=read_count(message, "sequence", where),
    )


def encode_order_update(event: OrderUpdate) -> pb.OrderUpdate:
    """What is known of an order on the exchange."""
    return pb.OrderUpdate(
        account=event.account,
        symbol=event.symbol,
        client_oid=event.client_oid,
        exchange_order_id=event.exchange_order_id,
        side=SIDE.encode(event.side),
        status=ORDER_STATUS.encode(event.status),
        end_reason=END_REASON.encode(event.end_reason),
        price=encode_optional(event.price),
        quantity=encode_optional(event.quantity),
        filled_quantity=encode_decimal(event.filled_quantity),
        average_price=encode_optional(event.average_price),
        trade=None if event.execution is None else encode_execution(event.execution),
        source=SOURCE.encode(event.source),
        forced=FORCED.encode(event.forced),
        exchange_time=encode_time(event.exchange_time_ns),
        receive_time=encode_time(event.receive_time_ns),
    )


def decode_order_update(message: pb.OrderUpdate, where: str = "update") -> OrderUpdate:
    """What is known of an order on the exchange.

    Raises:
        Refusal: A field is missing or not allowed; an order without any id is nobody's.
    """
    client_oid = read_optional_text(message, "client_oid", where)
    exchange_order_id = read_optional_text(message, "exchange_order_id", where)
    if not client_oid and not exchange_order_id:
        raise missing(path(where, "client_oid"), "a client_oid, or an exchange_order_id")
    filled = read_decimal(message, "filled_quantity", where)
    if filled < 0:
        raise not_allowed(path(where, "filled_quantity"), filled, "0 or more")
    return OrderUpdate(
        account=read_text(message, "account", where),
        symbol=read_text(message, "symbol", where),
        client_oid=client_oid,
        exchange_order_id=exchange_order_id,
        side=SIDE.read(message, "side", where),
        status=ORDER_STATUS.read(message, "status", where),
        end_reason=END_REASON.read(message, "end_reason", where),
        price=read_optional_decimal(message, "price", where),
        quantity=read_optional_decimal(message, "quantity", where),
        filled_quantity=filled,
        average_price=read_optional_decimal(message, "average_price", where),
        execution=(
            decode_execution(message.trade, path(where, "trade"))
            if message.HasField("trade")
            else None
        ),
        source=SOURCE.read(message, "source", where),
        forced=FORCED.read(message, "forced", where),
        exchange_time_ns=read_time(message, "exchange_time", where),
        receive_time_ns=read_time(message, "receive_time", where),
    )


def encode_funding_update(event: FundingUpdate) -> pb.FundingUpdate:
    """A change of the funding rate or the mark price."""
    return pb.FundingUpdate(
        funding=resources_pb2.FundingRate(
            symbol=event.symbol,
            rate=encode_decimal(event.rate),
            settlement_time=encode_time(event.settlement_time_ns),
            interval_hours=event.interval_hours,
        ),
        mark_price=encode_optional(event.mark_price),
        index_price=encode_optional(event.index_price),
        exchange_time=encode_time(event.exchange_time_ns),
        receive_time=encode_time(event.receive_time_ns),
    )


def decode_funding_update(message: pb.FundingUpdate, where: str = "funding") -> FundingUpdate:
    """A change of the funding rate or the mark price.

    Raises:
        Refusal: A field is missing or not allowed.
    """
    rate, rate_where = message.funding, path(where, "funding")
    hours = None
    if rate.HasField("interval_hours"):
        hours = rate.interval_hours
        if hours <= 0:
            raise not_allowed(path(rate_where, "interval_hours"), hours, "1 or more, or missing")
    return FundingUpdate(
        symbol=read_text(rate, "symbol", rate_where),
        rate=read_decimal(rate, "rate", rate_where),
        settlement_time_ns=read_time(rate, "settlement_time", rate_where),
        interval_hours=hours,
        mark_price=read_optional_decimal(message, "mark_price", where),
        index_price=read_optional_decimal(message, "index_price", where),
        exchange_time_ns=read_time(message, "exchange_time", where),
        receive_time_ns=read_time(message, "receive_time", where),
    )


def encode_position_update(event: PositionUpdate) -> pb.PositionUpdate:
    """A change of the account's position or balance."""
    return pb.PositionUpdate(
        account=event.account,
        position=encode_position(event.position),
        cause=event.cause,
        wallet_balance=encode_optional(event.wallet_balance),
        balance_change=encode_optional(event.balance_change),
        exchange_time=encode_time(event.exchange_time_ns),
        receive_time=encode_time(event.receive_time_ns),
    )


def decode_position_update(message: pb.PositionUpdate, where: str = "position") -> PositionUpdate:
    """A change of the account's position or balance.

    Raises:
        Refusal: A field is missing or not allowed.
    """
    return PositionUpdate(
        account=read_text(message, "account", where),
        position=decode_position(message.position, path(where, "position")),
        cause=read_optional_text(message, "cause", where),
        wallet_balance=read_optional_decimal(message, "wallet_balance", where),
        balance_change=read_optional_decimal(message, "balance_change", where),
        exchange_time_ns=read_time(message, "exchange_time", where),
        receive_time_ns=read_time(message, "receive_time", where),
    )


def encode_stream_status(event: StreamStatus) -> pb.StreamStatus:
    """The order stream's beat."""
    return pb.StreamStatus(
        account=event.account,
        verified=event.verified,
        epoch=event.epoch,
        reason=event.reason,
        beat_time=encode_time(event.beat_time_ns),
    )


def decode_stream_status(message: pb.StreamStatus, where: str = "status") -> StreamStatus:
    """The order stream's beat.

    Raises:
        Refusal: A field is missing or not allowed.
    """
    return StreamStatus(
        account=read_text(message, "account", where),
        verified=message.verified,
        epoch=read_count(message, "epoch", where),
        reason=read_optional_text(message, "reason", where),
        beat_time_ns=read_time(message, "beat_time", where),
    )


def encode_gate(gate: Gate) -> pb.Gate:
    """The risk gate."""
    return pb.Gate(
        revision=gate.revision,
        open=gate.open,
        reason=gate.reason,
        changed_by=gate.changed_by,
        changed_time=encode_time(gate.changed_time_ns),
    )


def decode_gate(message: pb.Gate, where: str = "gate") -> Gate:
    """The risk gate.

    Raises:
        Refusal: A field is missing or not allowed.
    """
    return Gate(
        revision=read_count(message, "revision", where),
        open=message.open,
        reason=read_optional_text(message, "reason", where),
        changed_by=read_optional_text(message, "changed_by", where),
        changed_time_ns=read_time(message, "changed_time", where),
    )


def encode_gate_beat(event: GateBeat) -> pb.GateBeat:
    """The risk gate's beat."""
    return pb.GateBeat(gate=encode_gate(event.gate), beat_time=encode_time(event.beat_time_ns))


def decode_gate_beat(message: pb.GateBeat, where: str = "beat") -> GateBeat:
    """The risk gate's beat.

    Raises:
        Refusal: A field is missing or not allowed.
    """
    return GateBeat(
        gate=decode_gate(message.gate, path(where, "gate")),
        beat_time_ns=read_time(message, "beat_time", where),
    )
