"""The market streams: trades, best prices, depth, candles, tickers and mark prices.

Nothing is encoded that nobody is subscribed to.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from opensqt.core.exchange.market import Quote
from opensqt.core.numbers import divide
from services.paper_exchange.streams.depth import DepthStreams
from services.paper_exchange.streams.hub import Hub
from services.paper_exchange.streams.user import Publish
from services.paper_exchange.tape import INTERVALS_MS, Candle, Candles, Tape, TapedTrade
from services.paper_exchange.wording import ratio

TICK_MS: Final = 50
"""How often `MarketStreams.beat` is called, so the finest cadence of the slower streams."""

Json = dict[str, Any]


class MarketStreams:
    """Turns what the market does into the events of its streams.

    Args:
        hub: Tells what somebody is subscribed to.
        publish: Sends an event.
        tapes: The markets' records by symbol.
    """

    def __init__(self, hub: Hub, publish: Publish, tapes: Mapping[str, Tape]) -> None:
        self._hub = hub
        self._publish = publish
        self._tapes = tapes
        self._depth = DepthStreams(hub, publish, tapes)
        self._sent_ms: dict[str, int] = {}

    def trade(self, symbol: str, trade: TapedTrade, *, now_ms: int) -> None:
        """A trade happened: trade, aggregated trade, candles."""
        name = symbol.lower()
        common = {"E": now_ms, "T": trade.time_ms, "s": symbol}
        word = self._tapes[symbol].wording
        price, quantity = word.price(trade.price), word.quantity(trade.quantity)
        if self._hub.subscribed(stream := f"{name}@trade"):
            event = {"e": "trade", **common, "t": trade.trade_id, "p": price, "q": quantity}
            self._publish(stream, {**event, "X": "MARKET", "m": trade.buyer_is_maker})
        if self._hub.subscribed(stream := f"{name}@aggTrade"):
            ids = {"a": trade.trade_id, "f": trade.trade_id, "l": trade.trade_id}
            event = {"e": "aggTrade", **common, **ids, "p": price, "q": quantity}
            self._publish(stream, {**event, "nq": quantity, "m": trade.buyer_is_maker})
        for candles in tuple(self._tapes[symbol].candles.values()):
            stream = f"{name}@kline_{candles.interval}"
            for closed in candles.add(trade):
                self._candle(stream, symbol, candles, closed, now_ms=now_ms, closed=True)
            if self._hub.subscribed(stream) and self._due(stream, now_ms, 250):
                current = candles.all[-1]
                self._candle(stream, symbol, candles, current, now_ms=now_ms, closed=False)

    def quote(self, symbol: str, quote: Quote, *, now_ms: int) -> None:
        """The best prices moved: best prices, and depth for those who want it at once."""
        name, word = symbol.lower(), self._tapes[symbol].wording
        for stream in (f"{name}@bookTicker", "!bookTicker"):
            if self._hub.subscribed(stream):
                event = {"e": "bookTicker", "u": self._tapes[symbol].update_id, "s": symbol}
                bid = {"b": word.price(quote.bid), "B": word.quantity(quote.bid_quantity)}
                ask = {"a": word.price(quote.ask), "A": word.quantity(quote.ask_quantity)}
                self._publish(stream, {**event, **bid, **ask, "T": now_ms, "E": now_ms})
        self._depth.changed(symbol, now_ms=now_ms)

    def mark_price(
        self, symbol: str, price: Decimal, *, rate: Decimal, next_ms: int, now_ms: int
    ) -> None:
        """The mark price's regular beat."""
        told = self._tapes[symbol].wording.price(price)
        event = {
            "e": "markPriceUpdate",
            "E": now_ms,
            "s": symbol,
            "p": told,
            "ap": told,
            "i": told,
            "P": told,
            "r": ratio(rate),
            "T": next_ms,
        }
        for suffix in ("@markPrice", "@markPrice@1s"):
            self._publish(symbol.lower() + suffix, event)
        for stream in ("!markPrice@arr", "!markPrice@arr@1s"):
            self._publish(stream, [event])

    def tickers(self, symbol: str, *, now_ms: int) -> None:
        """The tickers' regular beat."""
        tape, name = self._tapes[symbol], symbol.lower()
        if tape.day is None or tape.last is None:
            return
        mini = mini_ticker(tape, tape.day, now_ms=now_ms)
        self._publish(f"{name}@miniTicker", mini)
        self._publish("!miniTicker@arr", [mini])
        full = full_ticker(tape, tape.day, tape.last, now_ms=now_ms)
        self._publish(f"{name}@ticker", full)
        self._publish("!ticker@arr", [full])

    def open(self, stream: str) -> None:
        """Get ready to send a stream, when somebody subscribes to it."""
        name, _, kind = stream.partition("@")
        tape, interval = self._tapes.get(name.upper()), kind.removeprefix("kline_")
        if tape is not None and interval in INTERVALS_MS:
            tape.candles_of(interval)
        self._depth.open(stream)

    def beat(self, *, now_ms: int) -> None:
        """Every `TICK_MS`: depth at its cadences, and candles that end without a trade."""
        self._depth.beat(now_ms=now_ms)
        for symbol, tape in self._tapes.items():
            for candles in tuple(tape.candles.values()):
                stream = f"{symbol.lower()}@kline_{candles.interval}"
                for closed in candles.roll(now_ms):
                    self._candle(stream, symbol, candles, closed, now_ms=now_ms, closed=True)

    def _due(self, stream: str, now_ms: int, cadence_ms: int) -> bool:
        if now_ms - self._sent_ms.get(stream, 0) < cadence_ms:
            return False
        self._sent_ms[stream] = now_ms
        return True

    def _candle(
        self,
        stream: str,
        symbol: str,
        candles: Candles,
        candle: Candle,
        *,
        now_ms: int,
        closed: bool,
    ) -> None:
        word = self._tapes[symbol].wording
        body = {
            "t": candle.open_ms,
            "T": candle.open_ms + candles.length_ms - 1,
            "s": symbol,
            "i": candles.interval,
            "f": candle.first_id,
            "L": candle.last_id,
            "o": word.price(candle.open),
            "c": word.price(candle.close),
            "h": word.price(candle.high),
            "l": word.price(candle.low),
            "v": word.quantity(candle.volume),
            "n": candle.trades,
            "x": closed,
            "q": word.notional(candle.quote_volume),
            "V": word.quantity(candle.taker_buy_volume),
            "Q": word.notional(candle.taker_buy_quote_volume),
            "B": "0",
        }
        self._publish(stream, {"e": "kline", "E": now_ms, "s": symbol, "k": body})


def mini_ticker(tape: Tape, day: Candle, *, now_ms: int) -> Json:
    """The short statistics."""
    return {
        "e": "24hrMiniTicker",
        "E": now_ms,
        "s": tape.instrument.symbol,
        "c": tape.wording.price(day.close),
        "o": tape.wording.price(day.open),
        "h": tape.wording.price(day.high),
        "l": tape.wording.price(day.low),
        "v": tape.wording.quantity(day.volume),
        "q": tape.wording.notional(day.quote_volume),
    }


def full_ticker(tape: Tape, day: Candle, last: TapedTrade, *, now_ms: int) -> Json:
    """The long statistics."""
    change = day.close - day.open
    return {
        **mini_ticker(tape, day, now_ms=now_ms),
        "e": "24hrTicker",
        "p": tape.wording.price(change),
        "P": ratio(round(divide(change * 100, day.open), 3)),
        "w": tape.wording.price(divide(day.quote_volume, day.volume)),
        "Q": tape.wording.quantity(last.quantity),
        "O": tape.started_ms,
        "C": now_ms,
        "F": day.first_id,
        "L": day.last_id,
        "n": day.trades,
    }
