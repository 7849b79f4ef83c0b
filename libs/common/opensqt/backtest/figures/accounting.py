"""What a run earned, and from what, exactly: the split of its profit, by account, bot and level.

``final equity - deposits == grid profit + forced closes + inventory - fees + funding``, to the last
digit. The right side is counted slot by slot, from each slot's own fills; the left side from the
account's cash and its position at the last mark, as the exchange counts it. They share nothing but
the fills, and a difference is an error in one of them, so it ends the run instead of being shown.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal, localcontext
from typing import Self

import numpy as np

from opensqt.backtest.case import Case
from opensqt.backtest.figures.slot_ledger import SlotAccount, SlotLedger
from opensqt.backtest.result import BotRun, End, Kind, Result
from opensqt.backtest.tape import MARK_UNIT, Tape
from opensqt.core.numbers import EXACT, ZERO, plain


@dataclass(frozen=True, slots=True, kw_only=True)
class PnlSplit:
    """Where a profit comes from, in quote."""

    grid: Decimal = ZERO
    """Closed slots: proceeds less cost, before fees."""
    forced: Decimal = ZERO
    """What the exchange closed: proceeds less cost, before fees."""
    inventory: Decimal = ZERO
    """What the slots still hold, at the last mark, less its cost."""
    fees: Decimal = ZERO
    """Paid; negative: received. Those of forced closes are among them."""
    funding: Decimal = ZERO
    """Received; negative: paid."""

    @property
    def total(self) -> Decimal:
        """The profit."""
        with localcontext(EXACT):
            return self.grid + self.forced + self.inventory - self.fees + self.funding

    @classmethod
    def sum(cls, splits: Iterable["PnlSplit"]) -> Self:
        """Several splits together."""
        parts = tuple(splits)
        with localcontext(EXACT):
            return cls(
                **{
                    field.name: sum((getattr(part, field.name) for part in parts), ZERO)
                    for field in fields(cls)
                }
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelStatistics:
    """What one slot did."""

    level: int
    """0 is the anchor."""
    price: Decimal
    fills: int
    round_trips: int
    """How often an order of the grid left the slot empty."""
    bought: Decimal
    """In base."""
    sold: Decimal
    """In base."""
    profit: Decimal
    """Of its round trips, before fees, in quote."""
    forced: Decimal
    """Of what the exchange closed of it, before fees, in quote."""
    fees: Decimal
    """Of its own orders' fills, in quote."""
    held: Decimal
    """At the end, in base, signed."""
    cost: Decimal
    """Paid or received for what is held at the end, in quote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotAccounts:
    """What one bot did, and what came of it."""

    bot_id: str
    account: str
    symbol: str
    base: str
    quote: str
    split: PnlSplit
    position: Decimal
    """At the end, in base, signed."""
    mark: Decimal | None
    """The last mark price; None: the market never had one."""
    orders: int
    """That were decided."""
    refused: int
    """That the exchange did not take."""
    fills: int
    maker_fills: int
    turnover: Decimal
    """Price times quantity of all fills, in quote."""
    round_trips: int
    forced_closes: int
    """Orders that the exchange made."""
    halted: str
    """Why it was halted; empty when it was not."""
    levels: tuple[LevelStatistics, ...]
    """Those that ever filled, from the lowest price up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountBooks:
    """One account, with the bots that trade on it."""

    name: str
    quote: str
    initial: Decimal
    """The deposit."""
    final: Decimal
    """Equity at the end: wallet and unrealised profit at the last marks."""
    split: PnlSplit
    bots: tuple[BotAccounts, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounting:
    """A whole run."""

    accounts: tuple[AccountBooks, ...]

    @property
    def bots(self) -> tuple[BotAccounts, ...]:
        """Every bot, account by account."""
        return tuple(bot for account in self.accounts for bot in account.bots)

    @property
    def split(self) -> PnlSplit:
        """All accounts together; they are in the same quote, or it means nothing."""
        return PnlSplit.sum(account.split for account in self.accounts)

    @property
    def initial(self) -> Decimal:
        """All deposits."""
        return sum((account.initial for account in self.accounts), ZERO)

    @property
    def final(self) -> Decimal:
        """All equity at the end."""
        return sum((account.final for account in self.accounts), ZERO)


def account_for(case: Case, result: Result) -> Accounting:
    """Split the profit of a run.

    Args:
        case: What was run.
        result: What came of it.
    """
    with localcontext(EXACT):
        done = [_bot(case, result, index, run) for index, run in enumerate(result.bots)]
        return Accounting(
            accounts=tuple(
                _account(name, account.deposit, [pair for pair in done if pair[0].account == name])
                for name, account in case.accounts.items()
            )
        )


def _account(
    name: str, deposit: Decimal, bots: Sequence[tuple[BotAccounts, Decimal]]
) -> AccountBooks:
    change = sum((change for _, change in bots), ZERO)
    split = PnlSplit.sum(bot.split for bot, _ in bots)
    assert change == split.total, (
        f"{name}: equity changed by {plain(change)}, but its parts are {plain(split.total)}"
    )
    return AccountBooks(
        name=name,
        quote=bots[0][0].quote if bots else "",
        initial=deposit,
        final=deposit + change,
        split=split,
        bots=tuple(bot for bot, _ in bots),
    )


def last_mark(tape: Tape) -> Decimal | None:
    """The mark price at the end of a tape: as told, else the last trade, else mid quote."""
    if len(tape.marks):
        return EXACT.multiply(Decimal(int(tape.marks.price[-1])), MARK_UNIT)
    if len(tape.trades):
        return EXACT.multiply(Decimal(int(tape.trades.price[-1])), tape.tick)
    if len(tape.quotes):
        both = int(tape.quotes.bid[-1]) + int(tape.quotes.ask[-1])
        return EXACT.divide(EXACT.multiply(Decimal(both), tape.tick), Decimal(2))
    return None


def _bot(case: Case, result: Result, index: int, run: BotRun) -> tuple[BotAccounts, Decimal]:
    """A bot's accounts, and by how much it changed the equity, as the exchange counts it."""
    instrument, identity = run.instrument, run.identity
    of_bot = np.flatnonzero(result.orders.bot == index)
    orders = result.orders.taken(of_bot)
    mine = result.orders.bot[result.fills.order] == index
    fills = result.fills.taken(mine)
    kinds = result.orders.kind[fills.order]
    signed = result.orders.side[fills.order] * fills.quantity
    ledger = SlotLedger(tick=instrument.tick_size, step=instrument.step_size)
    for level, kind, quantity, price, fee in zip(
        result.orders.level[fills.order].tolist(),
        kinds.tolist(),
        signed.tolist(),
        fills.price.tolist(),
        fills.fee.tolist(),
        strict=True,
    ):
        if kind == Kind.FORCED:
            ledger.force(quantity, price)
        else:
            ledger.fill(level, quantity, price, fee=fee)

    worth = EXACT.multiply(instrument.tick_size, instrument.step_size)
    unit = run.money_unit
    mark = last_mark(case.tapes[identity.symbol])
    fees = _times(sum(fills.fee.tolist()), unit)
    paid = result.payments.taken(result.payments.bot == index).amount
    funding = _times(sum(paid.tolist()), unit)
    position = _times(sum(signed.tolist()), instrument.step_size)
    prices = fills.price.tolist()
    spent = _times(sum(q * p for q, p in zip(signed.tolist(), prices, strict=True)), worth)
    held = EXACT.multiply(position, mark) if mark is not None else ZERO
    traded = sum(q * p for q, p in zip(fills.quantity.tolist(), prices, strict=True))
    slots = ledger.slots.values()
    split = PnlSplit(
        grid=_times(sum(slot.realised for slot in slots), ledger.unit),
        forced=_times(sum(slot.forced for slot in slots), ledger.unit),
        inventory=sum((_inventory(slot, ledger, run, mark) for slot in slots), ZERO),
        fees=fees,
        funding=funding,
    )
    books = BotAccounts(
        bot_id=identity.bot_id,
        account=identity.account,
        symbol=identity.symbol,
        base=instrument.base,
        quote=instrument.quote,
        split=split,
        position=position,
        mark=mark,
        orders=int((orders.kind != Kind.FORCED).sum()),
        refused=int((orders.end == End.REFUSED).sum()),
        fills=len(fills),
        maker_fills=int(fills.maker.sum()),
        turnover=_times(traded, worth),
        round_trips=sum(slot.round_trips for slot in slots),
        forced_closes=int((orders.kind == Kind.FORCED).sum()),
        halted=run.halted,
        levels=tuple(
            _level(level, slot, ledger, run) for level, slot in sorted(ledger.slots.items())
        ),
    )
    return books, held - spent - fees + funding


def _inventory(slot: SlotAccount, ledger: SlotLedger, run: BotRun, mark: Decimal | None) -> Decimal:
    if not slot.held:
        return ZERO
    assert mark is not None, f"{run.identity.symbol}: a position without a market"
    worth = EXACT.multiply(_times(slot.held, run.instrument.step_size), mark)
    cost = _times(slot.cost, ledger.unit)
    return worth - cost if slot.held > 0 else worth + cost


def _level(level: int, slot: SlotAccount, ledger: SlotLedger, run: BotRun) -> LevelStatistics:
    step = run.instrument.step_size
    return LevelStatistics(
        level=level,
        price=run.identity.lattice.price(level),
        fills=slot.fills,
        round_trips=slot.round_trips,
        bought=_times(slot.bought, step),
        sold=_times(slot.sold, step),
        profit=_times(slot.realised, ledger.unit),
        forced=_times(slot.forced, ledger.unit),
        fees=_times(slot.fees, run.money_unit),
        held=_times(slot.held, step),
        cost=_times(slot.cost, ledger.unit),
    )


def _times(count: int, unit: Decimal) -> Decimal:
    return EXACT.multiply(Decimal(count), unit)
