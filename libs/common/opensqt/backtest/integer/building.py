"""Building the world that a case begins with, out of a `Scale` and a tape."""

from decimal import Decimal
from math import lcm
from typing import Any, Final

import numpy as np

from opensqt.backtest.case import Latency
from opensqt.backtest.columns import Ints
from opensqt.backtest.exact.minutes import MINUTE_NS, closed_minutes
from opensqt.backtest.integer import records
from opensqt.backtest.integer.ordinary import TOO_LARGE_REASON, NotOrdinary
from opensqt.backtest.integer.records import FAR, KINDS, LARGEST, NONE
from opensqt.backtest.integer.scale import Scale, counted
from opensqt.backtest.tape import Tape
from opensqt.core.exchange.rules import Touch
from opensqt.core.grid.atr import Atr
from opensqt.core.grid.book import Direction
from opensqt.core.grid.windows import spacing_of
from opensqt.core.risk.openings import PAUSE_FIRST_NS

LEVELS_MAX: Final = 4_000_000
"""Levels between the lowest and the highest price that a grid may come to."""
TAKES_MAX: Final = 100_000
"""Ticks that an order may take from."""
ROWS: Final = 1_024
"""Of tables that grow."""
TOUCHES: Final = {
    Touch.QUEUE: records.QUEUE,
    Touch.NEVER: records.NEVER,
    Touch.AT_ONCE: records.AT_ONCE,
}


class Tables:
    """The tables of a world, in memory, and the world's record, which says where they are.

    Args:
        scale: The grid.
        tape: Its market.
        latency: How long things take on the way.
        end_ns: When the data ends.

    Raises:
        NotOrdinary: A number is between two units, or larger than 64 bits compute with.
    """

    def __init__(self, scale: Scale, tape: Tape, latency: Latency, *, end_ns: int) -> None:
        trades, fundings = tape.trades, tape.fundings
        base, slots = _slots(scale, tape)
        live = min(scale.grid.max_open_orders, len(slots))  # a slot has one order at most
        self.base = base
        self.world = np.zeros(1, records.WORLD)
        self._tables: dict[str, Any] = {}
        self._put(
            slots=slots,
            post=np.zeros(KINDS, records.POST),
            orders=np.empty(ROWS, records.ORDER),
            fills=np.empty(ROWS, records.FILL),
            letters=np.empty((KINDS, ROWS), records.LETTER),
            alarms=np.empty(ROWS, records.ALARM),
            wishes=np.empty(ROWS, records.WISH),
            payments=np.empty(len(fundings), records.PAYMENT),
            **{
                name: np.empty(live + 1, np.int64)
                for name in ("bids", "asks", "openings", "leaving")
            },
            **{name: np.empty(len(slots) + 1, np.int64) for name in ("waiting", "blocked")},
            times=np.ascontiguousarray(trades.time_ns),
            rows=np.ascontiguousarray(trades.row),
            prices=np.ascontiguousarray(trades.price),
            quantities=np.ascontiguousarray(trades.quantity),
            makers=np.ascontiguousarray(trades.buyer_is_maker).view(np.uint8),
            funding_times=np.ascontiguousarray(fundings.time_ns),
            funding_rates=np.ascontiguousarray(fundings.rate),
            funding_places=np.searchsorted(trades.row, fundings.row).astype(np.int64),
        )
        world = self.world[0]
        world["trades"], world["fundings"] = len(trades), len(fundings)
        self._put_candles(scale, tape, latency, end_ns=end_ns)
        world["bot"]["spacing"] = 1
        for name, number in _grid(scale, tape, latency, base=base, end_ns=end_ns).items():
            world["grid"][name] = number
        world["grid"]["levels"] = len(slots)
        world["grid"]["rows_max"] = 2 * live + _takes_max(scale, tape, slots) + 8
        bot, floor = world["bot"], world["floor"]
        bot["low"], bot["high"], bot["wakes_ns"] = 1, 0, FAR
        bot["pause_length"] = bot["pause_next"] = PAUSE_FIRST_NS
        floor["taken_at"] = NONE
        bot["oldest"] = bot["newest"] = NONE
        bot["farthest_buy"], bot["farthest_sell"] = FAR, -FAR
        floor["cash"], floor["lost_above"], floor["high"] = scale.deposit, FAR, FAR

    def _put_candles(self, scale: Scale, tape: Tape, latency: Latency, *, end_ns: int) -> None:
        """The closed candles, as far as they concern the bot: what spacing follows from each."""
        closed: list[int] = []
        spacings: list[int] = []
        if scale.grid.atr is not None:
            atr = Atr(period=scale.grid.atr.period)
            for candle in closed_minutes(tape, until_ns=end_ns):
                atr = atr.after(candle)
                closed.append(candle.open_time_ns + MINUTE_NS)
                spacings.append(spacing_of(atr.value, scale.grid))
        times = np.array(closed, dtype=np.int64)
        before = np.searchsorted(tape.trades.time_ns, times)
        before += np.searchsorted(tape.fundings.time_ns, times)
        self._put(
            candle_times=times + latency.market_ns,
            candle_places=before.astype(np.int64),
            candle_spacings=np.array(spacings, dtype=np.int64),
        )
        self.world[0]["candles"] = len(times)

    @property
    def address(self) -> int:
        """Where the world is in memory."""
        return self.world.ctypes.data

    def rows(self, name: str, count: int) -> Any:
        """The first rows of a table."""
        return self._tables[name][:count]

    def grow(self) -> None:
        """Make room in every table that could soon be full."""
        world = self.world[0]
        step = int(world["grid"]["rows_max"])
        wishes = int(world["bot"]["waiting"] + world["grid"]["buys"] + world["grid"]["sells"])
        for name, used in (
            ("orders", int(world["bot"]["orders"])),
            ("fills", int(world["floor"]["fills"])),
            ("alarms", int(world["floor"]["alarms"])),
            ("wishes", wishes),
        ):
            table = self._tables[name]
            if used + step > len(table):
                larger = np.empty(2 * (len(table) + step), table.dtype)
                larger[:used] = table[:used]
                self._put(**{name: larger})
        self._sort_mail(step)

    def _sort_mail(self, step: int) -> None:
        """Move the letters that have not come yet to the front."""
        letters, post = self._tables["letters"], self._tables["post"]
        counts = post["end"] - post["first"]
        size = letters.shape[1]
        if 2 * int(counts.max()) + 2 * step > size:
            size = 2 * (size + step)
        larger = np.empty((KINDS, size), letters.dtype)
        for kind, count in enumerate(counts.tolist()):
            first = int(post["first"][kind])
            larger[kind, :count] = letters[kind, first : first + count]
        post["first"], post["end"] = 0, counts
        self._put(letters=larger)

    def _put(self, **tables: Any) -> None:
        world = self.world[0]
        for name, table in tables.items():
            self._tables[name] = table
            world[name] = table.ctypes.data
            if f"{name}_room" in world.dtype.names:
                world[f"{name}_room"] = table.shape[-1]


