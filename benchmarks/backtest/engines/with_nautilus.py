"""The grid in NautilusTrader, with everything off that the comparison does not need.

Its trades carry no aggressor: with one, it moves only the best price of that side, and an order of
the other side fills with the next trade of the other kind. The strategy returns at once while the
price stays between two levels.
"""

from decimal import Decimal
from types import SimpleNamespace

import numpy as np
from common import Stopwatch, read_case, write_result
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.common.config import LoggingConfig
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import (
    AccountType,
    AggressorSide,
    OmsType,
    OrderSide,
    TimeInForce,
)
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TradeId, Venue
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.model.orders import LimitOrder
from nautilus_trader.risk.config import RiskEngineConfig
from nautilus_trader.trading.strategy import Strategy

VENUE = Venue("SIM")
INSTRUMENT = InstrumentId(Symbol("BTCUSDT-PERP"), VENUE)


class Grid(Strategy):
    def __init__(self, grid: SimpleNamespace, instrument: CryptoPerpetual) -> None:
        super().__init__()
        self.grid, self.instrument = grid, instrument
        self.tick = Decimal(grid.tick)
        self.quantity = instrument.make_qty(grid.quantity * Decimal(grid.step))
        self.per_tick = Price(self.tick, instrument.price_precision).raw
        self.known = 0
        self.low = self.high = 0  # raw prices between which nothing is to be done
        self.level_of = {}  # by client order id
        self.opening = {}  # orders by level
        self.closing = {}
        self.fills = []

    def on_start(self) -> None:
        self.subscribe_trade_ticks(INSTRUMENT)

    def on_trade_tick(self, tick: TradeTick) -> None:
        raw = tick.price.raw
        if not self.low < raw < self.high:
            self.follow(raw)
        self.known = raw

    def on_order_filled(self, event: OrderFilled) -> None:
        price = round(event.last_px.as_decimal() / self.tick)
        quantity = round(event.last_qty.as_decimal() / Decimal(self.grid.step))
        sign = 1 if event.order_side == OrderSide.BUY else -1
        self.fills.append((event.ts_event, price, sign, quantity))
        if not self.cache.order(event.client_order_id).is_closed:
            return
        level = self.level_of.pop(event.client_order_id)
        if event.order_side == OrderSide.BUY:
            del self.opening[level]
            self.closing[level] = self.place(
                OrderSide.SELL,
                level,
                max(price + self.grid.interval, self.known // self.per_tick + 1),
            )
        else:
            del self.closing[level]
            self.low = self.high = 0  # the slot is free again

    def follow(self, raw: int) -> None:
        grid = self.grid
        top = (raw // self.per_tick - grid.anchor) // grid.interval
        self.low = (grid.anchor + top * grid.interval) * self.per_tick
        self.high = self.low + grid.interval * self.per_tick
        for level in range(top, top - grid.levels, -1):
            if level not in self.opening and level not in self.closing:
                self.opening[level] = self.place(
                    OrderSide.BUY, level, grid.anchor + level * grid.interval
                )
        for level in [level for level in self.opening if level <= top - grid.levels - grid.slack]:
            order = self.opening.pop(level)
            del self.level_of[order.client_order_id]
            self.cancel_order(order)

    def place(self, side: OrderSide, level: int, ticks: int) -> LimitOrder:
        order = self.order_factory.limit(
            INSTRUMENT,
            side,
            self.quantity,
            self.instrument.make_price(ticks * self.tick),
            time_in_force=TimeInForce.GTC,
            post_only=True,
        )
        self.level_of[order.client_order_id] = level
        self.submit_order(order)
        return order


def make_instrument(grid: SimpleNamespace) -> CryptoPerpetual:
    tick, step = Decimal(grid.tick), Decimal(grid.step)
    digits, size_digits = -tick.as_tuple().exponent, -step.as_tuple().exponent
    return CryptoPerpetual(
        instrument_id=INSTRUMENT,
        raw_symbol=Symbol("BTCUSDT"),
        base_currency=BTC,
        quote_currency=USDT,
        settlement_currency=USDT,
        is_inverse=False,
        price_precision=digits,
        size_precision=size_digits,
        price_increment=Price(tick, digits),
        size_increment=Quantity(step, size_digits),
        ts_event=0,
        ts_init=0,
        margin_init=Decimal("0.05"),
        margin_maint=Decimal("0.025"),
        maker_fee=Decimal(grid.maker_fee),
        taker_fee=Decimal(grid.taker_fee),
    )


def make_ticks(ticks: SimpleNamespace, grid: SimpleNamespace) -> list[TradeTick]:
    tick, step = Decimal(grid.tick), Decimal(grid.step)
    digits, size_digits = -tick.as_tuple().exponent, -step.as_tuple().exponent
    per_tick, per_step = Price(tick, digits).raw, Quantity(step, size_digits).raw
    none, made = AggressorSide.NO_AGGRESSOR, []
    columns = (ticks.time_ns, ticks.price, ticks.quantity)
    rows = zip(*(np.asarray(column).tolist() for column in columns), strict=True)
    for number, (at, price, quantity) in enumerate(rows):
        made.append(
            TradeTick(
                INSTRUMENT,
                Price.from_raw(price * per_tick, digits),
                Quantity.from_raw(quantity * per_step, size_digits),
                none,
                TradeId(str(number)),
                at,
                at,
            )
        )
    return made


def main() -> None:
    watch = Stopwatch()
    ticks, grid = read_case()
    instrument = make_instrument(grid)
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True),
            risk_engine=RiskEngineConfig(bypass=True),
            run_analysis=False,
        )
    )
    engine.add_venue(
        venue=VENUE,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        starting_balances=[Money(int(grid.deposit), USDT)],
        base_currency=USDT,
        default_leverage=Decimal(20),
        trade_execution=True,
    )
    engine.add_instrument(instrument)
    engine.add_data(make_ticks(ticks, grid))
    strategy = Grid(grid, instrument)
    engine.add_strategy(strategy)
    loaded_s = watch.lap()
    engine.run()
    run_s = watch.lap()
    write_result(strategy.fills, load_s=loaded_s, run_s=run_s, ticks=len(ticks.price))


main()
