"""`Minutes`: closed one-minute candles out of trades, as an exchange builds them.

A minute without a trade has a flat candle at the last price; there is none before the first trade.
"""

from dataclasses import replace
from typing import Final

from opensqt.core.events import Candle
from opensqt.core.exchange.market import MarketTrade
from opensqt.core.numbers import ZERO

MINUTE_NS: Final = 60 * 10**9


class Minutes:
    """Builds the candles of one market.

    Args:
        symbol: The market.
    """

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._open: Candle | None = None

    def until(self, now_ns: int) -> tuple[Candle, ...]:
        """The candles that have closed by then, and were not told before; oldest first."""
        closed = []
        while self._open is not None and self._open.open_time_ns + MINUTE_NS <= now_ns:
            closed.append(replace(self._open, closed=True))
            close, next_ns = self._open.close, self._open.open_time_ns + MINUTE_NS
            self._open = replace(
                self._open,
                open_time_ns=next_ns,
                open=close,
                high=close,
                low=close,
                volume=ZERO,
            )
        return tuple(closed)

    def add(self, trade: MarketTrade, *, now_ns: int) -> None:
        """A trade happened; what closed before it was asked for."""
        price, candle = trade.price, self._open
        if candle is None:
            candle = Candle(
                symbol=self._symbol,
                open_time_ns=now_ns - now_ns % MINUTE_NS,
                interval_s=60,
                open=price,
                high=price,
                low=price,
                close=price,
                volume=ZERO,
                closed=False,
            )
        first = not candle.volume  # of its minute: that is where the candle opens
        self._open = replace(
            candle,
            open=price if first else candle.open,
            high=price if first else max(candle.high, price),
            low=price if first else min(candle.low, price),
            close=price,
            volume=candle.volume + trade.quantity,
        )
