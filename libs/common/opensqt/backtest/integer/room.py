"""Room: whether the tables have enough rows for the next step, so that none need be asked for."""

from opensqt.backtest.integer.compiled import Record, part
from opensqt.backtest.integer.records import KINDS
from opensqt.backtest.integer.tables import post_at


@part
def lacks_room(w: Record) -> bool:
    """Whether a table may be too small for the next step."""
    grid, floor, step = w.grid, w.floor, w.grid.rows_max
    for kind in range(KINDS):
        if post_at(w, kind).end + step > w.letters_room:
            return True
    return bool(
        w.bot.orders + step > w.orders_room
        or floor.fills + step > w.fills_room
        or floor.alarms >= w.alarms_room
        or w.bot.waiting + grid.buys + grid.sells + step > w.wishes_room
    )
