"""A ledger that was lost is rebuilt from the exchange alone, by comparing and nothing else."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from decimal import Decimal as D
from typing import Any

import pytest

from opensqt.core.actions import ActionBatch, Place
from opensqt.core.events import Forced, OrderUpdate
from opensqt.core.exchange.orders import OrderRequest, OrderType
from opensqt.core.grid.book import Direction, GridBook, GridIdentity, SlotStatus, Standing
from opensqt.core.grid.results import Applied
from opensqt.core.orders import Order, Purpose, Side
from opensqt.runtime.metrics import Metrics
from opensqt.testing.memory_store import MemoryStore
from services.state.intake import OrderIntake
from services.state.ledger import Ledger
from tests.unit.market_data.world import BTC, World

pytestmark = pytest.mark.invariant(30)


class Losable:
    """Whichever ledger there is now."""

    def __init__(self) -> None:
        self.ledger: Any = None
        self.applies = asyncio.Event()
        """Cleared, order updates wait."""
        self.applies.set()

    async def apply(self, update: OrderUpdate) -> Applied:
        await self.applies.wait()
        applied: Applied = await self.ledger.apply(update)
        return applied

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ledger, name)


class LostWorld(World):
    """A world whose ledger is the state service's own, and can be lost with its volume."""

    def __init__(self) -> None:
        super().__init__()
        self.positions: Any = Losable()
        self.lose_everything()

    def lose_everything(self) -> None:
        """The volume is gone, with the state service."""
        self.store = MemoryStore()
        self.positions.ledger = Ledger(store=self.store, clock=self.clock, metrics=Metrics())

    async def take_in(self) -> None:
        while True:
            intake = OrderIntake(ledger=self.positions, bus=self.bus, metrics=Metrics())
            await intake.run()

    async def register(self, bot_id: str = "alpha", **_: Any) -> None:
        await self.positions.register_grid(
            GridIdentity(
                bot_id=bot_id,
                account="main",
                symbol=BTC,
                quote="USDT",
                direction=Direction.LONG,
                anchor=D(60000),
                interval=D(100),
                epoch=0,
            )
        )

    async def close(self, slot: int) -> Order:
        """Place the closing order of a slot."""
        grid = await self.grid()
        batch = ActionBatch(
            bot_id="alpha",
            epoch=grid.identity.epoch,
            state_revision=grid.revision,
            actions=(
                Place(
                    slot_price=D(slot),
                    side=Side.SELL,
                    purpose=Purpose.CLOSE,
                    price=D(slot + 100),
                    quantity=grid.slots[D(slot)].position_qty,
                    reduce_only=True,
                    post_only=True,
                ),
            ),
            price_time_ns=self.clock.now_ns(),
        )
        deadline_ns = self.clock.now_ns() + 3 * 10**9
        reservation = await self.positions.reserve(batch, deadline_ns=deadline_ns)
        [order] = reservation.to_place
        await self.positions.record("alpha", (await self.venue.place(order),))
        return order

    async def trading(self, bot_id: str = "alpha") -> GridBook:
        """Wait until a bot may trade."""
        async with asyncio.timeout(120):
            while (await self.grid(bot_id)).standing is Standing.RECONCILING:
                await asyncio.sleep(0.05)
        return await self.grid(bot_id)

    def falls_to(self, price: int, quantity: str = "1") -> None:
        """The market falls to a price."""
        self.venue.quote(BTC, D(price), D(price) + D("0.1"))
        self.venue.trade(BTC, D(price), D(quantity))

    def rises_to(self, price: int) -> None:
        """The market rises through a price."""
        self.venue.quote(BTC, D(price), D(price) + D("0.1"))
        self.venue.trade(BTC, D(price) + D("0.1"), D(1))


@pytest.fixture
async def world() -> LostWorld:
    return LostWorld()


@contextlib.asynccontextmanager
async def lived(world: LostWorld) -> AsyncIterator[None]:
    """A grid that has opened, closed, half filled, cancelled, and holds something."""
    await world.register()
    async with world.running(recheck_interval_s=600):
        await world.trading()
        await world.place(59900, 59800, 59700, 59600)
        await asyncio.sleep(1)
        world.falls_to(59790)  # 59900 and 59800
        await asyncio.sleep(1)
        await world.close(59900)
        await asyncio.sleep(1)
        world.rises_to(60010)
        await asyncio.sleep(1)
        world.falls_to(59690, "0.004")  # a part of 59700
        await asyncio.sleep(1)
        [canceled] = [o for o in (await world.grid()).live_orders() if o.slot_price == D(59600)]
        await world.venue.cancel(canceled)
        await world.close(59800)
        await asyncio.sleep(1)
        await world.agree()
        yield


