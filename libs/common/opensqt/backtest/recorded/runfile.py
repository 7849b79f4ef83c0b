"""A run as a file: JSON that loses nothing, and says what is wrong with what is read.

Numbers of money, prices and quantities are text, times are whole nanoseconds since 1970 UTC, and
what is not known is null, never zero.
"""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

from opensqt.backtest.recorded.run import Run, RunEnd, RunFill, RunOrder, RunPurpose
from opensqt.core.numbers import NotExactError, parse_decimal, plain
from opensqt.core.orders import Side

K = TypeVar("K")

FORMAT: Final = "opensqt.run/1"


class RunFileError(ValueError):
    """A file is no run, and why; says where."""


# --- to JSON -------------------------------------------------------------------------------------


def as_json(run: Run) -> dict[str, object]:
    """A run as plain values."""
    return {
        "format": FORMAT,
        "source": run.source,
        "start_ns": run.start_ns,
        "end_ns": run.end_ns,
        "assumed": dict(run.assumed),
        "orders": [_order_json(order) for order in run.orders],
    }


def write_run(path: Path, run: Run) -> None:
    """Write a run; a reader sees all of it or nothing."""
    _write(path, dumps(run))


def write_beside(path: Path, told: Mapping[str, object], run: Run) -> None:
    """Write what else there is to tell, and the run with it; `read_run` finds it there."""
    _write(path, json.dumps(dict(told))[:-1] + f', "run": {dumps(run).rstrip()}}}\n')


def dumps(run: Run) -> str:
    """A run as the text of its file: an order a line, so that other tools can compare it, too."""
    head = {key: value for key, value in as_json(run).items() if key != "orders"}
    orders = ",\n".join(json.dumps(_order_json(order)) for order in run.orders)
    return json.dumps(head)[:-1] + f', "orders": [\n{orders}\n]}}\n'


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _order_json(order: RunOrder) -> dict[str, object]:
    return {
        "bot": order.bot,
        "symbol": order.symbol,
        "slot_price": _text(order.slot_price),
        "side": order.side.value,
        "purpose": order.purpose.value,
        "cycle": order.cycle,
        "client_oid": order.client_oid,
        "price": _text(order.price),
        "quantity": plain(order.quantity),
        "decided_ns": order.decided_ns,
        "placed_ns": order.placed_ns,
        "ended_ns": order.ended_ns,
        "end": order.end.value,
        "filled": plain(order.filled),
        "fills": [
            {
                "time_ns": fill.time_ns,
                "price": plain(fill.price),
                "quantity": plain(fill.quantity),
                "maker": fill.maker,
                "fee": _text(fill.fee),
                "execution_id": fill.execution_id,
            }
            for fill in order.fills
        ],
    }


def _text(number: Decimal | None) -> str | None:
    return None if number is None else plain(number)


# --- from JSON -----------------------------------------------------------------------------------


def read_run(path: Path) -> Run:
    """Read a run.

    Raises:
        RunFileError: It cannot be read, or is no run.
    """
    try:
        return loads(path.read_bytes())
    except OSError as error:
        raise RunFileError(f"{path}: {error.strerror or error}") from None
    except RunFileError as error:
        raise RunFileError(f"{path}: {error}") from None


def loads(text: str | bytes) -> Run:
    """Read a run from the text of its file; a report of a backtest that holds one will do, too.

    Raises:
        RunFileError: With the place and what is allowed there.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise RunFileError(f"not JSON: {error}") from None
    if isinstance(found, dict) and "format" not in found and isinstance(found.get("run"), dict):
        found = found["run"]
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        said = found.get("format") if isinstance(found, dict) else type(found).__name__
        raise RunFileError(f"format: {said!r}; allowed: {FORMAT!r}")
    read = _Reader(found, "")
    return Run(
        source=read.text("source"),
        start_ns=read.time("start_ns"),
        end_ns=read.time("end_ns"),
        assumed={str(key): str(value) for key, value in read.mapping("assumed").items()},
        orders=tuple(_order(row) for row in read.rows("orders")),
    )


def _order(row: "_Reader") -> RunOrder:
    return RunOrder(
        bot=row.text("bot"),
        symbol=row.text("symbol"),
        slot_price=row.optional_number("slot_price"),
        side=row.one_of("side", Side),
        purpose=row.one_of("purpose", RunPurpose),
        cycle=row.whole("cycle"),
        client_oid=row.text("client_oid"),
        price=row.optional_number("price"),
        quantity=row.number("quantity"),
        decided_ns=row.time("decided_ns"),
        placed_ns=row.time("placed_ns"),
        ended_ns=row.time("ended_ns"),
        end=row.one_of("end", RunEnd),
        filled=row.number("filled"),
        fills=tuple(_fill(fill) for fill in row.rows("fills")),
    )


def _fill(row: "_Reader") -> RunFill:
    return RunFill(
        time_ns=row.whole("time_ns"),
        price=row.number("price"),
        quantity=row.number("quantity"),
        maker=row.flag("maker"),
        fee=row.optional_number("fee"),
        execution_id=row.text("execution_id"),
    )


class _Reader:
    """Reads one JSON object; every complaint names the place."""

    def __init__(self, found: Mapping[str, Any], where: str) -> None:
        self._found = found
        self._where = where

    def text(self, key: str) -> str:
        return self._typed(key, str, "text")

    def flag(self, key: str) -> bool:
        return self._typed(key, bool, "true or false")

    def mapping(self, key: str) -> Mapping[str, Any]:
        return self._typed(key, dict, "an object")

    def whole(self, key: str) -> int:
        value = self._typed(key, int, "a whole number")
        if isinstance(value, bool):  # which Python counts among the integers
            raise self._wrong(key, value, "a whole number")
        return value

    def time(self, key: str) -> int | None:
        return None if self._found.get(key) is None else self.whole(key)

    def number(self, key: str) -> Decimal:
        value = self._typed(key, str, "exact decimal text")
        try:
            return parse_decimal(value, name=self._where + key)
        except NotExactError as error:
            raise RunFileError(str(error)) from None

    def optional_number(self, key: str) -> Decimal | None:
        return None if self._found.get(key) is None else self.number(key)

    def one_of(self, key: str, kind: Any) -> Any:
        value = self.text(key)
        try:
            return kind(value)
        except ValueError:
            raise self._wrong(key, value, ", ".join(kind)) from None

    def rows(self, key: str) -> Iterable["_Reader"]:
        for index, row in enumerate(self._typed(key, list, "a list")):
            where = f"{self._where}{key}[{index}]"
            if not isinstance(row, dict):
                raise RunFileError(f"{where}: {row!r}; allowed: an object")
            yield _Reader(row, f"{where}.")

    def _typed(self, key: str, kind: type[K], allowed: str) -> K:
        value = self._found.get(key)
        if not isinstance(value, kind):
            raise self._wrong(key, value, allowed)
        return value

    def _wrong(self, key: str, value: object, allowed: str) -> RunFileError:
        return RunFileError(f"{self._where}{key}: {value!r}; allowed: {allowed}")
