"""Quiet bands: the prices between which a strategy that has nothing to do goes on having nothing.

A decision looks at best bid and ask in few ways: which levels its windows have, whether an exit is
within reach or has been passed, and which of two orders is nearer. Each of these stays as it is
between two bounds; the band is what is between all of them. It is never wider than that, and where
nothing simple can be said it is the present price alone.

The band holds as long as book, candles and settings stay as they are, and neither a slot's back-off
nor a pause of openings ends. It goes on holding when a pause begins: only less is wanted then. It
is meant for markets whose prices are whole ticks.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from opensqt.core.actions import Place
from opensqt.core.grid.book import Direction, Slot
from opensqt.core.grid.strategy import Competition, Decision
from opensqt.core.grid.windows import Windows
from opensqt.core.instrument import InstrumentRuleError
from opensqt.core.numbers import ZERO, ceil_to, floor_to
from opensqt.core.orders import Order, Side

STEPS_MAX: Final = 64
"""Levels that a band reaches beyond the market's own, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Bounds of bid and ask, themselves included; None: no bound."""

    bid_min: Decimal | None = None
    bid_max: Decimal | None = None
    ask_min: Decimal | None = None
    ask_max: Decimal | None = None

    def contains(self, bid: Decimal, ask: Decimal) -> bool:
        """Tell whether both prices are within their bounds."""
        return (
            (self.bid_min is None or bid >= self.bid_min)
            and (self.bid_max is None or bid <= self.bid_max)
            and (self.ask_min is None or ask >= self.ask_min)
            and (self.ask_max is None or ask <= self.ask_max)
        )


class _Unclear(Exception):  # noqa: N818  # an answer, not a fault
    """Nothing simple can be said."""


def quiet_band(decision: Decision) -> Band | None:
    """Where a decision to do nothing stays one; None when it says to do something."""
    windows = decision.windows
    if decision.actions or windows is None:
        return None
    narrowing = _Narrowing(windows, decision.openings)
    try:
        if decision.opening:
            narrowing.keep_cells(nothing_wanted=not decision.wanted)
        for slot in windows.agenda.holdings.values():
            if windows.ready(slot):
                narrowing.keep_exit(slot)
        if decision.competition is not None:
            narrowing.keep_ranks(decision.wanted, decision.competition)
    except _Unclear:
        bid, ask = windows.bid, windows.ask
        return Band(bid_min=bid, bid_max=bid, ask_min=ask, ask_max=ask)
    return narrowing.band()


