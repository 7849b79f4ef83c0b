"""Both sides of a paper run at its end: what we believe, and what the exchange has in its books."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from opensqt.core.events import Forced
from opensqt.core.exchange.forced import forced_by_id


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOrder:
    """An order that has not ended, as far as both sides know it."""

    client_oid: str
    side: str
    price: Decimal
    quantity: Decimal
    filled: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerBooks:
    """What the state service has.

    Attributes:
        position: Sum of what the slots hold, in base; negative is short.
        open_orders: By client order id, from the slots.
        unsettled: Orders whose outcome is not proven.
        intents: Client order ids of every order that was ever committed.
        fills: Number of executions.
        realised: Profit of closed slots before fees, each from its own fills, in quote.
        fees: Paid, in quote.
        standing: Whether the grid may trade; None when there is none.
        standing_reason: Why it is halted; empty when it is not.
    """

    position: Decimal
    open_orders: Mapping[str, OpenOrder]
    unsettled: int
    intents: frozenset[str]
    fills: int
    realised: Decimal
    fees: Decimal
    standing: str | None = None
    standing_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeBooks:
    """What the exchange has, for one account and symbol.

    Attributes:
        accepted: How many orders it took under each client order id, ever.
        open_orders: By client order id.
        position: In base; negative is short.
        buys: Executions that bought.
        sells: Executions that sold.
        realised: Profit of closed positions before fees, in quote.
        unrealised: Of the open position at the mark price, in quote.
        fees: Paid, in quote.
        funding: Received (negative: paid), in quote.
    """

    accepted: Mapping[str, int]
    open_orders: Mapping[str, OpenOrder]
    position: Decimal
    buys: int
    sells: int
    realised: Decimal
    unrealised: Decimal
    fees: Decimal
    funding: Decimal

    @property
    def orders(self) -> int:
        """How many orders it took."""
        return sum(self.accepted.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What the two sides say of the same run.

    Attributes:
        ledger: Our side.
        exchange: The exchange's.
        differences: What does not agree, for people; empty when everything does.
        duplicates: Orders that the exchange took beyond one per intent.
    """

    ledger: LedgerBooks
    exchange: ExchangeBooks
    differences: tuple[str, ...]
    duplicates: int

    @property
    def agree(self) -> bool:
        """The positions are equal, and the same orders are open on both sides."""
        return not self.differences


def compare(ledger: LedgerBooks, exchange: ExchangeBooks) -> Comparison:
    """Hold our books against the exchange's."""
    differences = []
    if ledger.position != exchange.position:
        differences.append(
            f"position: the slots hold {ledger.position}, the exchange {exchange.position}"
        )
    for client_oid in sorted(ledger.open_orders.keys() | exchange.open_orders.keys()):
        ours, theirs = (side.open_orders.get(client_oid) for side in (ledger, exchange))
        if ours == theirs:
            continue
        if theirs is None:
            differences.append(f"order {client_oid}: a slot has it, the exchange does not")
        elif ours is None:
            differences.append(f"order {client_oid}: open on the exchange, no slot has it")
        else:
            differences.append(f"order {client_oid}: the slot has {ours}, the exchange {theirs}")
    # An intent stands for one order; an order without an intent is one too many from the first on,
    # unless it is the exchange's own.
    duplicates = sum(
        times - (1 if client_oid in ledger.intents else 0)
        for client_oid, times in exchange.accepted.items()
        if forced_by_id(client_oid) is Forced.NONE
    )
    return Comparison(
        ledger=ledger,
        exchange=exchange,
        differences=tuple(differences),
        duplicates=duplicates,
    )
