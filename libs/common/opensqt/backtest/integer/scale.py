"""`Scale`: a bot and its market in whole numbers, so that no fraction is left to compute with.

Prices are in ticks, quantities in steps, money in the bot's `money_unit`. A level's price is
``anchor + level * interval``.
"""

from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal, localcontext

from opensqt.backtest.case import Case
from opensqt.backtest.integer.ordinary import NotOrdinary
from opensqt.backtest.result import BotRun
from opensqt.core.exchange.account import MONEY_STEP
from opensqt.core.exchange.rules import MarketRules
from opensqt.core.grid.book import Direction, GridIdentity
from opensqt.core.grid.config import GridConfig
from opensqt.core.identifiers import epoch_at
from opensqt.core.instrument import Instrument
from opensqt.core.numbers import EXACT
from opensqt.engine.bot import Bot


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """One bot, counted."""

    bot: Bot
    identity: GridIdentity
    rules: MarketRules
    anchor: int
    interval: int
    lot_money: int
    """Money of one step at one tick."""
    booked_money: int
    """The finest money that the exchange books."""
    deposit: int
    leverage: int
    max_position: int | None
    least: int
    """The smallest quantity that the exchange takes."""
    most: int
    least_notional: int
    """The smallest notional of an order that adds exposure, in ticks times steps."""

    @classmethod
    def of(cls, case: Case, bot: Bot, first_price: int, *, start_ns: int) -> "Scale":
        """A bot of a case whose market's first trade is at `first_price` ticks.

        Raises:
            NotOrdinary: A number is between two units.
        """
        instrument, grid = bot.instrument, bot.grid
        tick, step = instrument.tick_size, instrument.step_size
        identity = replace(bot.identity(first_price * tick), epoch=epoch_at(start_ns))
        unit = BotRun(identity=identity, instrument=instrument).money_unit
        account = case.accounts[bot.account]
        with localcontext(EXACT):
            return cls(
                bot=bot,
                identity=identity,
                rules=case.markets[bot.symbol],
                anchor=counted(identity.anchor, tick, "anchor"),
                interval=counted(grid.interval, tick, "interval"),
                lot_money=counted(tick * step, unit, "tick times step"),
                booked_money=counted(MONEY_STEP, unit, "smallest money"),
                deposit=counted(account.deposit, unit, "deposit"),
                leverage=account.leverage_of(bot.symbol),
                max_position=(
                    None
                    if grid.max_position is None
                    else counted(grid.max_position, step, "max_position")
                ),
                least=_at_least(instrument.min_quantity, step),
                most=int(instrument.max_quantity // step),
                least_notional=_at_least(instrument.min_notional, tick * step),
            )

    @property
    def grid(self) -> GridConfig:
        """How the bot trades."""
        return self.bot.grid

    @property
    def instrument(self) -> Instrument:
        """What it trades."""
        return self.bot.instrument

    @property
    def neutral(self) -> bool:
        """It opens on both sides."""
        return self.identity.direction is Direction.NEUTRAL


def counted(number: Decimal, unit: Decimal, what: str) -> int:
    """How many units a number is.

    Raises:
        NotOrdinary: It is between two of them; `what` it is.
    """
    count = EXACT.divide(number, unit)
    whole = int(count)
    if count != whole:
        raise NotOrdinary(f"{what} {number} is between two units of {unit}")
    return whole


def _at_least(number: Decimal, unit: Decimal) -> int:
    """The least number of units that reach a number."""
    return int(EXACT.divide(number, unit).to_integral_value(ROUND_CEILING))