def bound(book: GridBook) -> dict[int, tuple[Any, ...]]:
    """What a book says of each slot that has something."""
    return {
        int(price): (
            slot.status,
            slot.order and slot.order.client_oid,
            slot.position_qty,
            slot.entry_cost,
            slot.exit_price,
        )
        for price, slot in sorted(book.slots.items())
        if slot.order or slot.position_qty
    }


async def test_slots_orders_fills_and_profit_come_back(world: LostWorld) -> None:
    async with lived(world):
        before = await world.grid()
        await asyncio.sleep(6 * 3600)
        world.lose_everything()
        await world.register()
        after = await world.trading()
    assert after.standing is Standing.TRADING
    assert bound(after) == bound(before)
    assert set(bound(after)) == {59800, 59700}
    assert after.slots[D(59700)].status is SlotStatus.LOCKED
    assert after.identity.epoch > before.identity.epoch
    assert after.totals.realised_pnl == before.totals.realised_pnl
    assert after.totals.fees == before.totals.fees
    assert after.totals.fills == before.totals.fills
    await world.agree()


async def test_trading_goes_on_under_new_ids(world: LostWorld) -> None:
    async with lived(world):
        world.lose_everything()
        await asyncio.sleep(1)  # ids name the second of the ledger's beginning
        await world.register()
        await world.trading()
        old = {
            order.client_order_id for order in world.venue.exchange.accounts["main"].orders.values()
        }
        fresh = await world.place(59600, 59500)
        assert not old & {order.client_oid for order in fresh}
        world.falls_to(59590)
        await asyncio.sleep(1)
        world.rises_to(60010)
        await asyncio.sleep(5)
        await world.agree()
        assert (await world.grid()).position == D("0.020")


async def test_the_ledger_is_lost_while_nobody_looks(world: LostWorld) -> None:
    async with lived(world):
        pass
    world.falls_to(59690, "0.003")
    world.lose_everything()
    await asyncio.sleep(3600)
    await world.register()
    async with world.running():
        await world.trading()
        await world.agree()


async def test_fills_while_it_is_rebuilt_are_counted_once(world: LostWorld) -> None:
    async with lived(world):
        world.lose_everything()
        await world.register()
        for _ in range(6):
            world.falls_to(59690, "0.001")
            await asyncio.sleep(0.1)
        await world.trading()
        await asyncio.sleep(5)
        await world.agree()


async def test_what_was_told_is_not_yet_known(world: LostWorld) -> None:
    async with lived(world):
        world.lose_everything()
        world.positions.applies.clear()
        await world.register()
        await asyncio.sleep(60)
        assert (await world.grid()).standing is Standing.RECONCILING
        world.positions.applies.set()
        assert (await world.trading()).standing is Standing.TRADING
        await world.agree()


async def test_losing_it_again_and_again_loses_nothing(world: LostWorld) -> None:
    async with lived(world):
        for _ in range(5):
            world.lose_everything()
            await asyncio.sleep(1)
            await world.register()
            await world.trading()
            await world.agree()


async def test_a_ledger_that_is_lost_for_the_fifth_time_is_back_as_soon_as_for_the_first(
    world: LostWorld,
) -> None:
    took_s: list[float] = []
    async with lived(world):
        for _ in range(5):
            world.lose_everything()
            await asyncio.sleep(1)
            await world.register()
            registered_ns = world.clock.now_ns()
            await world.trading()
            took_s.append((world.clock.now_ns() - registered_ns) / 1e9)
    assert max(took_s) < 2, took_s


async def test_looks_ups_do_not_grow_with_the_number_of_executions(world: LostWorld) -> None:
    await world.register()
    async with world.running(recheck_interval_s=600):
        await world.trading()
        for _ in range(30):
            await world.place(59900)
            world.falls_to(59890)
            await asyncio.sleep(0.2)
            await world.close(59900)
            world.rises_to(60010)
            await asyncio.sleep(0.2)
        world.lose_everything()
        await world.register()
        world.venue.requests.clear()
        await world.trading()
        await world.agree()
        assert not [r for r in world.venue.requests if r.startswith("find")]


