"""The public endpoints: what is listed, and what the market shows."""

from decimal import Decimal
from typing import Any

from services.paper_exchange import encode
from services.paper_exchange.errors import ApiError
from services.paper_exchange.rest.endpoints import Call, endpoint
from services.paper_exchange.streams.market import full_ticker
from services.paper_exchange.tape import INTERVALS_MS, TapedTrade
from services.paper_exchange.wording import Wording, ms, ratio

Json = dict[str, Any]


def ping(_: Call) -> Json:
    """Nothing, to show that the exchange answers."""
    return {}


def time(call: Call) -> Json:
    """The exchange's clock."""
    return {"serverTime": call.now_ms}


def exchange_info(call: Call) -> Json:
    """The listed markets and the rate limits."""
    venue, limits = call.venue, call.venue.config.limits
    spans = (
        ("REQUEST_WEIGHT", "MINUTE", 1, limits.weight_per_minute),
        ("ORDERS", "SECOND", 10, limits.orders_per_10s),
        ("ORDERS", "MINUTE", 1, limits.orders_per_minute),
    )
    quotes = dict.fromkeys(item.quote for item in venue.symbols.values())
    return {
        "timezone": "UTC",
        "serverTime": call.now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": [
            {"rateLimitType": kind, "interval": unit, "intervalNum": number, "limit": limit}
            for kind, unit, number, limit in spans
        ],
        "exchangeFilters": [],
        "assets": [
            {"asset": quote, "marginAvailable": True, "autoAssetExchange": "0"} for quote in quotes
        ],
        "symbols": [
            encode.instrument(item, venue.exchange.markets[symbol])
            for symbol, item in venue.symbols.items()
        ],
    }


def depth(call: Call) -> Json:
    """The book: the best prices as they are, and an assumed depth behind them."""
    tape = call.venue.tapes[call.symbol()]
    word = tape.wording
    limit = call.params.limit(default=500, most=1000)
    bids, asks = (
        [[word.price(p), word.quantity(q)] for p, q in side.items()][:limit] for side in tape.book()
    )
    return {
        "lastUpdateId": tape.update_id,
        "E": call.now_ms,
        "T": tape.quote_ms,
        "bids": bids,
        "asks": asks,
    }


def trades(call: Call) -> list[Json]:
    """The latest trades."""
    limit = call.params.limit(default=500, most=1000)
    tape = call.venue.tapes[call.symbol()]
    latest = list(tape.trades)[-limit:]
    return [
        {
            "id": trade.trade_id,
            "price": tape.wording.price(trade.price),
            "qty": tape.wording.quantity(trade.quantity),
            "quoteQty": tape.wording.notional(trade.price * trade.quantity),
            "time": trade.time_ms,
            "isBuyerMaker": trade.buyer_is_maker,
        }
        for trade in latest
    ]


def aggregated_trades(call: Call) -> list[Json]:
    """The latest trades, or those from an id or time on; every trade is its own aggregate."""
    limit = call.params.limit(default=500, most=1000)
    start, end = call.params.window()
    from_id = call.params.integer("fromId")
    tape = call.venue.tapes[call.symbol()]
    found = [
        trade
        for trade in tape.trades
        if start <= trade.time_ms <= end and (from_id is None or trade.trade_id >= from_id)
    ]
    page = found[:limit] if start or from_id is not None else found[-limit:]
    return [_aggregate(trade, tape.wording) for trade in page]


def _aggregate(trade: TapedTrade, wording: Wording) -> Json:
    return {
        "a": trade.trade_id,
        "p": wording.price(trade.price),
        "q": wording.quantity(trade.quantity),
        "nq": wording.quantity(trade.quantity),
        "f": trade.trade_id,
        "l": trade.trade_id,
        "T": trade.time_ms,
        "m": trade.buyer_is_maker,
    }


def klines(call: Call) -> list[list[Any]]:
    """Candles since the exchange started; those that opened within the asked time."""
    interval = call.params.need("interval")
    if interval not in INTERVALS_MS:
        raise ApiError(-1120, "Invalid interval.")
    tape = call.venue.tapes[call.symbol()]
    start, end = call.params.window()
    limit = call.params.limit(default=500, most=1500)
    candles, word = tape.candles_of(interval), tape.wording
    candles.roll(call.now_ms)
    found = [candle for candle in candles.all if start <= candle.open_ms <= end]
    page = found[:limit] if start else found[-limit:]
    return [
        [
            candle.open_ms,
            word.price(candle.open),
            word.price(candle.high),
            word.price(candle.low),
            word.price(candle.close),
            word.quantity(candle.volume),
            candle.open_ms + candles.length_ms - 1,
            word.notional(candle.quote_volume),
            candle.trades,
            word.quantity(candle.taker_buy_volume),
            word.notional(candle.taker_buy_quote_volume),
            "0",
        ]
        for candle in page
    ]


def ticker_24h(call: Call) -> Json | list[Json]:
    """Statistics since the exchange started."""
    rows = []
    for symbol in call.symbols():
        tape = call.venue.tapes[symbol]
        if tape.day is None or tape.last is None:
            continue
        event = full_ticker(tape, tape.day, tape.last, now_ms=call.now_ms)
        rows.append({name: event[key] for key, name in _TICKER_NAMES.items()})
    return _one_or_all(call, rows)


