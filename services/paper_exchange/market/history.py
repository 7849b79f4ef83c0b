"""Candles from before the market began, for clients that look back.

A recording of some minutes has no past, and a bot that measures volatility over the last hours
could not begin. So the candles of another time are shown as those of the hours before this exchange
started: moved in time so that they end where the market begins and, when asked for, scaled in price
so that they end at its first price. They are a stand-in, and never reach the tickers.
"""

from collections import deque
from collections.abc import Iterable
from decimal import Decimal

from opensqt.adapters.replay.tables import CandleRow
from opensqt.core.numbers import divide
from services.paper_exchange.tape import CANDLES_KEPT, INTERVALS_MS, Candle, Tape


def seed_history(
    tape: Tape, rows: Iterable[CandleRow], *, now_ms: int, end_at: Decimal | None
) -> None:
    """Put the latest of `rows`, one a minute, before the market's first candle.

    Args:
        tape: The market's record, with no candles yet.
        rows: The candles, oldest first.
        now_ms: The exchange's time.
        end_at: Scale the prices so that the last close is this; None leaves them as they are.
    """
    kept = deque(rows, maxlen=CANDLES_KEPT - 1)
    if not kept:
        return
    scale = divide(end_at, kept[-1].close) if end_at is not None else Decimal(1)
    minute_ms = INTERVALS_MS["1m"]
    first_ms = now_ms - now_ms % minute_ms - len(kept) * minute_ms
    minutes = tape.candles["1m"].all
    assert not minutes, "the market has begun"
    for number, row in enumerate(kept):
        start, high, low, close = (
            tape.instrument.round_price(price * scale)
            for price in (row.open, row.high, row.low, row.close)
        )
        volume = tape.instrument.quantity_at_most(row.volume)
        minutes.append(
            Candle(
                open_ms=first_ms + number * minute_ms,
                open=start,
                high=high,
                low=low,
                close=close,
                first_id=0,
                last_id=0,
                volume=volume,
                quote_volume=volume * close,
                trades=1,
            )
        )