async def test_another_ledgers_orders_halt_the_bot(world: LostWorld) -> None:
    await world.register()
    async with world.running():
        await world.trading()
        first = world.store
        await world.place(59900)
        await asyncio.sleep(5)
        # A copy of the ledger as it was registered, without what it has done since.
        world.lose_everything()
        identity = (await first.load("alpha")).identity
        await world.store.register(identity, now_ns=world.clock.now_ns())
        await asyncio.sleep(5)
        book = await world.grid()
        assert book.standing is Standing.HALTED
        assert "never made" in book.standing_reason
        # A person who resumes it is taken at their word; the order stays put aside.
        await world.positions.resume_grid("alpha", by="test")
        await asyncio.sleep(120)
        assert (await world.grid()).standing is Standing.TRADING
        assert len(world.venue.exchange.accounts["main"].open_orders) == 1


async def test_a_liquidation_of_the_past_is_taken_over_once(world: LostWorld) -> None:
    async with lived(world):
        world.rises_to(60010)
        world.venue.force_close(BTC, Forced.LIQUIDATION, D("0.006"))
        await asyncio.sleep(2)
        before = await world.grid()
        assert before.standing is Standing.HALTED
        await world.agree_on_position()
        world.lose_everything()
        await world.register()
        after = await world.trading()
        assert after.standing is Standing.HALTED
        await asyncio.sleep(10)
        await world.agree_on_position()
        await world.positions.resume_grid("alpha", by="test")
        assert (await world.trading()).standing is Standing.TRADING
        await asyncio.sleep(600)
        assert (await world.grid()).standing is Standing.TRADING
        await world.agree_on_position()


async def test_a_liquidation_from_before_the_bot_is_none_of_its_business(world: LostWorld) -> None:
    request = OrderRequest(
        symbol=BTC,
        client_order_id="by-hand",
        side=Side.BUY,
        type=OrderType.MARKET,
        quantity=D("0.5"),
    )
    world.venue.exchange.place("main", request, now_ns=world.clock.now_ns())
    world.falls_to(60000, "0.001")
    world.venue.force_close(BTC, Forced.LIQUIDATION)
    await asyncio.sleep(60)
    await world.register()
    async with world.running():
        assert (await world.trading()).standing is Standing.TRADING
        await asyncio.sleep(60)
        assert (await world.grid()).standing is Standing.TRADING


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_has_happened_it_comes_back(world: LostWorld, seed: int) -> None:
    rng = random.Random(seed)
    await world.register()
    price = 60000
    async with world.running(recheck_interval_s=5):
        await world.trading()
        for _ in range(120):
            await asyncio.sleep(rng.random())
            book = await world.grid()
            match rng.randrange(9):
                case 0 | 1 | 2:
                    free = [
                        level
                        for level in range(59000, price, 100)
                        if level not in {int(p) for p, slot in book.slots.items() if slot.order}
                        and not (D(level) in book.slots and book.slots[D(level)].position_qty)
                    ]
                    if free:
                        await world.place(rng.choice(free))
                case 3 | 4:
                    price = rng.randrange(59100, 60000)
                    world.venue.quote(BTC, D(price), D(price) + D("0.1"))
                    world.venue.trade(BTC, D(price), D(rng.randrange(1, 30)) / 1000)
                case 5 | 6:
                    held = [
                        int(level)
                        for level, slot in book.slots.items()
                        if slot.position_qty and not slot.order and level + 100 > price
                    ]
                    if held:
                        await world.close(rng.choice(held))
                case 7:
                    price = rng.randrange(59900, 60200)
                    world.rises_to(price)
                case 8:
                    orders = book.live_orders()
                    if orders:
                        await world.venue.cancel(rng.choice(orders))
        await asyncio.sleep(20)
        await world.agree()
        before = await world.grid()
        world.lose_everything()
        await world.register()
        after = await world.trading()
        assert after.standing is Standing.TRADING
        assert bound(after) == bound(before)
        assert after.totals.realised_pnl == before.totals.realised_pnl
        await world.agree()
        assert len(world.venue.exchange.accounts["main"].fills) > 10


async def test_what_was_put_aside_before_there_was_a_grid_is_taken_up(world: LostWorld) -> None:
    async with lived(world):
        world.lose_everything()
        # Nobody is registered, and the stream goes on: the ledger does not know whose it is.
        world.falls_to(59690, "1")
        world.rises_to(60010)
        await asyncio.sleep(1)
        assert (await world.positions.quarantine()).items
        await world.register()
        assert (await world.trading()).standing is Standing.TRADING
        await world.agree()