_TICKER_NAMES = {
    "s": "symbol",
    "p": "priceChange",
    "P": "priceChangePercent",
    "w": "weightedAvgPrice",
    "c": "lastPrice",
    "Q": "lastQty",
    "o": "openPrice",
    "h": "highPrice",
    "l": "lowPrice",
    "v": "volume",
    "q": "quoteVolume",
    "O": "openTime",
    "C": "closeTime",
    "F": "firstId",
    "L": "lastId",
    "n": "count",
}


def book_ticker(call: Call) -> Json | list[Json]:
    """The best prices."""
    rows = []
    for symbol in call.symbols():
        tape = call.venue.tapes[symbol]
        if tape.quote is None:
            continue
        rows.append(
            {
                "lastUpdateId": tape.update_id,
                "symbol": symbol,
                "bidPrice": tape.wording.price(tape.quote.bid),
                "bidQty": tape.wording.quantity(tape.quote.bid_quantity),
                "askPrice": tape.wording.price(tape.quote.ask),
                "askQty": tape.wording.quantity(tape.quote.ask_quantity),
                "time": tape.quote_ms,
            }
        )
    return _one_or_all(call, rows)


def price_ticker(call: Call) -> Json | list[Json]:
    """The last price."""
    rows = []
    for symbol in call.symbols():
        tape = call.venue.tapes[symbol]
        if tape.last is not None:
            price = tape.wording.price(tape.last.price)
            rows.append({"symbol": symbol, "price": price, "time": tape.last.time_ms})
    return _one_or_all(call, rows)


def premium_index(call: Call) -> Json | list[Json]:
    """Mark price and funding."""
    rows = []
    for symbol in call.symbols():
        price = call.venue.exchange.markets[symbol].mark
        if price is None:
            continue
        mark = call.venue.tapes[symbol].wording.price(price)
        rows.append(
            {
                "symbol": symbol,
                "markPrice": mark,
                "indexPrice": mark,
                "estimatedSettlePrice": mark,
                "lastFundingRate": ratio(call.venue.rates[symbol]),
                "interestRate": "0.0001",
                "nextFundingTime": ms(call.venue.next_funding_ns),
                "time": call.now_ms,
            }
        )
    return _one_or_all(call, rows)


def funding_rate(call: Call) -> list[Json]:
    """Settlements made since the exchange started."""
    start, end = call.params.window()
    limit = call.params.limit(default=100, most=1000)
    symbols = call.symbols()
    rows = [
        {
            "symbol": item.symbol,
            "fundingTime": item.time_ms,
            "fundingRate": ratio(item.rate),
            "markPrice": call.venue.tapes[item.symbol].wording.price(item.mark_price),
        }
        for item in call.venue.settlements
        if item.symbol in symbols and start <= item.time_ms <= end
    ]
    return rows[-limit:]


def funding_info(call: Call) -> list[Json]:
    """How often funding is settled."""
    return [
        {
            "symbol": symbol,
            "adjustedFundingRateCap": "0.02",
            "adjustedFundingRateFloor": "-0.02",
            "fundingIntervalHours": call.venue.config.funding.interval_hours,
            "disclaimer": False,
        }
        for symbol in call.symbols()
    ]


def open_interest(call: Call) -> Json:
    """The positions that clients hold: there are no others."""
    symbol = call.symbol()
    held = sum(
        abs(account.position(symbol).quantity) for account in call.venue.exchange.accounts.values()
    )
    return {
        "symbol": symbol,
        "openInterest": call.venue.tapes[symbol].wording.quantity(Decimal(held)),
        "time": call.now_ms,
    }


def _one_or_all(call: Call, rows: list[Json]) -> Json | list[Json]:
    if call.params.text("symbol") is None:
        return rows
    if not rows:
        raise ApiError(-1122, "Invalid symbol status.")  # nothing was traded or quoted yet
    return rows[0]


ENDPOINTS = (
    endpoint("GET", "/fapi/v1/ping", ping),
    endpoint("GET", "/fapi/v1/time", time),
    endpoint("GET", "/fapi/v1/exchangeInfo", exchange_info),
    endpoint("GET", "/fapi/v1/depth", depth, weight=10),
    endpoint("GET", "/fapi/v1/trades", trades, weight=5),
    endpoint("GET", "/fapi/v1/historicalTrades", trades, weight=20),
    endpoint("GET", "/fapi/v1/aggTrades", aggregated_trades, weight=20),
    endpoint("GET", "/fapi/v1/klines", klines, weight=5),
    endpoint("GET", "/fapi/v1/ticker/24hr", ticker_24h, weight_of_all=40),
    endpoint("GET", "/fapi/v1/ticker/bookTicker", book_ticker, weight=2, weight_of_all=5),
    endpoint("GET", "/fapi/v1/ticker/price", price_ticker, weight_of_all=2),
    endpoint("GET", "/fapi/v2/ticker/price", price_ticker, weight_of_all=2),
    endpoint("GET", "/fapi/v1/premiumIndex", premium_index),
    endpoint("GET", "/fapi/v1/fundingRate", funding_rate),
    endpoint("GET", "/fapi/v1/fundingInfo", funding_info, weight=0),
    endpoint("GET", "/fapi/v1/openInterest", open_interest),
)
