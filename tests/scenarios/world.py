"""The whole system in one process and in virtual time, and an exchange that does as it is told.

Every service's own app runs here, around fakes that outlive them: the exchange, the bus, the stores.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal as D
from typing import Any, Final

from opensqt.core.actions import Action, ActionBatch, Cancel, Place
from opensqt.core.errors import Refusal
from opensqt.core.events import PriceChange
from opensqt.core.grid.book import Direction, GridBook, GridIdentity, Slot, SlotStatus, Standing
from opensqt.core.orders import Order, OrderStatus, Purpose, Side
from opensqt.core.risk.exposure import FreshnessBounds
from opensqt.ports import ACTIONS, DependencyError
from opensqt.runtime.bot_config import BotConfig
from opensqt.runtime.crash_points import CrashPoint
from opensqt.runtime.metrics import Metrics
from opensqt.testing.fixed_market_data import FixedMarketData
from opensqt.testing.memory_bus import MemoryBus
from opensqt.testing.memory_gate_store import MemoryGateStore
from opensqt.testing.memory_store import MemoryStore
from opensqt.testing.virtual_time import VirtualClock
from services.execution.app import ExecutionApp
from services.execution.settlement import VolatileSettlement
from services.market_data.app import MarketDataApp
from services.market_data.config import MonitorConfig
from services.risk.app import RiskApp
from services.state.app import StateApp
from services.strategy.app import StrategyApp
from tests.scenarios.processes import OWNERS, Line, Processes
from tests.scenarios.venue import ACCOUNT, BTC, INSTRUMENT, Venue

BOT: Final = "alpha"
FENCE_S: Final = 3 + 1 + 2
"""Placing + clock skew + visibility: from then on an order that is not found was not placed."""
GRID: Final = {
    "direction": "LONG",
    "interval": "100",
    "anchor": "60000",
    "buy_levels": 3,
    "sell_levels": 3,
    "quantity": "0.010",
}


class World:
    """Every part of the system, and what outlives them."""

    def __init__(self, **monitoring: Any) -> None:
        self.clock = VirtualClock()
        self.processes = Processes()
        self.bus = MemoryBus()
        self.store = MemoryStore()
        self.gates = MemoryGateStore()
        self.venue = Venue(self.clock)
        self.market = FixedMarketData(INSTRUMENT)
        self.metrics: dict[str, Metrics] = {}
        self.apps: dict[str, Any] = {}
        self.positions: Any = Line(self.processes, "state", self._ledger, DependencyError)
        self.price = D(60000)
        self.silent = False
        """The market says nothing."""
        self.grid = dict(GRID)
        self._monitoring = {"recheck_interval_s": 5.0, **monitoring}

    @contextlib.asynccontextmanager
    async def running(self, *more: str) -> AsyncIterator["World"]:
        """Everything runs, the strategy only if asked for."""
        market = asyncio.create_task(self._tell_prices())
        try:
            for part in ("state", "risk", "market_data", "execution", *more):
                await self.start(part)
            await asyncio.sleep(0.5)
            yield self
        finally:
            for part in tuple(self.apps):
                await self.kill(part)
            market.cancel()
            self.processes.close()

    # --- processes -----------------------------------------------------------------------------

    async def start(self, part: str) -> None:
        metrics = self.metrics[part] = Metrics()
        app = self.apps[part] = getattr(self, f"_{part}")(metrics)

        async def live() -> None:
            prepare = getattr(app, "prepare", None)
            if prepare is not None:
                await prepare()
            await app.run(asyncio.Event())

        self.processes.begin(part, live())
        await asyncio.sleep(0.1)

    async def kill(self, part: str) -> None:
        self.apps.pop(part, None)
        await self.processes.kill(part)

    async def restart(self, part: str, *, down_s: float = 0.5) -> None:
        await self.kill(part)
        await asyncio.sleep(down_s)
        await self.start(part)

    @staticmethod
    def owner(point: CrashPoint) -> str:
        return OWNERS[point.partition(".")[0]]

    @contextlib.asynccontextmanager
    async def crash_at(self, point: CrashPoint) -> AsyncIterator[None]:
        """What is done inside makes a part die at `point`; afterwards it is started again."""
        reached = self.processes.die_at(point)
        yield
        async with asyncio.timeout(30):
            await reached.wait()
        await self.restart(self.owner(point))

    # --- the strategy, as a test plays it ------------------------------------------------------

    async def register(self, bot_id: str = BOT) -> None:
        """Register a grid, and wait until it may trade."""
        await self.positions.register_grid(
            GridIdentity(
                bot_id=bot_id,
                account=ACCOUNT,
                symbol=BTC,
                quote="USDT",
                direction=Direction.LONG,
                anchor=D(60000),
                interval=D(100),
                epoch=0,
            )
        )
        await self.until_trading(bot_id)

    async def until_trading(self, bot_id: str = BOT) -> None:
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(Refusal):
                    if (await self.book(bot_id)).standing is Standing.TRADING:
                        return
                await asyncio.sleep(0.1)

    async def decide(self, *actions: Action) -> ActionBatch:
        """Publish a decision on the book as it stands."""
        book = await self.book()
        batch = ActionBatch(
            bot_id=BOT,
            epoch=book.identity.epoch,
            state_revision=book.revision,
            actions=actions,
            price_time_ns=self.clock.now_ns(),
        )
        await self.bus.publish(ACTIONS, ACCOUNT, batch)
        return batch

    async def rest(self, *prices: int) -> list[Order]:
        """Have opening orders resting on the exchange, and in the book."""
        await self.decide(*(buy(price) for price in prices))
        await asyncio.sleep(0.2)
        orders = [(await self.slot(price)).order for price in prices]
        assert all(order is not None and order.status is OrderStatus.NEW for order in orders)
        return [order for order in orders if order is not None]

    async def hold(self, *prices: int) -> None:
        """Have opening orders filled."""
        await self.rest(*prices)
        for price in sorted(prices, reverse=True):
            self.venue.fill(price)
        await asyncio.sleep(0.2)
        assert all([(await self.slot(price)).position_qty == D("0.010") for price in prices])

    # --- what is seen --------------------------------------------------------------------------

    async def book(self, bot_id: str = BOT) -> GridBook:
        return await self.store.load(bot_id)

    async def slot(self, price: int) -> Slot:
        return (await self.book()).slots[D(price)]

    async def orders(self) -> list[Order]:
        """Every order that the ledger has ever made."""
        return list(
            await self.store.orders(
                BOT, live_only=False, unsettled_only=False, batch_id="", limit=10**6, before=""
            )
        )

    def on_exchange(self) -> list[str]:
        """Client order ids of every order that the exchange ever took."""
        return [order.client_order_id for order in self.venue.account.orders.values()]

    def open_on_exchange(self) -> set[str]:
        return {order.client_order_id for order in self.venue.account.open_orders.values()}

    def count(self, part: str, name: str, **labels: str) -> float:
        value = self.metrics[part].registry.get_sample_value(f"opensqt_{name}", labels)
        return value or 0.0

    async def agree(self) -> None:
        """What every story must end in: ledger and exchange say the same, and nothing twice."""
        book, account = await self.book(), self.venue.account
        ours = {order.client_oid: order for order in await self.orders()}
        theirs = [o for o in account.orders.values() if o.client_order_id in ours]
        twice = [oid for oid, times in Counter(self.on_exchange()).items() if times > 1]
        assert not twice, "an intent became two orders"
        resent = [oid for oid, n in Counter(o.client_oid for o in self.venue.sent).items() if n > 1]
        assert not resent, "a request was sent again"
        assert {o.client_oid for o in book.live_orders()} == {
            o.client_order_id for o in theirs if o.open
        }
        assert {oid: o.filled_quantity for oid, o in ours.items() if o.filled_quantity} == {
            o.client_order_id: o.executed for o in theirs if o.executed
        }
        assert book.position == sum((o.executed * o.side.sign for o in theirs), D(0))
        rows = await self.store.executions(BOT, limit=10**6, before=0)
        counted = Counter(execution.execution_id for _, execution in rows)
        fills = {
            str(f.trade_id) for f in account.fills if f.order_id in {o.order_id for o in theirs}
        }
        assert counted == Counter(fills)
        assert all(slot.status is not SlotStatus.PENDING for slot in book.slots.values())

    # --- the parts -----------------------------------------------------------------------------

    def _ledger(self) -> Any:
        app = self.apps.get("state")
        return None if app is None else app.ledger

    def _state(self, metrics: Metrics) -> StateApp:
        return StateApp(store=self.store, bus=self.bus, clock=self.clock, metrics=metrics)

    def _risk(self, metrics: Metrics) -> RiskApp:
        return RiskApp(
            account=ACCOUNT, store=self.gates, bus=self.bus, clock=self.clock, metrics=metrics
        )

    def _market_data(self, metrics: Metrics) -> MarketDataApp:
        return MarketDataApp(
            account=ACCOUNT,
            symbols=(BTC,),
            feed=self.venue,
            positions=self.positions,
            bus=self.bus,
            clock=self.clock,
            metrics=metrics,
            config=MonitorConfig(**self._monitoring),
        )

    def _execution(self, metrics: Metrics) -> ExecutionApp:
        return ExecutionApp(
            account=ACCOUNT,
            venue=self.venue,
            positions=self.positions,
            bus=self.bus,
            clock=self.clock,
            settlement=VolatileSettlement,
            metrics=metrics,
        )

    def _strategy(self, metrics: Metrics) -> StrategyApp:
        config = BotConfig.model_validate(
            {"bot_id": BOT, "account": ACCOUNT, "symbol": BTC, "grid": self.grid}
        )
        return StrategyApp(
            (config,),
            bounds=FreshnessBounds(),
            positions=self.positions,
            market_data=self.market,
            bus=self.bus,
            clock=self.clock,
            metrics=metrics,
        )

    async def _tell_prices(self) -> None:
        """The market says its price twice a second."""
        for sequence in range(10**9):
            now_ns = self.clock.now_ns()
            bid, ask = self.price - D("0.1"), self.price
            event = PriceChange(
                symbol=BTC,
                last=self.price,
                bid=bid,
                ask=ask,
                exchange_time_ns=now_ns,
                receive_time_ns=now_ns,
                sequence=sequence,
            )
            self.market.prices[BTC] = event
            self.venue.quote(BTC, bid, ask)
            if not self.silent:
                self.venue.tell_market(BTC, event)
            await asyncio.sleep(0.5)


def buy(price: int, quantity: str = "0.010") -> Place:
    """Open at a slot's own price."""
    return Place(
        slot_price=D(price),
        side=Side.BUY,
        purpose=Purpose.OPEN,
        price=D(price),
        quantity=D(quantity),
        reduce_only=False,
        post_only=True,
        exit_price=D(price + 100),
    )


def sell(price: int, quantity: str = "0.010") -> Place:
    """Close what the slot at `price` holds."""
    return Place(
        slot_price=D(price),
        side=Side.SELL,
        purpose=Purpose.CLOSE,
        price=D(price + 100),
        quantity=D(quantity),
        reduce_only=True,
        post_only=True,
    )


def cancel(order: Order) -> Cancel:
    return Cancel(slot_price=order.slot_price, client_oid=order.client_oid)
