"""Tables in an instrument's units: prices in ticks, quantities in a unit that fits the step.

`row` is still the row of the table here, or the line of a recording; `reading` puts the tables in
order.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np

from opensqt.adapters.replay.source import DamagedData
from opensqt.backtest.columns import Flags, Ints
from opensqt.backtest.data.candles import TRADES_PER_CANDLE, CandlePath, turns_of, walk
from opensqt.backtest.data.funding import interval_minutes
from opensqt.backtest.data.sources.checks import interval_ns, say_off
from opensqt.backtest.data.sources.problems import Problems
from opensqt.backtest.data.sources.table import Table
from opensqt.backtest.tape import MARK_UNIT, RATE_UNIT, Fundings, Marks, Quotes, Trades
from opensqt.core.instrument import Instrument

_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What tables are counted in."""

    instrument: Instrument
    quantity_unit: Decimal
    problems: Problems

    def trades(self, table: Table) -> Trades:
        """Trades as they happened."""
        price = self._counted(table, "price", self.instrument.tick_size, "off_tick")
        return Trades(
            time_ns=table.time_ns,
            price=price,
            quantity=self._counted(table, "quantity", self.quantity_unit, "too_fine"),
            buyer_is_maker=table.flags["buyer_is_maker"],
            row=_rows(table),
        )

    def trades_along(self, table: Table, candle_s: int, path: CandlePath) -> Trades:
        """Trades of an assumed way through candles; each has an equal share of the volume.

        The share is rounded down to the step, but never to nothing. Candles without volume trade
        nothing.
        """
        traded = table.numbers["volume"].values > 0
        if not traded.all():
            first = int(table.line[int((~traded).argmax())])
            self.problems.remark(
                "no_volume",
                int((~traded).sum()),
                f"{table.path.name}, line {first}: nothing was traded in such candles; "
                "they hold no trades",
            )
            table = table.taken(traded)
        step = self.instrument.step_size
        volume = table.numbers["volume"]
        times, prices, falling = walk(table.time_ns, self._turns(table, path), candle_s * _S)
        whole_steps, off = volume.in_unit(step)
        if off.any():
            decimals = max(volume.decimals, _decimals(step))
            fine = volume.times(10 ** (decimals - volume.decimals)).values
            share = fine // (TRADES_PER_CANDLE * int(step.scaleb(decimals)))
        else:
            share = whole_steps // TRADES_PER_CANDLE
        return Trades(
            time_ns=times,
            price=prices,
            quantity=np.repeat(np.maximum(share, 1), TRADES_PER_CANDLE),
            buyer_is_maker=falling,
            row=np.arange(len(times), dtype=np.int64),
        )

    def quotes(self, table: Table) -> Quotes:
        """Best prices as they changed."""
        tick = self.instrument.tick_size
        return Quotes(
            time_ns=table.time_ns,
            bid=self._counted(table, "bid", tick, "off_tick"),
            bid_quantity=self._counted(table, "bid_quantity", self.quantity_unit, "too_fine"),
            ask=self._counted(table, "ask", tick, "off_tick"),
            ask_quantity=self._counted(table, "ask_quantity", self.quantity_unit, "too_fine"),
            row=_rows(table),
        )

    def marks(self, table: Table) -> Marks:
        """Mark prices as they were told."""
        price = self._counted(table, "price", MARK_UNIT, "too_fine")
        return Marks(time_ns=table.time_ns, price=price, row=_rows(table))

    def marks_along(self, table: Table, candle_s: int, path: CandlePath) -> Marks:
        """Mark prices at the turns of the same assumed way as that of the market's candles."""
        names = ("open", "high", "low", "close")
        start, high, low, close = (
            self._counted(table, name, MARK_UNIT, "too_fine") for name in names
        )
        turns = np.stack(turns_of(start, high, low, close, path), axis=1)
        steps = (TRADES_PER_CANDLE - 1) // 3 * np.arange(4, dtype=np.int64)
        offsets = candle_s * _S * steps // TRADES_PER_CANDLE
        times = (table.time_ns[:, None] + offsets).ravel()
        return Marks(time_ns=times, price=turns.ravel(), row=np.arange(len(times), dtype=np.int64))

    def fundings(self, table: Table, within: Flags) -> Fundings:
        """Funding settlements, each with its own interval.

        Args:
            table: Those before and after the span, too: they show its first and last interval.
            within: Which of them are in the span.
        """
        minutes = interval_minutes(table, self.problems, within)[within]
        inside = table.taken(within)
        return Fundings(
            time_ns=inside.time_ns,
            rate=self._counted(inside, "rate", RATE_UNIT, "too_fine"),
            interval_minutes=minutes,
            row=np.arange(len(inside), dtype=np.int64),
        )

    def _turns(self, table: Table, path: CandlePath) -> tuple[Ints, Ints, Ints, Ints]:
        tick = self.instrument.tick_size
        names = ("open", "high", "low", "close")
        start, high, low, close = (self._counted(table, name, tick, "off_tick") for name in names)
        return turns_of(start, high, low, close, path)

    def _counted(self, table: Table, name: str, unit: Decimal, kind: str) -> Ints:
        try:
            counts, off = table.numbers[name].in_unit(unit)
        except ValueError as error:
            raise DamagedData(table.path, 1, f"{name}: {error}") from None
        if off.any():
            done = "rounded to the nearest"
            say_off(table, name, unit, off, kind, self.problems, done=done)
        if name != "rate" and np.any(counts <= 0):
            row = int((counts <= 0).argmax())
            raise DamagedData(
                table.path,
                int(table.line[row]),
                f"{name} is {table.numbers[name].at(row)}; it is nothing in units of {unit}",
            )
        return counts


def quantity_unit(instrument: Instrument, tables: Iterable[Table]) -> Decimal:
    """What the quantities of trades and best prices are counted in: fine enough for all of them.

    The step is a multiple of it.
    """
    decimals = max(_decimals(instrument.step_size), 0)
    for table in tables:
        for name, numbers in table.numbers.items():
            if "quantity" in name:
                decimals = max(decimals, numbers.reduced(decimals_min=decimals).decimals)
    return Decimal(1).scaleb(-decimals)


def candle_seconds(table: Table, told: int | None) -> int:
    """How long candles are: as told, else by the spacing of the rows.

    Raises:
        DamagedData: There is one row only, or the rows are closer than what was told.
    """
    spacing, rest = divmod(interval_ns(table.time_ns), _S)
    if told is None and (not spacing or rest):
        raise DamagedData(
            table.path,
            int(table.line[0]),
            "the spacing of the rows does not say how long a candle is; allowed are two candles or "
            "more, whole seconds apart",
        )
    if told is not None and spacing and spacing < told:
        raise DamagedData(
            table.path,
            int(table.line[0]),
            f"rows are {spacing} s apart, but candles are said to be {told} s long",
        )
    return told or spacing


def _rows(table: Table) -> Ints:
    return table.whole.get("row", np.arange(len(table), dtype=np.int64))


def _decimals(unit: Decimal) -> int:
    exponent = unit.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)
