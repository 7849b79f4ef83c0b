"""What a run in one process did, as run files have it: decided by the bot, done by the exchange."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from opensqt.backtest.case import Case
from opensqt.backtest.recorded.run import Run, RunEnd
from opensqt.backtest.recorded.sources import assumed_of, completed_by, run_of_books, run_of_ledger
from opensqt.core.orders import Execution, Order
from opensqt.solo.market import RecordedMarket


def recorded(
    case: Case, market: RecordedMarket, orders: Iterable[Order], executions: Iterable[Execution]
) -> Run:
    """The run of one bot so far.

    Args:
        case: What it is.
        market: Its exchange as it stands.
        orders: Every order in the bot's ledger.
        executions: Every execution there.
    """
    (bot,) = case.bots
    tape = case.tapes[bot.symbol]
    ledger = run_of_ledger(orders, executions, source=f"paper run of {tape.source or bot.symbol}")
    books = run_of_books(market.account, bots={bot.bot_id: bot.symbol}, source="exchange")
    known = completed_by(ledger, books)
    # An exchange's books do not hold what it refused; the ledger heard of that at once.
    refused = {one.client_oid: one.ended_ns for one in ledger.orders if one.end is RunEnd.REFUSED}
    return replace(
        known,
        orders=tuple(
            replace(one, ended_ns=refused[one.client_oid]) if one.client_oid in refused else one
            for one in known.orders
        ),
        assumed={"from": "a paper run in one process"} | assumed_of(case),
        start_ns=market.began_ns,
        end_ns=market.now_ns(),
    )


def together(runs: Sequence[Run]) -> Run:
    """The runs of several bots as one; what was assumed of one of them is that of all."""
    ends = [run.end_ns for run in runs if run.end_ns is not None]
    starts = [run.start_ns for run in runs if run.start_ns is not None]
    orders = [order for run in runs for order in run.orders]
    return Run(
        source=", ".join(dict.fromkeys(run.source for run in runs)),
        orders=tuple(sorted(orders, key=lambda order: order.first_ns or 0)),
        assumed={key: value for run in runs for key, value in run.assumed.items()},
        start_ns=min(starts, default=None),
        end_ns=max(ends, default=None),
    )
