"""A market as columns: everything that happened in it, in order, in whole numbers.

Prices are in ticks of the instrument, quantities in units of the tape's own `quantity_unit` (data
can be finer than what may be traded), times in nanoseconds since 1970 UTC. `row` says in which
order things happened across the tables; it grows within each of them, as the times do.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from opensqt.backtest.columns import Columns, Flags, Ints

MARK_UNIT: Final = Decimal("0.00000001")
"""Mark prices are finer than ticks, being averages."""
RATE_UNIT: Final = Decimal("0.0000000001")
"""Funding rates are counted in this share of the notional."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trades(Columns):
    """Trades of the market. Candles come as trades, too, along an assumed way."""

    time_ns: Ints
    price: Ints
    quantity: Ints
    buyer_is_maker: Flags
    """The seller was the aggressor: the trade hit the bid."""
    row: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quotes(Columns):
    """Changes of the best prices."""

    time_ns: Ints
    bid: Ints
    bid_quantity: Ints
    ask: Ints
    ask_quantity: Ints
    row: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Marks(Columns):
    """Mark prices, in `MARK_UNIT`. Without any, the last trade's price serves."""

    time_ns: Ints
    price: Ints
    row: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fundings(Columns):
    """Funding settlements, at the symbol's own times."""

    time_ns: Ints
    rate: Ints
    """In `RATE_UNIT`: longs pay it to shorts."""
    interval_minutes: Ints
    """How long the settled interval was; 0: unknown, never assumed."""
    row: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class DataNote:
    """Something about the data that a person should know, counted."""

    kind: str
    """One word, such as ``gap``, ``duplicate``, ``no_volume``."""
    count: int
    text: str
    """With where it was first seen, and what was done about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tape:
    """One symbol's recorded market."""

    symbol: str
    tick: Decimal
    """What prices are counted in: the instrument's tick size."""
    quantity_unit: Decimal
    """What quantities are counted in."""
    trades: Trades
    quotes: Quotes = field(default_factory=Quotes.empty)
    marks: Marks = field(default_factory=Marks.empty)
    fundings: Fundings = field(default_factory=Fundings.empty)
    source: str = ""
    """What it was read from, for people."""
    candle_s: int | None = None
    """The trades are an assumed way through candles of so many seconds; None: they are real."""
    notes: tuple[DataNote, ...] = ()
