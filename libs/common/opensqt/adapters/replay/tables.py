"""Markets from tables: aggregated trades, and candles that are turned into trades.

A candle does not tell the way of the price within it. The way assumed is the one with the fewest
turns that meets all four prices: open, the nearer of high and low, the other one, close; a rising
candle with both equally near goes to its low first. It is walked in three straight lines of
`STEPS_PER_LEG` trades each, evenly spaced, each with an equal share of the volume (rounded down to
the step but never to nothing); a falling step hits the bid, any other lifts the ask. Nothing looks
ahead: a trade is only known when its time comes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from opensqt.adapters.replay.lines import read_lines
from opensqt.adapters.replay.source import DamagedData, positive
from opensqt.core.exchange.market import MarketTrade
from opensqt.core.exchange.ticks import Tick
from opensqt.core.instrument import Instrument
from opensqt.core.numbers import NotExactError, divide, floor_to, parse_decimal

STEPS_PER_LEG: Final = 4
_TRADES: Final = 3 * STEPS_PER_LEG + 1
_MS: Final = 1_000_000
_S: Final = 1_000_000_000
_MICROSECONDS_FROM: Final = 10**14  # a time of 1973 in microseconds, of the year 5138 in ms


class TradesTable:
    """Aggregated trades: id, price, quantity, first id, last id, time, buyer is maker, ...

    Times are milliseconds or microseconds, as Binance changed them in 2025.
    """

    def __init__(self, path: Path, instrument: Instrument) -> None:
        self._path = path
        self._instrument = instrument

    @property
    def description(self) -> str:
        """What is played, for people."""
        return f"trades {self._path.name}"

    def ticks(self) -> Iterator[Tick]:
        """The trades.

        Raises:
            DamagedData: With the line and the reason.
        """
        first_ns = last_ns = None
        number = 0
        for number, line in read_lines(self._path):
            cells = line.decode("utf-8", "replace").split(",")
            if number == 1 and not cells[0].strip().isdigit():
                continue  # a heading
            try:
                trade = _trade_of(cells)
                if last_ns is not None and trade.time_ns < last_ns:
                    raise ValueError(f"time goes back to {cells[5]}")  # noqa: TRY301
            except (ValueError, IndexError, NotExactError) as error:
                raise DamagedData(self._path, number, str(error)) from None
            last_ns = trade.time_ns
            first_ns = trade.time_ns if first_ns is None else first_ns
            yield Tick(
                offset_ns=trade.time_ns - first_ns,
                symbol=self._instrument.symbol,
                happening=trade,
            )
        if first_ns is None:
            raise DamagedData(self._path, number + 1, "there are no trades")


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleRow:
    """One row of a table of candles."""

    opened_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


def read_candles(path: Path) -> Iterator[CandleRow]:
    """The rows of a table of candles: ts_ms (opening), open, high, low, close, volume in base.

    Raises:
        DamagedData: With the line and the reason.
    """
    last_ns = None
    number = 0
    for number, line in read_lines(path):
        cells = line.decode("utf-8", "replace").split(",")
        if number == 1 and not cells[0].strip().isdigit():
            continue  # a heading
        try:
            row = _candle_of(cells)
            if last_ns is not None and row.opened_ns <= last_ns:
                raise ValueError(f"time goes back to {cells[0]}")  # noqa: TRY301
        except (ValueError, IndexError, NotExactError) as error:
            raise DamagedData(path, number, str(error)) from None
        last_ns = row.opened_ns
        yield row
    if last_ns is None:
        raise DamagedData(path, number + 1, "there are no candles")


class CandlesTable:
    """A market from a table of candles."""

    def __init__(self, path: Path, instrument: Instrument, *, interval_s: int) -> None:
        self._path = path
        self._instrument = instrument
        self._interval_ns = interval_s * _S

    @property
    def description(self) -> str:
        """What is played, for people."""
        return f"candles {self._path.name}"

    def ticks(self) -> Iterator[Tick]:
        """The trades of the assumed way through the candles.

        Raises:
            DamagedData: With the line and the reason.
        """
        first_ns = None
        trade_id = 0
        for row in read_candles(self._path):
            first_ns = row.opened_ns if first_ns is None else first_ns
            for trade in self._walk(row, trade_id):
                yield Tick(
                    offset_ns=trade.time_ns - first_ns,
                    symbol=self._instrument.symbol,
                    happening=trade,
                )
            trade_id += _TRADES

    def _walk(self, row: CandleRow, trade_id: int) -> Iterator[MarketTrade]:
        start, high, low, close = (
            self._instrument.round_price(price)
            for price in (row.open, row.high, row.low, row.close)
        )
        low_first = start - low <= high - start if close >= start else start - low < high - start
        turns = (start, low, high, close) if low_first else (start, high, low, close)
        share = max(
            floor_to(divide(row.volume, Decimal(_TRADES)), self._instrument.step_size),
            self._instrument.step_size,
        )
        if not row.volume:
            return
        before = start
        for step in range(_TRADES):
            leg, done = divmod(step, STEPS_PER_LEG)
            way = (turns[leg + 1] - turns[leg]) * done if done else Decimal(0)
            price = turns[leg] + divide(way, Decimal(STEPS_PER_LEG))
            price = self._instrument.round_price(price)
            yield MarketTrade(
                price=price,
                quantity=share,
                buyer_is_maker=price < before,
                time_ns=row.opened_ns + self._interval_ns * step // _TRADES,
                trade_id=trade_id + step,
            )
            before = price


def _trade_of(cells: list[str]) -> MarketTrade:
    when = int(cells[5])
    maker = cells[6].strip().lower()
    if maker not in ("true", "false"):
        raise ValueError(f"buyer is maker is {maker!r}; allowed are true and false")
    return MarketTrade(
        price=positive(parse_decimal(cells[1], name="price"), "price"),
        quantity=positive(parse_decimal(cells[2], name="quantity"), "quantity"),
        buyer_is_maker=maker == "true",
        time_ns=when * (1_000 if when >= _MICROSECONDS_FROM else _MS),
        trade_id=int(cells[0]),
    )


def _candle_of(cells: list[str]) -> CandleRow:
    names = ("open", "high", "low", "close")
    prices = tuple(
        positive(parse_decimal(cell.strip(), name=name), name)
        for name, cell in zip(names, cells[1:5], strict=True)
    )
    start, high, low, close = prices
    if not low <= min(start, close) <= max(start, close) <= high:
        raise ValueError(f"low {low} and high {high} do not hold open {start} and close {close}")
    volume = parse_decimal(cells[5].strip(), name="volume")
    if volume < 0:
        raise ValueError(f"volume is {volume}; it must not be negative")
    return CandleRow(
        opened_ns=int(cells[0]) * _MS, open=start, high=high, low=low, close=close, volume=volume
    )
