"""Orders, executions, positions, instruments and candles."""

from opensqt.core.events import Candle, Position
from opensqt.core.instrument import Instrument, InstrumentRuleError
from opensqt.core.orders import Execution, Order
from opensqt.market_maker.v1 import resources_pb2 as pb
from opensqt.wire.enums import END_REASON, ORDER_STATUS, PURPOSE, SIDE
from opensqt.wire.fields import (
    encode_decimal,
    encode_optional,
    encode_time,
    not_allowed,
    read_count,
    read_decimal,
    read_optional_decimal,
    read_optional_text,
    read_positive,
    read_text,
    read_time,
)


def encode_order(order: Order) -> pb.Order:
    """An order, without the ids and quote of its executions: they matter to the ledger alone."""
    return pb.Order(
        client_oid=order.client_oid,
        bot_id=order.bot_id,
        symbol=order.symbol,
        side=SIDE.encode(order.side),
        purpose=PURPOSE.encode(order.purpose),
        price=encode_decimal(order.price),
        quantity=encode_decimal(order.quantity),
        filled_quantity=encode_decimal(order.filled_quantity),
        slot_price=encode_decimal(order.slot_price),
        cycle=order.cycle,
        reduce_only=order.reduce_only,
        post_only=order.post_only,
        status=ORDER_STATUS.encode(order.status),
        end_reason=END_REASON.encode(order.end_reason),
        end_text=order.end_text,
        exchange_order_id=order.exchange_order_id,
        batch_id=order.batch_id,
        cancel_requested=order.cancel_requested,
        created_time=encode_time(order.created_ns),
        deadline=encode_time(order.deadline_ns),
        updated_time=encode_time(order.updated_ns),
        exit_price=encode_optional(order.exit_price),
        filled_quote=encode_decimal(order.filled_quote),
        executed_quantity=encode_decimal(order.executed_quantity),
    )


def decode_order(message: pb.Order, where: str = "order") -> Order:
    """An order; its `execution_ids` and `executed_quote` stay empty.

    Raises:
        Refusal: A field is missing or not allowed.
    """
    return Order(
        client_oid=read_text(message, "client_oid", where),
        bot_id=read_text(message, "bot_id", where),
        symbol=read_text(message, "symbol", where),
        side=SIDE.read(message, "side", where),
        purpose=PURPOSE.read(message, "purpose", where),
        price=read_positive(message, "price", where),
        quantity=read_positive(message, "quantity", where),
        filled_quantity=read_decimal(message, "filled_quantity", where),
        slot_price=read_positive(message, "slot_price", where),
        cycle=read_count(message, "cycle", where),
        reduce_only=message.reduce_only,
        post_only=message.post_only,
        status=ORDER_STATUS.read(message, "status", where),
        end_reason=END_REASON.read(message, "end_reason", where),
        end_text=read_optional_text(message, "end_text", where),
        exchange_order_id=read_optional_text(message, "exchange_order_id", where),
        batch_id=read_optional_text(message, "batch_id", where),
        cancel_requested=message.cancel_requested,
        created_ns=read_time(message, "created_time", where),
        deadline_ns=read_time(message, "deadline", where),
        updated_ns=read_time(message, "updated_time", where),
        exit_price=read_optional_decimal(message, "exit_price", where),
        filled_quote=read_decimal(message, "filled_quote", where),
        executed_quantity=read_decimal(message, "executed_quantity", where),
    )


def encode_execution(execution: Execution) -> pb.Trade:
    """One execution."""
    return pb.Trade(
        execution_id=execution.execution_id,
        client_oid=execution.client_oid,
        symbol=execution.symbol,
        side=SIDE.encode(execution.side),
        price=encode_decimal(execution.price),
        quantity=encode_decimal(execution.quantity),
        fee=encode_optional(execution.fee),
        fee_asset=execution.fee_asset,
        maker=execution.maker,
        exchange_time=encode_time(execution.exchange_time_ns),
        realised_pnl=encode_optional(execution.realised_pnl),
        slot_price=encode_optional(execution.slot_price),
        exchange_order_id=execution.exchange_order_id,
    )


