"""Tables in memory, as compiled code sees them; one record, the world, knows where they are.

Everything that is compiled takes that record alone. Passing the arrays themselves to every function
would make compiling several times as long. Nothing here looks whether a row exists.
"""

from collections.abc import Callable
from typing import Any, cast

from numba import types
from numba.extending import intrinsic

from opensqt.backtest.integer.compiled import Record, part
from opensqt.backtest.integer.records import (
    ALARM,
    FILL,
    LETTER,
    ORDER,
    PAYMENT,
    POST,
    SLOT,
    WISH,
    WORLD,
)


def _type_row(_typing: Any, _address: Any, _index: Any, table: Any) -> Any:
    row = table.dtype
    signature = row(types.int64, types.int64, table)

    def build(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        start, place, _ = arguments
        size = context.get_constant(types.int64, row.size)
        where = builder.add(start, builder.mul(place, size))
        return builder.inttoptr(where, context.get_value_type(row))

    return signature, build


def _type_number(_typing: Any, _address: Any, _place: Any) -> Any:
    return _loaded(types.int64)


def _type_flag(_typing: Any, _address: Any, _place: Any) -> Any:
    return _loaded(types.uint8)


def _loaded(kind: Any) -> Any:
    """How to read an element of a column."""

    def build(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.load(_element(context, builder, kind, *arguments))

    return kind(types.int64, types.int64), build


def _type_put(_typing: Any, _address: Any, _place: Any, _number: Any) -> Any:
    def build(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        address, place, number = arguments
        builder.store(number, _element(context, builder, types.int64, address, place))
        return context.get_dummy_value()

    return types.none(types.int64, types.int64, types.int64), build


def _element(context: Any, builder: Any, kind: Any, address: Any, place: Any) -> Any:
    """Where an element is: by a pointer and an index, which is what makes vectors of loops."""
    column = builder.inttoptr(address, context.get_value_type(kind).as_pointer())
    return builder.gep(column, [place], inbounds=True)


_row = cast("Callable[[int, int, Any], Record]", intrinsic(_type_row))
"""A row of the table at an address, by reference."""
number_at = cast("Callable[[int, int], int]", intrinsic(_type_number))
"""A number of the column at an address."""
flag_at = cast("Callable[[int, int], int]", intrinsic(_type_flag))
"""A byte of the column at an address, 0 or 1."""
put = cast("Callable[[int, int, int], None]", intrinsic(_type_put))
"""Write a number of the column at an address."""


@part
def world_at(address: int) -> Record:
    """All of it."""
    return _row(address, 0, WORLD)


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
    return flag_at(w.makers, trade)
