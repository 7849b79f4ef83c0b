"""`run_integer`: a case in whole numbers, as a result."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from opensqt.backtest.case import Case, Mode
from opensqt.backtest.columns import Ints
from opensqt.backtest.integer.building import Tables
from opensqt.backtest.integer.ordinary import REASONS, NotOrdinary, unsupported
from opensqt.backtest.integer.records import BACK, CROWDED, FINE
from opensqt.backtest.integer.scale import Scale
from opensqt.backtest.result import BotRun, Fills, Orders, Payments, Result
from opensqt.backtest.tape import Tape

if TYPE_CHECKING:
    from opensqt.backtest.integer.machine import Loop

COMPILER = ("numba", "llvmlite")


def run_integer(case: Case) -> Result:
    """Run a case in whole numbers.

    Raises:
        NotOrdinary: It is not computed here, or something happens in it that is not.
        ValueError: A tape's times or rows go back.
    """
    if reasons := unsupported(case):
        raise NotOrdinary("; ".join(reasons))
    loop = _loop()
    (bot,) = case.bots
    tape = case.tapes[bot.symbol]
    _check_fundings(tape)
    start_ns, end_ns = span(tape)
    scale = Scale.of(case, bot, int(tape.trades.price[0]), start_ns=start_ns)
    tables = Tables(scale, tape, case.latency, end_ns=end_ns)
    floor = tables.world[0]["floor"]
    loop(tables.address)
    while floor["status"] == CROWDED:
        tables.grow()
        floor["status"] = FINE
        loop(tables.address)
    if floor["status"] == BACK:
        raise _backwards(tape)
    if floor["status"] != FINE:
        raise NotOrdinary(REASONS[int(floor["status"])])
    return _result(scale, tape, tables, start_ns=start_ns, end_ns=end_ns)


def prepare() -> None:
    """Compile the engine now, if need be and if there is a compiler: for processes that follow."""
    with suppress(NotOrdinary):
        _loop()


def span(tape: Tape) -> tuple[int, int]:
    """When a tape's first and last event happen."""
    times = [table.time_ns for table in (tape.trades, tape.fundings) if len(table)]
    return min(int(t[0]) for t in times), max(int(t[-1]) for t in times)


def _loop() -> "Loop":
    """The compiled loop; whoever does not need it does not wait for it to be loaded."""
    try:
        from opensqt.backtest.integer.machine import loop

        return loop()
    except ImportError as error:
        library = (error.name or "").partition(".")[0]
        if library and library not in COMPILER:
            raise
        # Without a name it is the compiler that does not go with something that is installed.
        raise NotOrdinary(f"{library} is not installed" if library else str(error)) from error


def _check_fundings(tape: Tape) -> None:
    """Refuse fundings that go back in time; of the trades, which are many, the loop looks."""
    fundings = tape.fundings
    if bool(np.any(np.diff(fundings.time_ns) < 0)) or bool(np.any(np.diff(fundings.row) <= 0)):
        raise _backwards(tape)


def _backwards(tape: Tape) -> ValueError:
    for table in (tape.trades, tape.fundings):
        if bool(np.any(np.diff(table.time_ns) < 0)):
            return ValueError(
                f"{tape.symbol}: times go back; allowed: times in the order of the rows"
            )
    return ValueError(f"{tape.symbol}: rows repeat or go back; allowed: rows that grow")


def _result(scale: Scale, tape: Tape, tables: Tables, *, start_ns: int, end_ns: int) -> Result:
    bot, floor = tables.world[0]["bot"], tables.world[0]["floor"]
    orders = tables.rows("orders", bot["orders"])
    fills = tables.rows("fills", floor["fills"])
    payments = tables.rows("payments", floor["payments"])
    return Result(
        bots=(BotRun(identity=scale.identity, instrument=scale.instrument),),
        orders=Orders.of(
            **_columns(orders, "side kind cycle price quantity decided_ns placed_ns ended_ns"),
            **_columns(orders, "end filled"),
            level=orders["level"] + tables.base,
            bot=np.zeros(len(orders)),
        ),
        fills=Fills.of(**_columns(fills, "order time_ns price quantity maker fee realised")),
        payments=Payments.of(
            **_columns(payments, "time_ns rate position amount"), bot=np.zeros(len(payments))
        ),
        start_ns=start_ns,
        end_ns=end_ns,
        events=len(tape.trades) + len(tape.fundings),
        mode=Mode.INTEGER,
        acted=int(bot["acted"]),
    )


def _columns(rows: Any, names: str) -> dict[str, Ints]:
    return {name: np.ascontiguousarray(rows[name]) for name in names.split()}
