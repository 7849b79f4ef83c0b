"""Which orders a grid wants around the market as it stands: its windows of levels."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from opensqt.core.actions import Place
from opensqt.core.grid.agenda import Agenda
from opensqt.core.grid.book import Direction, GridBook, Slot, SlotStatus
from opensqt.core.grid.config import GridConfig
from opensqt.core.grid.lattice import Lattice
from opensqt.core.instrument import Instrument, InstrumentRuleError
from opensqt.core.numbers import ZERO, divide
from opensqt.core.orders import Purpose, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketView:
    """What the strategy sees of the market. None means unknown."""

    last: Decimal | None
    bid: Decimal | None
    ask: Decimal | None
    now_ns: int
    exposure_allowed: bool
    """The risk gate is open, prices are fresh, the order stream is verified."""
    instrument: Instrument
    paused: bool = False
    """The exchange has just refused what any opening needs (`core.risk.openings`): nothing is
    opened for a while, and what rests stays."""
    atr: Decimal | None = None
    """Average true range of the closed candles, in quote; None until enough were seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The grid's windows around one bid and ask."""

    agenda: Agenda
    market: MarketView
    config: GridConfig
    bid: Decimal
    ask: Decimal
    spacing: int
    """Every this many levels is in use."""
    top_buy: int
    """The highest level that an opening buy may take."""
    bottom_sell: int
    """The lowest level that an opening sell may take."""

    @classmethod
    def around(cls, agenda: Agenda, market: MarketView, config: GridConfig) -> "Windows | None":
        """The windows around the market; None without a price."""
        bid, ask = market.bid or market.last, market.ask or market.last
        if bid is None or ask is None:
            return None
        lattice, tick = agenda.lattice, market.instrument.tick_size
        long_shift, short_shift = _skew(agenda.book, config)
        return cls(
            agenda=agenda,
            market=market,
            config=config,
            bid=bid,
            ask=ask,
            spacing=spacing_of(market.atr, config),
            # One tick away from the other side of the book: an opening never takes liquidity.
            top_buy=lattice.at_or_below(ask - tick) - long_shift,
            bottom_sell=lattice.at_or_above(bid + tick) + short_shift,
        )

    @property
    def book(self) -> GridBook:
        """The grid that they are of."""
        return self.agenda.book

    @property
    def lattice(self) -> Lattice:
        """The grid's levels."""
        return self.agenda.lattice

    @property
    def slack(self) -> Decimal:
        """How much farther than the window a resting order may be, in quote."""
        return self.config.slack_levels * self.spacing * self.book.identity.interval

    def distance(self, price: Decimal) -> Decimal:
        """How far a price is from the market, in quote."""
        return max(self.bid - price, price - self.ask, ZERO)

    def kept_above(self) -> Decimal:
        """An opening buy may rest at the levels above this one: those of its window, and slack."""
        slack = self.config.slack_levels * self.spacing
        return self.lattice.price(self.top_buy - self.depth(Side.BUY) - slack)

    def kept_below(self) -> Decimal:
        """An opening sell may rest at the levels below this one."""
        slack = self.config.slack_levels * self.spacing
        return self.lattice.price(self.bottom_sell + self.depth(Side.SELL) + slack)

    def closings(self) -> tuple[Place, ...]:
        """A closing order for every holding whose exit is inside the window and has none yet.

        A holding outside the window is kept as it is; its turn comes when the market comes.
        """
        places = []
        for slot in self.agenda.waiting():
            if not self.ready(slot):
                continue
            side = Side.SELL if slot.position_qty > 0 else Side.BUY
            place = Place(
                slot_price=slot.price,
                side=side,
                purpose=Purpose.CLOSE,
                price=self.exit_of(slot, side),
                quantity=abs(slot.position_qty),
                # The account nets a neutral grid's long and short slots, so one slot's close may
                # not reduce the account's position, and the exchange would refuse it.
                reduce_only=self.book.identity.direction is not Direction.NEUTRAL,
                post_only=self.config.post_only,
            )
            if self.distance(place.price) <= self.reach(side) and self._allowed(place):
                places.append(place)
        return tuple(places)

    def openings(self) -> tuple[Place, ...]:
        """An opening order for every free level inside the window, nearest first.

        Stops where the position that all of them together could build would pass its bound. A level
        inside a wide spread would do for a buy and for a sell; it is bought.
        """
        direction = self.book.identity.direction
        places: list[Place] = []
        if direction is not Direction.SHORT:
            places += self._openings(Side.BUY, frozenset())
        if direction is not Direction.LONG:
            places += self._openings(Side.SELL, frozenset(place.slot_price for place in places))
        return tuple(places)

    def _openings(self, side: Side, taken: frozenset[Decimal]) -> Iterator[Place]:
        bound, lattice = self.config.max_position, self.lattice
        built = ZERO if bound is None else self._built(side)
        for level in self._levels(side):
            if self.occupied(level):
                continue
            price = lattice.price(level)
            if price <= 0 or price in taken:
                continue
            place = Place(
                slot_price=price,
                side=side,
                purpose=Purpose.OPEN,
                price=price,
                quantity=self._quantity(price),
                reduce_only=False,
                post_only=self.config.post_only,
                exit_price=lattice.price(level + side.sign * self.spacing),
            )
            if bound is not None and built + place.quantity > bound:
                return
            if self._allowed(place):
                built += place.quantity
                yield place

    def occupied(self, level: int) -> bool:
        """Tell whether a level has an order, a holding, or a back-off."""
        agenda = self.agenda
        return level in agenda.taken or agenda.back_offs.get(level, 0) > self.market.now_ns

    def _built(self, side: Side) -> Decimal:
        """The position that holdings and live openings of a side come to.

        Counted by direction, not net: closing the other direction's slots must not let the account
        pass its bound either.
        """
        held = (slot.position_qty * side.sign for slot in self.book.slots.values())
        return sum((quantity for quantity in held if quantity > 0), ZERO) + sum(
            order.remaining
            for order in self.book.orders.values()
            if order.side is side and order.purpose is Purpose.OPEN and not order.status.terminal
        )

    def _levels(self, side: Side) -> range:
        """Levels of the window that are in use, nearest first: multiples of the spacing."""
        if side is Side.BUY:
            first = self.top_buy // self.spacing * self.spacing
            return range(first, self.top_buy - self.depth(side), -self.spacing)
        first = -(-self.bottom_sell // self.spacing) * self.spacing
        return range(first, self.bottom_sell + self.depth(side), self.spacing)

    def depth(self, side: Side) -> int:
        """Levels of a side's window, those that the spacing skips included."""
        count = self.config.buy_levels if side is Side.BUY else self.config.sell_levels
        return count * self.spacing

    def reach(self, side: Side) -> Decimal:
        """How far from the market a closing order may be, in quote."""
        return self.depth(side) * self.book.identity.interval

    def meant_exit(self, slot: Slot, side: Side) -> Decimal:
        """Where a holding is to be closed by an order of `side`."""
        step = self.book.identity.interval * (1 if side is Side.SELL else -1)
        return slot.exit_price if slot.exit_price is not None else slot.price + step

    def exit_of(self, slot: Slot, side: Side) -> Decimal:
        """A slot's exit price, or the first price beyond it that does not take liquidity."""
        price = self.meant_exit(slot, side)
        tick = self.market.instrument.tick_size
        if side is Side.SELL and price <= self.bid:
            return max(self.ask, self.bid + tick)
        if side is Side.BUY and price >= self.ask:
            return min(self.bid, self.ask - tick)
        return price

    def _quantity(self, price: Decimal) -> Decimal:
        if self.config.quantity is not None:
            return self.config.quantity
        assert self.config.quote_amount is not None
        return self.market.instrument.quantity_for_quote(self.config.quote_amount, price)

    def ready(self, slot: Slot) -> bool:
        """Tell whether a slot may have an order: it has none, and no back-off."""
        return slot.status is SlotStatus.FREE and slot.blocked_until_ns <= self.market.now_ns

    def _allowed(self, place: Place) -> bool:
        """Tell whether the exchange takes the order: dust and too small amounts wait instead."""
        try:
            self.market.instrument.check_order(
                price=place.price, quantity=place.quantity, reduce_only=place.reduce_only
            )
        except InstrumentRuleError:
            return False
        return True


def spacing_of(atr: Decimal | None, config: GridConfig) -> int:
    """Every how many levels is in use: 1, or as many intervals as the ATR asks for."""
    if config.atr is None or atr is None:
        return 1
    aim = divide(atr * config.atr.multiple, config.interval)
    return max(1, min(config.atr.max_spacing, int(aim.to_integral_value(ROUND_HALF_EVEN))))


def _skew(book: GridBook, config: GridConfig) -> tuple[int, int]:
    """Levels by which opening buys and opening sells step back: the side that adds, and only it."""
    if not config.skew_levels or config.max_position is None:
        return 0, 0
    position = book.position
    share = min(Decimal(1), divide(abs(position), config.max_position))
    levels = int((share * config.skew_levels).to_integral_value(ROUND_HALF_EVEN))
    return (levels, 0) if position > 0 else (0, levels)
