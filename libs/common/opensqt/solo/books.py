"""Both sides of a run in one process: the bot's books and the simulated exchange's."""

from collections import Counter

from opensqt.core.exchange.account import Account
from opensqt.core.exchange.market import Market
from opensqt.core.grid.book import GridBook
from opensqt.core.numbers import ZERO
from opensqt.core.orders import Side
from opensqt.embedded.paper.books import ExchangeBooks, LedgerBooks, OpenOrder


def ledger_books(book: GridBook | None, intents: frozenset[str]) -> LedgerBooks:
    """The bot's side.

    Args:
        book: Its grid; None when it has not come to one.
        intents: Client order ids of every order that was ever intended.
    """
    if book is None:
        return LedgerBooks(
            position=ZERO,
            open_orders={},
            unsettled=0,
            intents=intents,
            fills=0,
            realised=ZERO,
            fees=ZERO,
        )
    live = book.live_orders()
    return LedgerBooks(
        position=book.position,
        open_orders={
            order.client_oid: OpenOrder(
                client_oid=order.client_oid,
                side=order.side.value,
                price=order.price,
                quantity=order.quantity,
                filled=order.filled_quantity,
            )
            for order in live
        },
        unsettled=sum(not order.settled for order in live),
        intents=intents,
        fills=book.totals.fills,
        realised=book.totals.realised_pnl,
        fees=book.totals.fees,
        standing=book.standing.value,
        standing_reason=book.standing_reason,
    )


def exchange_books(account: Account, market: Market) -> ExchangeBooks:
    """The exchange's side."""
    symbol = market.rules.instrument.symbol
    held = account.position(symbol)
    buys = sum(fill.side is Side.BUY for fill in account.fills)
    return ExchangeBooks(
        accepted=Counter(order.client_order_id for order in account.orders.values()),
        open_orders={
            order.client_order_id: OpenOrder(
                client_oid=order.client_order_id,
                side=order.side.value,
                price=ZERO if order.price is None else order.price,
                quantity=order.quantity,
                filled=order.executed,
            )
            for order in account.open_orders.values()
        },
        position=held.quantity,
        buys=buys,
        sells=len(account.fills) - buys,
        realised=account.realised,
        unrealised=ZERO if market.mark is None else held.unrealised(market.mark),
        fees=account.fees,
        funding=account.funding,
    )