def _grid(scale: Scale, tape: Tape, latency: Latency, *, base: int, end_ns: int) -> dict[str, int]:
    grid, rules, instrument = scale.grid, scale.rules, scale.instrument
    direction = scale.identity.direction
    sizes = (instrument.step_size, tape.quantity_unit, rules.assumed_depth)
    finest = Decimal((0, (1,), min(int(size.as_tuple().exponent) for size in sizes)))
    step_size, unit_size, depth = (counted(size, finest, "size") for size in sizes)
    largest = int(tape.trades.quantity.max()) * unit_size
    maker, maker_whole = rules.fees.maker.as_integer_ratio()
    taker, taker_whole = rules.fees.taker.as_integer_ratio()
    fee_whole = lcm(maker_whole, taker_whole)
    upkeep, upkeep_whole = rules.maintenance_rate.as_integer_ratio()
    band, band_whole = rules.price_band.as_integer_ratio()
    turnover_max = (LARGEST - abs(scale.deposit)) // scale.lot_money
    numbers = {
        "anchor": scale.anchor,
        "interval": scale.interval,
        "base": base,
        "buys": grid.buy_levels if direction is not Direction.SHORT else 0,
        "sells": grid.sell_levels if direction is not Direction.LONG else 0,
        "slack": grid.slack_levels,
        "cap": grid.max_open_orders,
        "max_actions": grid.max_actions,
        "bound": scale.max_position or 0,
        "skew": grid.skew_levels,
        "buy_reach": grid.buy_levels * scale.interval,
        "sell_reach": grid.sell_levels * scale.interval,
        "least": scale.least,
        "most": scale.most,
        "least_notional": scale.least_notional if scale.neutral else 0,
        "post_only": int(grid.post_only),
        "neutral": int(scale.neutral),
        "touch": TOUCHES[rules.touch],
        "bounded": int(rules.bounded),
        "step_size": step_size,
        "unit_size": unit_size,
        "depth": depth,
        "leverage": scale.leverage,
        "lot_money": scale.lot_money,
        "booked_money": scale.booked_money,
        "maker_fee": maker * (fee_whole // maker_whole),
        "taker_fee": taker * (fee_whole // taker_whole),
        "fee_whole": fee_whole,
        "upkeep": upkeep,
        "upkeep_whole": upkeep_whole,
        "band": band,
        "band_whole": band_whole,
        "orders_max": rules.max_open_orders,
        "turnover_max": turnover_max,
        "market_ns": latency.market_ns,
        "order_ns": latency.order_ns,
        "report_ns": latency.report_ns,
        "end_ns": end_ns,
    }
    wide = (*map(abs, numbers.values()), largest, fee_whole * scale.booked_money)
    if max(wide) >= LARGEST or turnover_max <= 0:
        raise NotOrdinary(TOO_LARGE_REASON)
    return numbers


def _takes_max(scale: Scale, tape: Tape, slots: Any) -> int:
    """From how many ticks an order may take at most, each of which is a fill."""
    if scale.grid.post_only:
        return 0
    each = max(int(scale.rules.assumed_depth // scale.instrument.step_size), 1)
    by_size = int(slots["quantity"].max()) // each
    by_price = int(int(tape.trades.price.max()) * scale.rules.price_band)
    takes = min(by_size, by_price) + 2
    if takes > TAKES_MAX:
        raise NotOrdinary(f"orders that take from up to {takes} ticks; allowed: {TAKES_MAX}")
    return takes


def _slots(scale: Scale, tape: Tape) -> tuple[int, Any]:
    """The first level that a window may cover on this tape, and it and all above as slots."""
    grid, interval = scale.grid, scale.interval
    lowest = (int(tape.trades.price.min()) - 1 - scale.anchor) // interval
    highest = (int(tape.trades.price.max()) - scale.anchor) // interval + 1
    spacing = 1 if grid.atr is None else grid.atr.max_spacing
    base = lowest - (grid.buy_levels + 1) * spacing - grid.skew_levels
    count = highest + (grid.sell_levels + 1) * spacing + grid.skew_levels + 1 - base
    if count > LEVELS_MAX:
        raise NotOrdinary(f"{count} levels, more than {LEVELS_MAX}")
    slots = np.zeros(count, records.SLOT)
    slots["order"] = slots["birth"] = NONE
    price = scale.anchor + (base + np.arange(count)) * interval
    quantity = _quantities(scale, price)
    if int(quantity.max()) * int(price.max()) >= LARGEST:
        raise NotOrdinary(TOO_LARGE_REASON)
    enough = (quantity >= scale.least) & (quantity <= scale.most)
    slots["quantity"] = quantity
    slots["allowed"] = enough & (price * quantity >= scale.least_notional)
    return base, slots


def _lists(size: int, *names: str) -> dict[str, Ints]:
    return {name: np.empty(size, np.int64) for name in names}


def _quantities(scale: Scale, price: Ints) -> Ints:
    """How many steps an opening order has at each price; 0 where there is no price."""
    instrument, amount = scale.instrument, scale.grid.quote_amount
    if amount is None:
        assert scale.grid.quantity is not None
        quantity = counted(scale.grid.quantity, instrument.step_size, "quantity")
        return np.where(price > 0, quantity, 0)
    lot = instrument.tick_size * instrument.step_size
    top, bottom = (amount / lot).as_integer_ratio()
    if top >= LARGEST or bottom * int(price.max()) >= LARGEST:
        raise NotOrdinary(TOO_LARGE_REASON)
    found: Ints = np.where(price > 0, top // (bottom * np.maximum(price, 1)), 0)
    return np.minimum(found, int(instrument.max_quantity // instrument.step_size))
