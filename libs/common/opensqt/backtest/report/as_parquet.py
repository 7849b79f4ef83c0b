"""A run as Parquet: orders, fills, payments and the equity, for tables and notebooks.

Prices, quantities and money are text in exact decimal columns; times are nanoseconds, UTC.
"""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from opensqt.backtest.columns import Ints
from opensqt.backtest.report.contents import Contents
from opensqt.backtest.report.curves import AccountCurve
from opensqt.backtest.result import End, Kind, Result
from opensqt.backtest.tape import RATE_UNIT
from opensqt.core.numbers import EXACT

EQUITY_SPANS = 5_000
"""Spans of time of which the equity keeps its extremes."""
_DIGITS = 38
_NEVER = -1


def write_parquet(directory: Path, contents: Contents) -> tuple[Path, ...]:
    """Write the tables into a directory, which is made.

    Returns:
        The files.
    """
    directory.mkdir(parents=True, exist_ok=True)
    result = contents.result
    tables = {
        "orders": _orders(result),
        "fills": _fills(result),
        "payments": _payments(result),
        "equity": _equity(contents),
    }
    written = []
    for name, table in tables.items():
        path = directory / f"{name}.parquet"
        temporary = directory / f".{name}.parquet.part"
        pq.write_table(table, temporary, compression="zstd")
        temporary.replace(path)
        written.append(path)
    return tuple(written)


def _orders(result: Result) -> pa.Table:
    orders = result.orders
    tick = [run.instrument.tick_size for run in result.bots]
    step = [run.instrument.step_size for run in result.bots]
    return pa.table(
        {
            "order": pa.array(np.arange(len(orders))),
            "bot": _names(result, orders.bot),
            "symbol": _symbols(result, orders.bot),
            "level": pa.array(orders.level),
            "side": pa.array(np.where(orders.side > 0, "BUY", "SELL")),
            "kind": _named(orders.kind, Kind),
            "cycle": pa.array(orders.cycle),
            "price": _scaled(orders.price, orders.bot, tick),
            "quantity": _scaled(orders.quantity, orders.bot, step),
            "decided": _times(orders.decided_ns),
            "placed": _times(orders.placed_ns),
            "ended": _times(orders.ended_ns),
            "end": _named(orders.end, End),
            "filled": _scaled(orders.filled, orders.bot, step),
        }
    )


def _fills(result: Result) -> pa.Table:
    fills = result.fills
    bot = result.orders.bot[fills.order]
    unit = [run.money_unit for run in result.bots]
    return pa.table(
        {
            "order": pa.array(fills.order),
            "bot": _names(result, bot),
            "symbol": _symbols(result, bot),
            "time": _times(fills.time_ns),
            "side": pa.array(np.where(result.orders.side[fills.order] > 0, "BUY", "SELL")),
            "price": _scaled(fills.price, bot, [r.instrument.tick_size for r in result.bots]),
            "quantity": _scaled(fills.quantity, bot, [r.instrument.step_size for r in result.bots]),
            "maker": pa.array(fills.maker),
            "fee": _scaled(fills.fee, bot, unit),
            "realised": _scaled(fills.realised, bot, unit),
        }
    )


def _payments(result: Result) -> pa.Table:
    paid = result.payments
    steps = [run.instrument.step_size for run in result.bots]
    return pa.table(
        {
            "bot": _names(result, paid.bot),
            "symbol": _symbols(result, paid.bot),
            "time": _times(paid.time_ns),
            "rate": _scaled(paid.rate, paid.bot, [RATE_UNIT] * len(result.bots)),
            "position": _scaled(paid.position, paid.bot, steps),
            "amount": _scaled(paid.amount, paid.bot, [run.money_unit for run in result.bots]),
        }
    )


def _equity(contents: Contents) -> pa.Table:
    parts = []
    for books in contents.accounting.accounts:
        curve = AccountCurve.of(contents.case, contents.result, books, spans=EQUITY_SPANS)
        parts.append(
            pa.table(
                {
                    "account": pa.array([books.name] * len(curve.time_ns), pa.string()),
                    "time": _times(curve.time_ns),
                    "equity": pa.array(curve.state.equity),
                    "drawdown": pa.array(curve.drawdown),
                    "exposure": pa.array(curve.state.exposure),
                    "initial_margin": pa.array(curve.state.margin),
                    "maintenance_margin": pa.array(curve.state.maintenance),
                }
            )
        )
    return pa.concat_tables(parts)


def _scaled(values: Ints, bot: Ints, units: list[Decimal]) -> pa.Array:
    """Whole numbers in each bot's own unit, as exact decimals."""
    finest = max((-int(unit.as_tuple().exponent) for unit in units), default=0)
    digits = max(finest, 0)
    exact = [
        EXACT.multiply(Decimal(value), units[of])
        for value, of in zip(values.tolist(), bot.tolist(), strict=True)
    ]
    return pa.array(exact, pa.decimal128(_DIGITS, digits))


def _times(values: Ints) -> pa.Array:
    return pa.array(values, pa.timestamp("ns", tz="UTC"), mask=values == _NEVER)


def _named(values: Ints, kind: Any) -> pa.Array:
    return pa.array([kind(value).name for value in values.tolist()], pa.string())


def _names(result: Result, bot: Ints) -> pa.Array:
    return pa.array([result.bots[of].identity.bot_id for of in bot.tolist()], pa.string())


def _symbols(result: Result, bot: Ints) -> pa.Array:
    return pa.array([result.bots[of].identity.symbol for of in bot.tolist()], pa.string())
