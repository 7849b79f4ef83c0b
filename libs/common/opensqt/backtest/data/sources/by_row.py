"""Reading a table row by row, to say which line and which cell is wrong."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from opensqt.backtest.columns import Ints
from opensqt.backtest.data.sources.forms import FLAGS, TEXT, WHOLE
from opensqt.backtest.data.sources.problems import Problems
from opensqt.backtest.data.sources.table import DECIMALS_MAX, INT_MAX, Scaled
from opensqt.backtest.data.sources.times import in_ns
from opensqt.core.numbers import EXACT, NotExactError, parse_decimal

_FLAGS: Final = {"true": True, "false": False}
_LEFT_OUT: Final = "left out"
_MAY_BE_EMPTY: Final = frozenset({"interval_hours"})
"""Without it a number is 0, which says unknown."""


def read_rows(
    path: Path,
    body: bytes,
    names: Sequence[str],
    *,
    begins: int,
    problems: Problems,
    time_name: str = "",
) -> tuple[Ints, dict[str, Any]]:
    """Read the rows of a CSV file without its heading.

    Args:
        path: For messages.
        body: The rows.
        names: Our name of each column; empty ones are not read.
        begins: Number of the first line.
        problems: Takes what is wrong; a row with something wrong is left out.
        time_name: What the file calls its times: a row whose time can be read has its place.

    Returns:
        The number of the line of each row, and the columns.
    """
    lines: list[int] = []
    rows: dict[str, list[Any]] = {name: [] for name in names if name}
    for number, line in enumerate(body.split(b"\n"), start=begins):
        text = line.decode("utf-8", "replace").rstrip("\r")
        try:
            values = _row(text, names)
        except ValueError as error:
            time_ns = _time_of(text, names, time_name)
            if time_ns is None or problems.within(time_ns).all():
                problems.found(_kind(text), path, number, str(error), done=_LEFT_OUT)
            continue
        lines.append(number)
        for name, value in values.items():
            rows[name].append(value)
    at = np.array(lines, dtype=np.int64)
    columns: dict[str, Any] = {}
    for name, values_of in rows.items():
        if name in FLAGS:
            columns[name] = np.array(values_of, dtype=np.bool_)
        elif name in WHOLE:
            columns[name] = np.array(values_of, dtype=np.int64)
        elif name in TEXT:
            columns[name] = pa.array(values_of, type=pa.string())
        else:
            columns[name] = scaled_from(values_of, name, path, at, problems)
    return at, columns


def scaled_from(
    numbers: Sequence[Decimal], name: str, path: Path, lines: Ints, problems: Problems
) -> Scaled:
    """Decimal numbers as whole ones; those that are too fine are rounded, and that is a problem."""
    decimals = DECIMALS_MAX
    largest = max((abs(number) for number in numbers), default=Decimal(0))
    while decimals and largest.scaleb(decimals) > INT_MAX:
        decimals -= 1
    values = np.zeros(len(numbers), dtype=np.int64)
    for index, number in enumerate(numbers):
        scaled = EXACT.scaleb(number, decimals)
        whole = EXACT.to_integral_value(scaled)
        if whole != scaled:
            problems.found(
                "too_fine",
                path,
                int(lines[index]),
                f"{name} is {number}; allowed are {decimals} digits after the point",
                done="rounded",
            )
        values[index] = int(whole)
    return Scaled(values=values, decimals=decimals)


def _row(text: str, names: Sequence[str]) -> dict[str, Any]:
    cells = text.split(",")
    if len(cells) != len(names):
        raise ValueError(f"{text[:80]!r} has {len(cells)} columns; allowed are {len(names)}")
    values: dict[str, Any] = {}
    for name, cell in zip(names, cells, strict=True):
        plain = cell.strip().strip('"')
        if name in FLAGS:
            if plain.lower() not in _FLAGS:
                raise ValueError(f"{name} is {cell!r}; allowed are true and false")
            values[name] = _FLAGS[plain.lower()]
        elif name in WHOLE and not plain and name in _MAY_BE_EMPTY:
            values[name] = 0
        elif name in WHOLE:
            if not plain.lstrip("-").isdecimal() or not -INT_MAX <= int(plain) <= INT_MAX:
                raise ValueError(f"{name} is {cell!r}; allowed is a whole number")
            values[name] = int(plain)
        elif name in TEXT:
            values[name] = plain
        elif name:
            try:
                number = parse_decimal(plain, name=name)
            except NotExactError as error:
                raise ValueError(str(error)) from None
            if abs(number) > INT_MAX:
                raise ValueError(f"{name} is {cell!r}; it is larger than any number of a market")
            values[name] = number
    return values


def _time_of(text: str, names: Sequence[str], time_name: str) -> Ints | None:
    """When a row was that cannot be used; None when that cannot be read either."""
    cells, place = text.split(","), names.index("time")
    cell = cells[place].strip().strip('"') if len(cells) == len(names) else ""
    if not cell.isdecimal() or int(cell) > INT_MAX:
        return None
    return in_ns(np.array([int(cell)], dtype=np.int64), time_name)


def _kind(text: str) -> str:
    return "not_a_number" if "nan" in text.lower() else "unreadable"
