"""The market: a price that wanders around where it began, and trades that fill what they reach."""

import math
import random
from decimal import Decimal
from typing import Final

from opensqt.core.events import PriceChange
from opensqt.core.instrument import Instrument
from simulation.exchange_world import ExchangeWorld
from simulation.plan import Plan

START: Final = Decimal(60_000)
TICK_S: Final = 0.2
PULL: Final = 0.03
"""Of the way back to the start, so much with every tick."""
STEP: Final = 0.55
"""Standard deviation of a tick's move, in intervals."""

INSTRUMENT: Final = Instrument(
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.1"),
    step_size=Decimal("0.001"),
    min_quantity=Decimal("0.001"),
    max_quantity=Decimal(100),
    min_notional=Decimal(5),
)


class Market:
    """Makes prices and trades.

    Args:
        plan: The interval is the measure of its moves.
        chance: Where they come from.
        world: The exchange on which it happens.
    """

    def __init__(self, plan: Plan, chance: random.Random, world: ExchangeWorld) -> None:
        self._interval = plan.interval
        self._quantity = plan.quantity
        self._chance = chance
        self._world = world
        self._offset = 0.0
        """From the start, in intervals."""
        self._sequence = 0
        self.moves = True
        """Set to False, it stands still: prices are told, nothing trades."""

    def begin(self) -> None:
        """Tick from now on."""
        self._tick()

    def jump(self, intervals: int) -> None:
        """Move at once."""
        self._offset += intervals
        self._trade()

    def visit(self) -> None:
        """Move through the resting order that is nearest."""
        orders = self._world.side.books.open_orders.values()
        prices = [order.price for order in orders if order.price is not None]
        if prices:
            moves = [(price - self.price) / self._interval for price in prices]
            nearest = min(moves, key=abs)
            self._offset += float(nearest) + math.copysign(1.0, nearest)
            self._trade()

    def _tick(self) -> None:
        world = self._world
        if self.moves:
            self._offset += self._chance.gauss(-PULL * self._offset, STEP)
            self._trade()
        self._tell()
        world.loop.world.later(TICK_S * (0.5 + self._chance.random()), self._tick)

    def _trade(self) -> None:
        """Trade at the new price, now and then in several parts."""
        side, price = self._world.side, self.price
        side.quote(INSTRUMENT.symbol, price, price + INSTRUMENT.tick_size)
        for _ in range(self._chance.randrange(1, 4)):
            share = Decimal(self._chance.randrange(1, 30)) / 10
            quantity = INSTRUMENT.quantity_at_most(self._quantity * share)
            if quantity:
                side.trade(INSTRUMENT.symbol, price, quantity)

    def _tell(self) -> None:
        now_ns = self._world.now_ns()
        self._sequence += 1
        self._world.tell_price(
            PriceChange(
                symbol=INSTRUMENT.symbol,
                last=self.price,
                bid=self.price,
                ask=self.price + INSTRUMENT.tick_size,
                exchange_time_ns=now_ns,
                receive_time_ns=now_ns,
                sequence=self._sequence,
            )
        )

    @property
    def price(self) -> Decimal:
        """The bid, and the last trade."""
        moved = START + self._interval * Decimal(round(self._offset * 1000)) / 1000
        return INSTRUMENT.round_price(moved)
