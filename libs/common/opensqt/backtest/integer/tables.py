"""Tables in memory, as compiled code sees them; one record, the world, knows where they are.

Everything that is compiled takes that record alone. Passing the arrays themselves to every function
would make compiling several times as long. Nothing here looks whether a row exists.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import carray, types  # type: ignore[attr-defined]  # it is documented
from numba.extending import intrinsic

from opensqt.backtest.columns import Ints
from opensqt.backtest.integer.compiled import Record, part
from opensqt.backtest.integer.records import ALARM, FILL, LETTER, ORDER, PAYMENT, POST, SLOT, WISH


def _type_row(_typing: Any, _address: Any, _index: Any, table: Any) -> Any:
    row = table.dtype
    signature = row(types.int64, types.int64, table)

    def build(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        start, place, _ = arguments
        size = context.get_constant(types.int64, row.size)
        where = builder.add(start, builder.mul(place, size))
        return builder.inttoptr(where, context.get_value_type(row))

    return signature, build


def _type_pointer(_typing: Any, _address: Any) -> Any:
    signature = types.voidptr(types.int64)

    def build(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return signature, build


_row = cast("Callable[[int, int, Any], Record]", intrinsic(_type_row))
"""A row of the table at an address, by reference."""
_pointer = cast("Callable[[int], Any]", intrinsic(_type_pointer))


@part
def numbers(address: int, count: int) -> Ints:
    """A column of whole numbers."""
    return carray(_pointer(address), (count,), np.int64)


@part
def flags(address: int, count: int) -> Any:
    """A column of bytes, 0 or 1."""
    return carray(_pointer(address), (count,), np.uint8)


@part
def number_at(column: int, place: int) -> int:
    """A number of a column."""
    return numbers(column, place + 1)[place]  # type: ignore[no-any-return]


@part
def put(column: int, place: int, number: int) -> None:
    """Write a number of a column."""
    numbers(column, place + 1)[place] = number


@part
def order_at(w: Record, number: int) -> Record:
    """An order."""
    return _row(w.orders, number, ORDER)


@part
def slot_at(w: Record, index: int) -> Record:
    """A slot."""
    return _row(w.slots, index, SLOT)


@part
def fill_at(w: Record, number: int) -> Record:
    """A fill."""
    return _row(w.fills, number, FILL)


@part
def payment_at(w: Record, number: int) -> Record:
    """A payment of funding."""
    return _row(w.payments, number, PAYMENT)


@part
def letter_at(w: Record, kind: int, place: int) -> Record:
    """A letter of a kind."""
    return _row(w.letters, kind * w.letters_room + place, LETTER)


@part
def post_at(w: Record, kind: int) -> Record:
    """Which letters of a kind are on their way."""
    return _row(w.post, kind, POST)


@part
def alarm_at(w: Record, place: int) -> Record:
    """An alarm."""
    return _row(w.alarms, place, ALARM)


@part
def wish_at(w: Record, place: int) -> Record:
    """A wish."""
    return _row(w.wishes, place, WISH)


@part
def time_at(w: Record, trade: int) -> int:
    """When a trade happened."""
    return number_at(w.times, trade)


@part
def bid_at(w: Record, trade: int) -> int:
    """The best bid that a trade shows."""
    return number_at(w.prices, trade) - (1 - maker_at(w, trade))


@part
def maker_at(w: Record, trade: int) -> int:
    """1 when a trade hit the bid."""
    return int(flags(w.makers, trade + 1)[trade])