def decode_execution(message: pb.Trade, where: str = "trade") -> Execution:
    """One execution.

    Raises:
        Refusal: A field is missing or not allowed.
    """
    return Execution(
        execution_id=read_text(message, "execution_id", where),
        client_oid=read_optional_text(message, "client_oid", where),
        symbol=read_text(message, "symbol", where),
        side=SIDE.read(message, "side", where),
        price=read_positive(message, "price", where),
        quantity=read_positive(message, "quantity", where),
        fee=read_optional_decimal(message, "fee", where),
        fee_asset=read_optional_text(message, "fee_asset", where),
        maker=message.maker,
        exchange_time_ns=read_time(message, "exchange_time", where),
        realised_pnl=read_optional_decimal(message, "realised_pnl", where),
        slot_price=read_optional_decimal(message, "slot_price", where),
        exchange_order_id=read_optional_text(message, "exchange_order_id", where),
    )


def encode_position(position: Position) -> pb.Position:
    """A position as the exchange reports it."""
    return pb.Position(
        symbol=position.symbol,
        quantity=encode_decimal(position.quantity),
        entry_price=encode_optional(position.entry_price),
        mark_price=encode_optional(position.mark_price),
        unrealised_pnl=encode_optional(position.unrealised_pnl),
        liquidation_price=encode_optional(position.liquidation_price),
    )


def decode_position(message: pb.Position, where: str = "position") -> Position:
    """A position as the exchange reports it.

    Raises:
        Refusal: A field is missing or not allowed.
    """
    return Position(
        symbol=read_text(message, "symbol", where),
        quantity=read_decimal(message, "quantity", where),
        entry_price=read_optional_decimal(message, "entry_price", where),
        mark_price=read_optional_decimal(message, "mark_price", where),
        unrealised_pnl=read_optional_decimal(message, "unrealised_pnl", where),
        liquidation_price=read_optional_decimal(message, "liquidation_price", where),
    )


def encode_instrument(instrument: Instrument) -> pb.Instrument:
    """The trading rules of a symbol."""
    return pb.Instrument(
        symbol=instrument.symbol,
        base=instrument.base,
        quote=instrument.quote,
        tick_size=encode_decimal(instrument.tick_size),
        step_size=encode_decimal(instrument.step_size),
        min_quantity=encode_decimal(instrument.min_quantity),
        max_quantity=encode_decimal(instrument.max_quantity),
        min_notional=encode_decimal(instrument.min_notional),
    )


def decode_instrument(message: pb.Instrument, where: str = "instrument") -> Instrument:
    """The trading rules of a symbol.

    Raises:
        Refusal: A field is missing or not allowed.
    """
    try:
        return Instrument(
            symbol=read_text(message, "symbol", where),
            base=read_text(message, "base", where),
            quote=read_text(message, "quote", where),
            tick_size=read_positive(message, "tick_size", where),
            step_size=read_positive(message, "step_size", where),
            min_quantity=read_positive(message, "min_quantity", where),
            max_quantity=read_positive(message, "max_quantity", where),
            min_notional=read_decimal(message, "min_notional", where),
        )
    except InstrumentRuleError as error:
        raise not_allowed(where, error, "rules that some order can meet") from None


def encode_candle(candle: Candle) -> pb.Candle:
    """One bar of prices."""
    return pb.Candle(
        symbol=candle.symbol,
        open_time=encode_time(candle.open_time_ns),
        interval_seconds=candle.interval_s,
        open=encode_decimal(candle.open),
        high=encode_decimal(candle.high),
        low=encode_decimal(candle.low),
        close=encode_decimal(candle.close),
        volume=encode_decimal(candle.volume),
        closed=candle.closed,
    )


def decode_candle(message: pb.Candle, where: str = "candle") -> Candle:
    """One bar of prices.

    Raises:
        Refusal: A field is missing or not allowed.
    """
    return Candle(
        symbol=read_text(message, "symbol", where),
        open_time_ns=read_time(message, "open_time", where),
        interval_s=read_count(message, "interval_seconds", where),
        open=read_positive(message, "open", where),
        high=read_positive(message, "high", where),
        low=read_positive(message, "low", where),
        close=read_positive(message, "close", where),
        volume=read_decimal(message, "volume", where),
        closed=message.closed,
    )
