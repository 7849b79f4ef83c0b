"""`run_integer`: a case in whole numbers, as a result."""

import numpy as np

from opensqt.backtest.case import Case, Mode
from opensqt.backtest.columns import Ints
from opensqt.backtest.integer import slots
from opensqt.backtest.integer.ledger import LARGEST, Ledger, payments_of
from opensqt.backtest.integer.life import Life
from opensqt.backtest.integer.margin import Placed, check_margin
from opensqt.backtest.integer.ordinary import NotOrdinary, unsupported
from opensqt.backtest.integer.scale import Scale
from opensqt.backtest.result import BotRun, End, Fills, Orders, Result
from opensqt.backtest.tape import Tape


def run_integer(case: Case) -> Result:
    """Run a case in whole numbers.

    Raises:
        NotOrdinary: It is not computed here, or something happens in it that is not.
        ValueError: A tape's times or rows go back.
    """
    if reasons := unsupported(case):
        raise NotOrdinary("; ".join(reasons))
    (bot,) = case.bots
    tape = case.tapes[bot.symbol]
    check_order(tape)
    start_ns, end_ns = span(tape)
    scale = Scale.of(case, bot, int(tape.trades.price[0]), start_ns=start_ns)
    life = Life(scale, tape, end_ns=end_ns)
    rows = life.live()
    return _result(scale, tape, rows, start_ns=start_ns, end_ns=end_ns, acted=life.acted)


def check_order(tape: Tape) -> None:
    """Refuse data that goes back in time.

    Raises:
        ValueError: It does.
    """
    for table in (tape.trades, tape.fundings):
        if bool(np.any(table.time_ns[1:] < table.time_ns[:-1])):
            raise ValueError(
                f"{tape.symbol}: times go back; allowed: times in the order of the rows"
            )
        if bool(np.any(table.row[1:] <= table.row[:-1])):
            raise ValueError(f"{tape.symbol}: rows repeat or go back; allowed: rows that grow")


def span(tape: Tape) -> tuple[int, int]:
    """When a tape's first and last event happen."""
    times = [table.time_ns for table in (tape.trades, tape.fundings) if len(table)]
    return min(int(t[0]) for t in times), max(int(t[-1]) for t in times)


def _result(
    scale: Scale, tape: Tape, rows: slots.Rows, *, start_ns: int, end_ns: int, acted: int
) -> Result:
    table = np.frombuffer(rows.orders, dtype=np.int64).reshape(-1, slots.ORDER_WIDTH)
    orders = dict(enumerate(table.T))
    fill_order, fill_at, quantity = (
        np.frombuffer(rows.fills, dtype=np.int64).reshape(-1, slots.FILL_WIDTH).T
    )
    price, side = orders[slots.PRICE], orders[slots.SIDE]
    _check_size(scale, price, orders[slots.QUANTITY])
    times = _Times(tape.trades.time_ns, rows.moments)
    ledger = Ledger.of(scale, side[fill_order], price[fill_order], quantity)
    payments, paid_at = payments_of(scale, tape, fill_at, ledger.position)
    closing = orders[slots.KIND] == slots.CLOSE
    notional = price * orders[slots.QUANTITY]
    check_margin(
        scale,
        ledger,
        prices=tape.trades.price,
        fill_at=fill_at,
        paid=payments.amount,
        paid_at=paid_at,
        orders=Placed(
            at=times.trade(orders[slots.PLACED]),
            ended_at=times.trade(orders[slots.ENDED]),
            notional=notional if scale.neutral else np.where(closing, 0, notional),
            side=side,
        ),
    )
    return Result(
        bots=(BotRun(identity=scale.identity, instrument=scale.instrument),),
        orders=Orders.of(
            bot=np.zeros(len(table)),
            level=orders[slots.LEVEL],
            side=side,
            kind=orders[slots.KIND],
            cycle=orders[slots.CYCLE],
            price=price,
            quantity=orders[slots.QUANTITY],
            decided_ns=times.time_ns(orders[slots.DECIDED]),
            placed_ns=times.time_ns(orders[slots.PLACED]),
            ended_ns=times.time_ns(orders[slots.ENDED]),
            end=orders[slots.END],
            filled=_filled(orders[slots.END], orders[slots.QUANTITY], fill_order, quantity),
        ),
        fills=Fills.of(
            order=fill_order,
            time_ns=tape.trades.time_ns[fill_at],
            price=price[fill_order],
            quantity=quantity,
            maker=np.ones(len(fill_at)),
            fee=ledger.fee,
            realised=ledger.realised,
        ),
        payments=payments,
        start_ns=start_ns,
        end_ns=end_ns,
        events=len(tape.trades) + len(tape.fundings),
        mode=Mode.INTEGER,
        acted=acted,
    )


def _check_size(scale: Scale, price: Ints, quantity: Ints) -> None:
    """Whatever is held is the sum of what was ordered, so this bounds every amount of money."""
    if len(price):
        all_of_it = sum(quantity.tolist()) * int(price.max()) * scale.lot_money
        if all_of_it + abs(scale.deposit) >= LARGEST:
            raise NotOrdinary("amounts beyond 64 bits")


def _filled(end: Ints, ordered: Ints, fill_order: Ints, quantity: Ints) -> Ints:
    filled = np.where(end == End.FILLED, ordered, 0)
    partly = end[fill_order] != End.FILLED
    np.add.at(filled, fill_order[partly], quantity[partly])
    return filled


class _Times:
    """What the times of rows mean."""

    def __init__(self, time_ns: Ints, moments: list[tuple[int, int]]) -> None:
        self._time_ns = time_ns
        self._moments: Ints = np.array(moments, dtype=np.int64).reshape(-1, 2)

    def trade(self, at: Ints) -> Ints:
        """The trade at or before each; -1 for never."""
        between = at <= slots.MOMENT
        if not between.any():
            return at
        trades = at.copy()
        trades[between] = self._moments[slots.MOMENT - at[between], 0]
        return trades

    def time_ns(self, at: Ints) -> Ints:
        """The time of each; -1 for never."""
        times: Ints = np.where(at < 0, -1, self._time_ns[np.maximum(at, 0)])
        between = at <= slots.MOMENT
        if between.any():
            times[between] = self._moments[slots.MOMENT - at[between], 1]
        return times
