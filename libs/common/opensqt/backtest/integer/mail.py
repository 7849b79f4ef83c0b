"""Mail: what is on its way. What is of one kind takes equally long, so it stays in its order."""

from opensqt.backtest.integer.compiled import Record, part
from opensqt.backtest.integer.records import FAR
from opensqt.backtest.integer.tables import alarm_at, letter_at, post_at


@part
def send(  # noqa: PLR0917  # what a letter says
    w: Record, kind: int, now_ns: int, number: int, news: int, quantity: int
) -> None:
    """Put a letter about an order on its way; there is room for it."""
    grid, post = w.grid, post_at(w, kind)
    if post.first == post.end:
        post.first = post.end = 0
    letter = letter_at(w, kind, post.end)
    post.end += 1
    takes_ns = grid.order_ns if kind == 2 else grid.report_ns
    letter.due_ns = now_ns + takes_ns
    letter.happened = w.floor.happened
    letter.order, letter.news, letter.quantity = number, news, quantity


@part
def set_alarm(w: Record, due_ns: int) -> None:
    """Wake the bot; a second alarm for the same time would tell it nothing."""
    floor = w.floor
    for place in range(floor.alarms):
        if alarm_at(w, place).due_ns == due_ns:
            return
    alarm = alarm_at(w, floor.alarms)
    alarm.due_ns, alarm.happened = due_ns, floor.happened
    floor.alarms += 1


@part
def next_alarm(w: Record) -> int:
    """The place of the alarm that is due first; -1: there is none."""
    found, due_ns = -1, FAR
    for place in range(w.floor.alarms):
        if alarm_at(w, place).due_ns < due_ns:
            found, due_ns = place, alarm_at(w, place).due_ns
    return found


@part
def drop_alarm(w: Record, place: int) -> None:
    """It has rung."""
    floor = w.floor
    floor.alarms -= 1
    last = alarm_at(w, floor.alarms)
    alarm_at(w, place).due_ns, alarm_at(w, place).happened = last.due_ns, last.happened
