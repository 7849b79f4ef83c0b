"""What came of a case, as columns, in whole numbers: equal results are equal to the last digit.

Prices are in ticks of the bot's symbol, quantities in steps, money in the bot's `money_unit`, times
in nanoseconds since 1970 UTC, -1 for never.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

from opensqt.backtest.case import Mode
from opensqt.backtest.columns import Columns, Flags, Ints
from opensqt.core.exchange.account import MONEY_STEP
from opensqt.core.grid.book import GridIdentity
from opensqt.core.instrument import Instrument


class Kind(IntEnum):
    """What an order was for."""

    OPEN = 0
    CLOSE = 1
    FORCED = 2
    """The exchange made it: a liquidation."""


class End(IntEnum):
    """How an order stands in the end."""

    OPEN = 0
    FILLED = 1
    CANCELED = 2
    EXPIRED = 3
    REFUSED = 4
    """The exchange did not take it."""
    ON_ITS_WAY = 5
    """The market ended before it reached the exchange."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Orders(Columns):
    """Every order that was decided, in the order in which they were."""

    bot: Ints
    """Index into `Result.bots`."""
    level: Ints
    """The slot's level number, 0 at the anchor; of a forced order 0."""
    side: Ints
    """+1 buys, -1 sells."""
    kind: Ints
    cycle: Ints
    price: Ints
    quantity: Ints
    decided_ns: Ints
    placed_ns: Ints
    """When the exchange took it."""
    ended_ns: Ints
    """When it ended on the exchange."""
    end: Ints
    filled: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fills(Columns):
    """Every fill, in the order in which they happened."""

    order: Ints
    """Index into the orders."""
    time_ns: Ints
    price: Ints
    quantity: Ints
    maker: Flags
    fee: Ints
    """Paid; negative: received."""
    realised: Ints
    """Profit of the part that closed the account's position, before fees."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Payments(Columns):
    """Every funding payment of a position."""

    bot: Ints
    time_ns: Ints
    rate: Ints
    """In `tape.RATE_UNIT`."""
    position: Ints
    """What was held, signed, in steps."""
    amount: Ints
    """Received; negative: paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotRun:
    """A bot as it ran."""

    identity: GridIdentity
    instrument: Instrument
    halted: str = ""
    """Why it was halted; empty when it was not."""

    @property
    def money_unit(self) -> Decimal:
        """What money is counted in."""
        return money_unit(self.instrument)


def money_unit(instrument: Instrument) -> Decimal:
    """What money is counted in: fine enough for one step at one tick, and for a fee."""
    return min(MONEY_STEP, (instrument.tick_size * instrument.step_size).normalize())


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a case. How it was computed (`mode`, `detours`, `acted`) is not part of it."""

    bots: tuple[BotRun, ...]
    orders: Orders
    fills: Fills
    payments: Payments
    start_ns: int
    end_ns: int
    events: int
    """How many things happened in the markets."""
    mode: Mode
    """The engine that computed it."""
    detours: tuple[str, ...] = ()
    """Why not by a faster one."""
    acted: int = 0
    """Events that were acted on."""

    def same_as(self, other: "Result") -> bool:
        """Whether both say the same, however they were computed."""
        return (
            self.bots == other.bots
            and self.orders == other.orders
            and self.fills == other.fills
            and self.payments == other.payments
            and (self.start_ns, self.end_ns) == (other.start_ns, other.end_ns)
        )
