"""The forms of tables: which columns each has, by heading or by position."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from opensqt.backtest.data.sources.table import DataKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One form of a table."""

    name: str
    kind: DataKind
    columns: tuple[str, ...]
    """What the file calls them, in its order."""
    names: tuple[str, ...]
    """What we call those that are read, in the same order; empty: not read."""
    optional: frozenset[str] = frozenset()
    """Of ours, those that may be missing."""
    looks: Callable[[Sequence[str]], bool] | None = None
    """Whether a first row without a heading is of this form; None: only with a heading."""


def _is_flag(cell: str) -> bool:
    return cell.strip().lower() in ("true", "false")


def _is_time(cell: str) -> bool:
    return cell.strip().isdigit() and len(cell.strip()) >= 12  # ms of 2001


_KLINE: Final = (
    "open_time",
    *("open", "high", "low", "close", "volume", "close_time"),
    *("quote_volume", "count", "taker_buy_volume", "taker_buy_quote_volume", "ignore"),
)
_OHLC: Final = ("time", "open", "high", "low", "close")

FORMS: Final = (
    Form(
        name="candles",
        kind=DataKind.CANDLES,
        columns=("ts_ms", "open", "high", "low", "close", "volume"),
        names=(*_OHLC, "volume"),
        looks=lambda cells: len(cells) == 6 and not any(map(_is_flag, cells)),
    ),
    Form(
        name="Binance archive klines",
        kind=DataKind.CANDLES,
        columns=_KLINE,
        names=(*_OHLC, "volume", "", "", "", "", "", ""),
        looks=lambda cells: len(cells) == len(_KLINE),
    ),
    Form(
        name="mark candles",
        kind=DataKind.MARK_CANDLES,
        columns=("ts_ms", "open", "high", "low", "close"),
        names=_OHLC,
    ),
    Form(
        name="Binance archive aggTrades",
        kind=DataKind.TRADES,
        columns=(
            *("agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id"),
            *("transact_time", "is_buyer_maker", "was_best_match"),
        ),
        names=("id", "price", "quantity", "", "", "time", "buyer_is_maker", ""),
        looks=lambda cells: len(cells) in (7, 8) and _is_time(cells[5]) and _is_flag(cells[6]),
    ),
    Form(
        name="Binance archive trades",
        kind=DataKind.TRADES,
        columns=("id", "price", "qty", "quote_qty", "time", "is_buyer_maker", "is_best_match"),
        names=("id", "price", "quantity", "", "time", "buyer_is_maker", ""),
        looks=lambda cells: len(cells) in (6, 7) and _is_time(cells[4]) and _is_flag(cells[5]),
    ),
    Form(
        name="trades",
        kind=DataKind.TRADES,
        columns=("ts_ns", "price", "quantity", "buyer_is_maker", "id", "row"),
        names=("time", "price", "quantity", "buyer_is_maker", "id", "row"),
        optional=frozenset({"id", "row"}),
    ),
    Form(
        name="quotes",
        kind=DataKind.QUOTES,
        columns=("ts_ns", "bid", "bid_quantity", "ask", "ask_quantity", "row"),
        names=("time", "bid", "bid_quantity", "ask", "ask_quantity", "row"),
        optional=frozenset({"row"}),
    ),
    Form(
        name="mark prices",
        kind=DataKind.MARKS,
        columns=("ts_ns", "mark_price", "row"),
        names=("time", "price", "row"),
        optional=frozenset({"row"}),
    ),
    Form(
        name="funding",
        kind=DataKind.FUNDING,
        columns=("ts_ms", "funding_rate", "interval_hours"),
        names=("time", "rate", "interval_hours"),
        optional=frozenset({"interval_hours"}),
    ),
    Form(
        name="Binance archive funding",
        kind=DataKind.FUNDING,
        columns=("calc_time", "funding_interval_hours", "last_funding_rate"),
        names=("time", "interval_hours", "rate"),
    ),
)

FLAGS: Final = frozenset({"buyer_is_maker"})
WHOLE: Final = frozenset({"time", "id", "row", "interval_hours"})
TEXT: Final = frozenset({"symbol"})
"""Columns that may be beside those of any form."""
_TIMES: Final = frozenset(
    {
        "ts",
        "ts_s",
        "ts_ms",
        "ts_us",
        "ts_ns",
        "time",
        "timestamp",
        "open_time",
        "transact_time",
        "calc_time",
    }
)
"""What headings call the time; its unit is read from the name, else from its size."""
_SYMBOLS: Final = frozenset({"symbol", "pair", "instrument"})
_SAME: Final = {"qty": "quantity", "vol": "volume", "maker": "buyer_is_maker"}
"""Other names that headings use."""


def form_of(cells: Sequence[str]) -> tuple[Form, tuple[str, ...], bool] | None:
    """The form of a table, from the cells of its first line.

    Returns:
        The form, our name of each of its columns (empty: not read), and whether the line is a
        heading; None when no form fits.
    """
    if cells and cells[0].strip().lstrip("-").isdigit():
        for form in FORMS:
            if form.looks is not None and form.looks(cells):
                names = (*form.names, *("" for _ in cells))[: len(cells)]
                return form, names, False
        return None
    heading = [cell.strip().strip('"').lower() for cell in cells]
    best: tuple[Form, tuple[str, ...], bool] | None = None
    for form in FORMS:
        ours = dict(zip(form.columns, form.names, strict=True))
        names = _named(heading, ours)
        needed = {name for name in form.names if name} - form.optional
        if needed <= set(names) and (
            best is None or sum(map(bool, names)) > sum(map(bool, best[1]))
        ):
            best = form, names, True
    return best


def _named(heading: Sequence[str], ours: Mapping[str, str]) -> tuple[str, ...]:
    """Our name of each column of a heading; of two with the same, the first."""
    names: list[str] = []
    for cell in heading:
        if cell in _TIMES:
            name = "time"
        elif cell in _SYMBOLS:
            name = "symbol"
        else:
            name = ours.get(cell) or ours.get(_SAME.get(cell, ""), "")
        names.append("" if name in names else name)
    return tuple(names)


def allowed() -> str:
    """The forms, for a message."""
    return "".join(f"\n  {form.name}: {','.join(form.columns)}" for form in FORMS)