class _Narrowing:
    """A band that gets narrower with everything that is to stay as it is."""

    def __init__(self, windows: Windows, openings: tuple[Order, ...]) -> None:
        self._windows = windows
        self._openings = openings
        self._tick = windows.market.instrument.tick_size
        self._bid_min: list[Decimal] = []
        self._bid_max: list[Decimal] = []
        self._ask_min: list[Decimal] = []
        self._ask_max: list[Decimal] = []

    def band(self) -> Band:
        return Band(
            bid_min=max(self._bid_min, default=None),
            bid_max=min(self._bid_max, default=None),
            ask_min=max(self._ask_min, default=None),
            ask_max=min(self._ask_max, default=None),
        )

    def keep_cells(self, *, nothing_wanted: bool) -> None:
        """Whatever levels the market is at, nothing is missing there, and nothing out of place."""
        windows, tick, lattice = self._windows, self._tick, self._windows.lattice
        direction = windows.book.identity.direction
        if direction is not Direction.SHORT:
            level = lattice.at_or_below(windows.ask - tick)
            up, down = self._steps(Side.BUY) if nothing_wanted else (0, 0)
            self._ask_min.append(ceil_to(lattice.price(level - down) + tick, tick))
            self._ask_max.append(self._below(lattice.price(level + up + 1) + tick))
        if direction is not Direction.LONG:
            level = lattice.at_or_above(windows.bid + tick)
            up, down = self._steps(Side.SELL) if nothing_wanted else (0, 0)
            self._bid_max.append(floor_to(lattice.price(level + down) - tick, tick))
            self._bid_min.append(self._above(lattice.price(level - up - 1) - tick))

    def _steps(self, side: Side) -> tuple[int, int]:
        """By how many levels a side's window may move: toward the market, and back.

        With every step one end of the window takes in a level and the other one gives one up. As
        long as the ones at which nothing can be opened come and go, nothing becomes missing: the
        levels in between, and what they come to together, stay what they were.
        """
        windows = self._windows
        sign, depth = side.sign, windows.depth(side)
        if not depth:
            return STEPS_MAX, STEPS_MAX
        top = windows.top_buy if side is Side.BUY else windows.bottom_sell
        farthest = self._farthest(side)
        slack = windows.config.slack_levels * windows.spacing
        up = 0
        while up < STEPS_MAX and self._nothing_at(top + sign * (up + 1)):
            # The farthest order must not fall out of the window, slack included.
            if farthest is not None and (top - farthest) * sign + up + 1 >= depth + slack:
                break
            up += 1
        down = 0
        while down < STEPS_MAX and self._nothing_at(top - sign * down):
            if not self._nothing_at(top - sign * (down + depth)):
                break
            down += 1
        return up, down

    def _nothing_at(self, level: int) -> bool:
        windows = self._windows
        if windows.market.paused or level % windows.spacing:
            return True  # nothing is opened now, or the level is not in use
        return windows.occupied(level) or windows.lattice.price(level) <= ZERO

    def _farthest(self, side: Side) -> int | None:
        """The level of the opening order that rests farthest from the market."""
        prices = [order.slot_price for order in self._openings if order.side is side]
        if not prices:
            return None
        return self._windows.lattice.nearest(min(prices) if side is Side.BUY else max(prices))

    def keep_exit(self, slot: Slot) -> None:
        """A holding's exit stays within reach, or out of it, and at its price."""
        windows = self._windows
        side = Side.SELL if slot.position_qty > 0 else Side.BUY
        if not _closable(windows, abs(slot.position_qty)):
            return
        price, reach = windows.exit_of(slot, side), windows.reach(side)
        meant = windows.meant_exit(slot, side)
        if price != meant or (windows.bid >= meant if side is Side.SELL else windows.ask <= meant):
            raise _Unclear  # the market has passed it, and the order would follow the market
        if side is Side.SELL:
            self._bid_max.append(self._below(meant))
            if meant - windows.ask > reach:
                self._ask_max.append(self._below(meant - reach))
            else:
                self._ask_min.append(ceil_to(meant - reach, self._tick))
        else:
            self._ask_min.append(self._above(meant))
            if windows.bid - meant > reach:
                self._bid_min.append(self._above(meant + reach))
            else:
                self._bid_max.append(floor_to(meant + reach, self._tick))

    def keep_ranks(self, wanted: tuple[Place, ...], competition: Competition) -> None:
        """The orders that have the open places stay nearer than those that want one."""
        windows, places = self._windows, competition.places
        if competition.chosen:
            raise _Unclear  # a place is about to become free
        ranked = sorted(windows.distance(order.price) for order in competition.keep)
        if len(ranked) < places or not places:
            if places:
                raise _Unclear
            return  # there is no place for anybody
        last = ranked[places - 1]
        placed = [o.price for o in competition.keep if windows.distance(o.price) <= last]
        low, high = min(placed), max(placed)
        for place in _nearest(windows, wanted):
            self._keep_nearer(place, low, high)

    def _keep_nearer(self, wanted: Decimal, low: Decimal, high: Decimal) -> None:
        """Orders from `low` to `high` stay at most the slack farther than the one at `wanted`.

        An order is `max(bid - price, price - ask, 0)` away, so what is wanted is at least as far
        as either piece of it says; the piece that holds now is the one that is kept to.
        """
        windows, slack = self._windows, self._windows.slack
        bid, ask = windows.bid, windows.ask
        if wanted <= bid:
            if wanted - low > slack:
                raise _Unclear
            self._bid_min.append(ceil_to(wanted - slack, self._tick))
            room = bid + ask - (high + wanted - slack)
            self._drop(room)
        elif wanted >= ask:
            if high - wanted > slack:
                raise _Unclear
            self._ask_max.append(floor_to(wanted + slack, self._tick))
            self._rise(low + wanted + slack - (bid + ask))
        else:
            self._bid_max.append(floor_to(low + slack, self._tick))
            self._ask_min.append(ceil_to(high - slack, self._tick))

    def _drop(self, room: Decimal) -> None:
        """Bid and ask together may fall by so much."""
        if room < ZERO:
            raise _Unclear
        each = floor_to(room / 2, self._tick)
        self._bid_min.append(self._windows.bid - each)
        self._ask_min.append(self._windows.ask - each)

    def _rise(self, room: Decimal) -> None:
        """Bid and ask together may rise by so much."""
        if room < ZERO:
            raise _Unclear
        each = floor_to(room / 2, self._tick)
        self._bid_max.append(self._windows.bid + each)
        self._ask_max.append(self._windows.ask + each)

    def _below(self, bound: Decimal) -> Decimal:
        """The highest price below a bound."""
        return ceil_to(bound, self._tick) - self._tick

    def _above(self, bound: Decimal) -> Decimal:
        """The lowest price above a bound."""
        return floor_to(bound, self._tick) + self._tick


def _nearest(windows: Windows, wanted: tuple[Place, ...]) -> list[Decimal]:
    """Of the orders that are wanted below, inside and above the spread, the nearest ones."""
    prices = [place.price for place in wanted]
    below = [price for price in prices if price <= windows.bid]
    above = [price for price in prices if price >= windows.ask]
    inside = [price for price in prices if windows.bid < price < windows.ask]
    return [*([max(below)] if below else []), *([min(above)] if above else []), *inside]


def _closable(windows: Windows, quantity: Decimal) -> bool:
    """Whether there is a price at which a holding may be closed at all."""
    try:
        windows.market.instrument.check_quantity(quantity)
    except InstrumentRuleError:
        return False
    return True
