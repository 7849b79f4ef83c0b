"""Numbers 1 to 18, where they show best in the whole system; a storm of everything at once."""

import asyncio
import random
from decimal import Decimal as D

import pytest

from opensqt.core.grid.book import GridBook, SlotStatus, apply_change
from opensqt.core.grid.invariants import book_problem
from opensqt.core.orders import EndReason, Order, Purpose
from opensqt.runtime.crash_points import CrashPoint
from opensqt.testing.scripted_venue import Fate
from tests.scenarios.world import BOT, World


class Storm:
    """Faults of every kind, one after the other, and a market that goes up and down."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._rng = random.Random(seed)
        world.venue.on_request = self.has_an_intent

    async def has_an_intent(self, order: Order) -> None:
        """Number 8: the store has what is about to be sent."""
        kept = {o.client_oid: o for o in await self._world.orders()}
        assert order.client_oid in kept, "sent without an intent"
        assert not kept[order.client_oid].status.terminal

    async def blow(self, rounds: int) -> None:
        for _ in range(rounds):
            await self._move()
            await self._fault()
            await asyncio.sleep(self._rng.uniform(0.2, 3))
            book = await self._world.book()
            assert not book_problem(book)
        await self._mend()

    async def _move(self) -> None:
        world, before = self._world, self._world.price
        world.price = D(self._rng.randrange(595000, 605000)) / 10
        low, high = sorted((before, world.price))
        for order in sorted(world.venue.account.open_orders.values(), key=lambda o: -o.price):
            if low <= order.price <= high and self._rng.random() < 0.8:
                world.venue.fill(order.price, self._rng.choice(["0.006", "0.010", "1"]))

    async def _fault(self) -> None:
        world, rng = self._world, self._rng
        match rng.randrange(12):
            case 0 | 1 | 2:
                await world.restart(
                    rng.choice(["state", "execution", "market_data", "strategy"]),
                    down_s=rng.uniform(0, 4),
                )
            case 3:
                point = rng.choice(list(CrashPoint))
                reached = world.processes.die_at(point)
                await asyncio.sleep(3)
                world.processes.disarm()
                if reached.is_set():
                    await world.restart(world.owner(point))
            case 4 | 5:
                world.venue.fates += rng.choices([*Fate][:4], k=rng.randrange(1, 4))
            case 6:
                reason = rng.choice([EndReason.POST_ONLY_WOULD_TAKE, EndReason.RATE_LIMIT])
                world.venue.refusals.append(reason)
            case 7:
                world.venue.disconnect()
                await asyncio.sleep(rng.uniform(0, 5))
                world.venue.reconnect()
            case 8:
                world.venue.passes = lambda _: rng.random() > 0.3
            case 9:
                world.venue.passes = lambda _: True
            case 10:
                world.venue.reachable = not world.venue.reachable
            case 11:
                world.store.lose_answers = rng.randrange(3)

    async def _mend(self) -> None:
        world = self._world
        world.venue.fates.clear()
        world.venue.refusals.clear()
        world.venue.reachable = True
        world.venue.passes = lambda _: True
        world.venue.reconnect()
        await world.kill("strategy")
        await asyncio.sleep(130)  # longer than the longest pause between two questions


@pytest.mark.invariant(1, 2, 3, 5, 8, 9, 15, 16)
@pytest.mark.parametrize("seed", range(20))
async def test_whatever_happens_the_books_agree_in_the_end(trading: World, seed: int) -> None:
    await Storm(trading, seed).blow(30)
    await trading.agree()
    book = await trading.book()
    assert trading.open_on_exchange() == {order.client_oid for order in book.live_orders()}
    assert len(await trading.orders()) > 10

    replayed = GridBook(identity=book.identity)
    for change in await trading.store.changes_after(BOT, 0, 10**6):
        replayed = apply_change(replayed, change)
    assert replayed == book

    account = trading.venue.account
    held = sum((slot.entry_cost for slot in book.slots.values()), D(0))
    cash = sum((-fill.price * fill.quantity * fill.side.sign for fill in account.fills), D(0))
    assert book.totals.realised_pnl == cash + held
    assert book.totals.fees == account.fees


@pytest.mark.invariant(10)
async def test_somebody_else_closes_what_a_slot_holds(trading: World) -> None:
    """Its own closing order must not build a short instead."""
    trading.venue.fill(59900)
    await asyncio.sleep(1)
    assert (await trading.slot(59900)).status is SlotStatus.LOCKED
    trading.venue.sell_by_hand("0.010")
    trading.price = D(60150)
    trading.venue.fill(60000)
    for _ in range(60):
        await asyncio.sleep(1)
        assert trading.venue.account.position("BTCUSDT").quantity >= 0
        trading.venue.fill(60150)
    closing = [order for order in trading.venue.sent if order.purpose is Purpose.CLOSE]
    assert closing
    assert all(order.reduce_only for order in closing)


@pytest.mark.invariant(12)
async def test_the_market_falls_silent(trading: World) -> None:
    trading.silent = True
    trading.price = D(60350)
    await asyncio.sleep(3)
    sent = len(trading.venue.sent)
    trading.venue.fill(59900)
    await asyncio.sleep(50)
    assert {order.purpose for order in trading.venue.sent[sent:]} <= {Purpose.CLOSE}
    trading.silent = False
    await asyncio.sleep(3)
    assert trading.venue.sent[-1].purpose is Purpose.OPEN


@pytest.mark.invariant(17)
async def test_a_person_trips_the_gate(trading: World) -> None:
    trading.venue.fill(59900)
    await asyncio.sleep(1)
    gate = await trading.apps["risk"].trip(request_id="1", reason="news", by="cli")
    await asyncio.sleep(2)
    assert [o.purpose for o in (await trading.book()).live_orders()] == [Purpose.CLOSE]
    sent = len(trading.venue.sent)
    trading.price = D(60350)
    await asyncio.sleep(30)
    assert not [o for o in trading.venue.sent[sent:] if o.purpose is Purpose.OPEN]
    await trading.apps["risk"].reset(request_id="2", expected_revision=gate.revision, by="cli")
    await asyncio.sleep(3)
    assert trading.venue.sent[-1].purpose is Purpose.OPEN
    await trading.agree()
