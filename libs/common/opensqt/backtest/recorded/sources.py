"""Where runs come from: a backtest's result, a ledger's orders and fills, an exchange's books."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from opensqt.backtest.recorded.run import Run, RunEnd, RunFill, RunOrder, RunPurpose
from opensqt.core.events import Forced
from opensqt.core.exchange.account import Account
from opensqt.core.exchange.forced import forced_by_id
from opensqt.core.grid.forced import is_forced_share
from opensqt.core.identifiers import bot_tag, parse_order_id
from opensqt.core.numbers import plain
from opensqt.core.orders import Execution, Order, OrderStatus, Side

if TYPE_CHECKING:  # they need NumPy, which an export of a ledger does not
    from opensqt.backtest.case import Case
    from opensqt.backtest.result import Result

_ENDS: Final[Mapping[OrderStatus, RunEnd]] = {
    OrderStatus.PENDING: RunEnd.ON_ITS_WAY,
    OrderStatus.UNKNOWN: RunEnd.ON_ITS_WAY,
    OrderStatus.NEW: RunEnd.OPEN,
    OrderStatus.PARTIALLY_FILLED: RunEnd.OPEN,
    OrderStatus.FILLED: RunEnd.FILLED,
    OrderStatus.CANCELED: RunEnd.CANCELED,
    OrderStatus.EXPIRED: RunEnd.EXPIRED,
    OrderStatus.REJECTED: RunEnd.REFUSED,
    OrderStatus.NOT_PLACED: RunEnd.REFUSED,
}


def run_of(case: "Case", result: "Result") -> Run:
    """The run of a backtest."""
    from opensqt.backtest.result import End, Kind

    fills = _fills_of(result)
    table = result.orders
    columns = {
        name: getattr(table, name).tolist()
        for name in (
            *("bot", "level", "side", "kind", "cycle", "price", "quantity"),
            *("decided_ns", "placed_ns", "ended_ns", "end", "filled"),
        )
    }
    orders: list[RunOrder] = []
    for index in range(len(table)):
        row = {name: column[index] for name, column in columns.items()}
        bot = result.bots[row["bot"]]
        tick, step = bot.instrument.tick_size, bot.instrument.step_size
        forced = row["kind"] == Kind.FORCED
        orders.append(
            RunOrder(
                bot=bot.identity.bot_id,
                symbol=bot.identity.symbol,
                slot_price=None if forced else bot.identity.lattice.price(row["level"]),
                side=Side.BUY if row["side"] > 0 else Side.SELL,
                purpose=RunPurpose(Kind(row["kind"]).name),
                cycle=row["cycle"],
                price=None if forced else row["price"] * tick,
                quantity=row["quantity"] * step,
                end=RunEnd(End(row["end"]).name),
                filled=row["filled"] * step,
                decided_ns=_known(row["decided_ns"]),
                placed_ns=_known(row["placed_ns"]),
                ended_ns=_known(row["ended_ns"]),
                fills=tuple(fills.get(index, ())),
            )
        )
    sources = {tape.source for tape in case.tapes.values() if tape.source}
    return Run(
        source="backtest" + (f" of {', '.join(sorted(sources))}" if sources else ""),
        orders=tuple(orders),
        assumed={"from": "a backtest", "engine": result.mode.value} | assumed_of(case),
        start_ns=result.start_ns,
        end_ns=result.end_ns,
    )


def run_of_ledger(orders: Iterable[Order], executions: Iterable[Execution], *, source: str) -> Run:
    """The run that a ledger tells of; both may come in any order.

    A ledger knows when an order was decided, not when the exchange took it; when it ended is when
    the ledger heard of it last.
    """
    fills: defaultdict[str, list[RunFill]] = defaultdict(list)
    for execution in executions:
        fills[execution.client_oid].append(
            RunFill(
                time_ns=execution.exchange_time_ns,
                price=execution.price,
                quantity=execution.quantity,
                maker=execution.maker,
                fee=execution.fee,
                execution_id=execution.execution_id,
            )
        )
    found = [
        RunOrder(
            bot=order.bot_id,
            symbol=order.symbol,
            slot_price=order.slot_price,
            side=order.side,
            purpose=RunPurpose(order.purpose.value),
            cycle=order.cycle,
            client_oid=order.client_oid,
            price=order.price,
            quantity=order.quantity,
            decided_ns=order.created_ns,
            ended_ns=order.updated_ns if order.status.terminal else None,
            end=_ENDS[order.status],
            filled=order.filled_quantity,
            fills=_in_order(fills[order.client_oid]),
        )
        for order in orders
    ]
    return Run(source=source, orders=_by_time(found), assumed={"from": "a ledger"})


def run_of_books(books: Account, *, bots: Mapping[str, str], source: str) -> Run:
    """The run that an exchange's books tell of, as far as it is these bots'.

    Args:
        books: The account's.
        bots: The symbol of each bot whose orders are meant; an order names its bot by a tag only,
            and one that the exchange made itself is that of the bot of its symbol.
        source: For people.
    """
    tags = {bot_tag(bot): bot for bot in bots}
    traders = {symbol: bot for bot, symbol in bots.items()}
    fills: defaultdict[int, list[RunFill]] = defaultdict(list)
    for fill in books.fills:
        fills[fill.order_id].append(
            RunFill(
                time_ns=fill.time_ns,
                price=fill.price,
                quantity=fill.quantity,
                maker=fill.maker,
                fee=fill.fee,
                execution_id=str(fill.trade_id),
            )
        )
    found: list[RunOrder] = []
    for order in books.orders.values():
        meaning = parse_order_id(order.client_order_id)
        forced = forced_by_id(order.client_order_id) is not Forced.NONE
        bot = traders.get(order.symbol) if forced else tags.get(meaning.bot_tag if meaning else "")
        if bot is None:
            continue  # somebody else's
        found.append(
            RunOrder(
                bot=bot,
                symbol=order.symbol,
                slot_price=meaning.slot_price if meaning else None,
                side=order.side,
                purpose=RunPurpose(meaning.purpose.value) if meaning else RunPurpose.FORCED,
                cycle=meaning.cycle if meaning else 0,
                client_oid=order.client_order_id,
                price=None if forced else order.price,
                quantity=order.quantity,
                placed_ns=order.created_ns,
                ended_ns=None if order.open else order.updated_ns,
                end=_ENDS[order.status],
                filled=order.executed,
                fills=tuple(fills[order.order_id]),
            )
        )
    return Run(source=source, orders=_by_time(found), assumed={"from": "an exchange's books"})


def completed_by(run: Run, books: Run) -> Run:
    """A ledger's run with what the exchange knows better.

    That is when it took an order, and what became of it, heard by the ledger or not. What it made
    itself stands for what the ledger has of that: each slot's share of a forced order.

    Args:
        run: The ledger's; it knows what was decided and refused, too.
        books: The same run from the exchange's books.
    """
    known = {order.client_oid: order for order in books.orders}
    orders = [
        replace(
            order,
            placed_ns=kept.placed_ns,
            ended_ns=kept.ended_ns,
            end=kept.end,
            filled=kept.filled,
            fills=kept.fills,
        )
        if (kept := known.get(order.client_oid)) is not None
        else replace(order, ended_ns=None)
        for order in run.orders
        if not is_forced_share(order.client_oid)
    ]
    forced = [order for order in books.orders if order.purpose is RunPurpose.FORCED]
    return replace(run, orders=_by_time([*orders, *forced]))


def assumed_of(case: "Case") -> dict[str, str]:
    """What a case assumes, as run files have it."""
    latency = case.latency
    assumed = {
        "market_ns": str(latency.market_ns),
        "order_ns": str(latency.order_ns),
        "report_ns": str(latency.report_ns),
    }
    assumed |= {f"deposit {name}": plain(case.accounts[name].deposit) for name in case.accounts}
    for symbol, rules in case.markets.items():
        assumed[f"maker fee {symbol}"] = plain(rules.fees.maker)
        assumed[f"taker fee {symbol}"] = plain(rules.fees.taker)
    return assumed


def _fills_of(result: "Result") -> Mapping[int, list[RunFill]]:
    """By the number of the order."""
    table, orders = result.fills, result.orders
    bots = orders.bot.tolist()
    columns = (
        *(table.order.tolist(), table.time_ns.tolist(), table.price.tolist()),
        *(table.quantity.tolist(), table.maker.tolist(), table.fee.tolist()),
    )
    found: defaultdict[int, list[RunFill]] = defaultdict(list)
    for order, time_ns, price, quantity, maker, fee in zip(*columns, strict=True):
        bot = result.bots[bots[order]]
        found[order].append(
            RunFill(
                time_ns=time_ns,
                price=price * bot.instrument.tick_size,
                quantity=quantity * bot.instrument.step_size,
                maker=maker,
                fee=fee * bot.money_unit,
            )
        )
    return found


def _known(time_ns: int) -> int | None:
    return None if time_ns < 0 else time_ns


def _in_order(fills: list[RunFill]) -> tuple[RunFill, ...]:
    return tuple(
        sorted(fills, key=lambda fill: (fill.time_ns, len(fill.execution_id), fill.execution_id))
    )


def _by_time(orders: list[RunOrder]) -> tuple[RunOrder, ...]:
    """In the order in which they were decided; of those decided together, nothing is known."""
    return tuple(sorted(orders, key=lambda order: (order.first_ns or 0, order.client_oid)))
