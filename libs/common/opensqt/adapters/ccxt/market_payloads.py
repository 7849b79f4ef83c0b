"""Binance USD-M markets, raw, to the core's values."""

from typing import Any

from opensqt.adapters.ccxt.payloads import (
    Payload,
    number,
    optional,
    positive_or_none,
    time_ns,
)
from opensqt.core.events import Candle, FundingUpdate
from opensqt.core.instrument import Instrument


def instrument(row: Payload) -> Instrument:
    """A row of exchangeInfo."""
    filters = {item["filterType"]: item for item in row["filters"]}
    lot = filters["LOT_SIZE"]
    return Instrument(
        symbol=str(row["symbol"]),
        base=str(row["baseAsset"]),
        quote=str(row["quoteAsset"]),
        tick_size=number(filters["PRICE_FILTER"], "tickSize"),
        step_size=number(lot, "stepSize"),
        min_quantity=number(lot, "minQty"),
        max_quantity=number(lot, "maxQty"),
        min_notional=number(filters["MIN_NOTIONAL"], "notional"),
    )


def trades_now(row: Payload) -> bool:
    """Whether a row of exchangeInfo is a perpetual that can be traded."""
    return row.get("status") == "TRADING" and row.get("contractType") == "PERPETUAL"


def streamed_candle(event: Payload) -> Candle:
    """A kline event."""
    bar: Payload = event["k"]
    return Candle(
        symbol=str(bar["s"]),
        open_time_ns=time_ns(bar, "t"),
        interval_s=60,
        open=number(bar, "o"),
        high=number(bar, "h"),
        low=number(bar, "l"),
        close=number(bar, "c"),
        volume=number(bar, "v"),
        closed=bool(bar["x"]),
    )


def queried_candle(symbol: str, row: list[Any], *, now_ms: int) -> Candle:
    """A row of klines: open time, prices, volume, close time, and more."""
    values = dict(zip(("t", "o", "h", "l", "c", "v", "T"), row, strict=False))
    return Candle(
        symbol=symbol,
        open_time_ns=time_ns(values, "t"),
        interval_s=60,
        open=number(values, "o"),
        high=number(values, "h"),
        low=number(values, "l"),
        close=number(values, "c"),
        volume=number(values, "v"),
        closed=int(values["T"]) < now_ms,
    )


def streamed_funding(
    event: Payload, *, interval_hours: int | None, receive_time_ns: int
) -> FundingUpdate | None:
    """A markPriceUpdate; None for a contract without funding."""
    rate = optional(event, "r")
    if rate is None or not event.get("T"):
        return None
    return FundingUpdate(
        symbol=str(event["s"]),
        rate=rate,
        settlement_time_ns=time_ns(event, "T"),
        interval_hours=interval_hours,
        mark_price=positive_or_none(event, "p"),
        index_price=positive_or_none(event, "i"),
        exchange_time_ns=time_ns(event, "E"),
        receive_time_ns=receive_time_ns,
    )
