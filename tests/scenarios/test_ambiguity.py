"""Numbers 31 to 40: an answer proves nothing.

What counts as no proof is read from raw answers in tests/integration/ccxt (34, 35).
"""

import asyncio
from decimal import Decimal as D

import pytest

from opensqt.core.grid.book import SlotStatus, Standing
from opensqt.core.identifiers import grid_order_id
from opensqt.core.orders import EndReason, Order, OrderStatus, Purpose, Side
from opensqt.ports import CancelOutcome
from opensqt.testing.scripted_venue import Fate
from tests.scenarios.world import BOT, FENCE_S, World, buy, cancel


@pytest.fixture
async def deaf(world: World) -> World:
    """A world that hears of orders by asking alone: market data is down."""
    await world.kill("market_data")
    return world


@pytest.mark.invariant(31)
@pytest.mark.parametrize("fate", [Fate.ANSWER_LOST, Fate.NEVER_ANSWERED])
async def test_the_answer_is_lost_and_the_order_is_open(deaf: World, fate: Fate) -> None:
    deaf.venue.fates.append(fate)
    await deaf.decide(buy(59900))
    await asyncio.sleep(FENCE_S + 1)
    assert (await deaf.slot(59900)).status is SlotStatus.LOCKED
    await deaf.agree()


@pytest.mark.invariant(32)
async def test_the_request_is_lost(deaf: World) -> None:
    deaf.venue.fates.append(Fate.LOST)
    await deaf.decide(buy(59900))
    await asyncio.sleep(FENCE_S - 0.2)
    [order] = await deaf.orders()
    assert order.status is OrderStatus.UNKNOWN
    await asyncio.sleep(0.4)
    [order] = await deaf.orders()
    assert order.status is OrderStatus.NOT_PLACED
    await asyncio.sleep(1)
    await deaf.decide(buy(59900))
    await asyncio.sleep(0.2)
    slot = await deaf.slot(59900)
    assert slot.status is SlotStatus.LOCKED
    assert slot.order is not None
    assert (slot.order.cycle, slot.order.client_oid != order.client_oid) == (1, True)
    await deaf.agree()


@pytest.mark.invariant(33)
async def test_the_answer_is_lost_and_the_order_fills(deaf: World) -> None:
    deaf.venue.fates.append(Fate.ANSWER_LOST)
    deaf.venue.on_accepted = lambda order: deaf.venue.fill(order.price)
    await deaf.decide(buy(59900))
    await asyncio.sleep(1)
    slot = await deaf.slot(59900)
    assert (slot.status, slot.position_qty) == (SlotStatus.FREE, D("0.010"))
    await deaf.start("market_data")
    await asyncio.sleep(2)
    await deaf.agree()


@pytest.mark.invariant(34)
async def test_unavailable_is_a_refusal_and_is_tried_again_under_a_new_id(deaf: World) -> None:
    deaf.venue.refusals.append(EndReason.EXCHANGE_UNAVAILABLE)
    await deaf.decide(buy(59900))
    await asyncio.sleep(0.2)
    refused = await deaf.slot(59900)
    assert (refused.status, refused.cycle) == (SlotStatus.FREE, 1)
    questions = [request for request in deaf.venue.requests if request.startswith("find")]
    assert not questions, "nothing is in doubt"
    await asyncio.sleep(0.3)
    await deaf.decide(buy(59900))
    await asyncio.sleep(0.2)
    assert (await deaf.slot(59900)).status is SlotStatus.LOCKED
    await deaf.agree()


async def next_id(world: World, price: int) -> str:
    """The id that the next opening order of a slot will have."""
    book = await world.book()
    return grid_order_id(
        bot_id=BOT,
        epoch=book.identity.epoch,
        slot_price=D(price),
        side=Side.BUY,
        purpose=Purpose.OPEN,
        cycle=0,
    )


@pytest.mark.invariant(36)
async def test_the_id_is_in_use_by_the_order_that_was_meant(deaf: World) -> None:
    """Somebody between us and the exchange has sent the request twice."""
    first = deaf.venue.place

    async def twice(order: Order) -> None:
        deaf.venue.on_request = None
        await first(order)
        deaf.venue.sent.pop()

    deaf.venue.on_request = twice
    await deaf.decide(buy(59900))
    await asyncio.sleep(1)
    assert (await deaf.slot(59900)).status is SlotStatus.LOCKED
    assert (await deaf.book()).standing is Standing.TRADING
    await deaf.agree()


@pytest.mark.invariant(36)
async def test_the_id_is_in_use_by_another_order(deaf: World) -> None:
    strange = await next_id(deaf, 59900)
    deaf.venue.by_hand(strange, 59900, "0.5")
    await deaf.decide(buy(59900))
    await asyncio.sleep(2)
    book = await deaf.book()
    assert book.standing is Standing.HALTED
    assert deaf.open_on_exchange() == {strange}, "it is not ours to cancel"
    await deaf.decide(buy(59800))
    await asyncio.sleep(1)
    assert len(deaf.venue.sent) == 1, "halted, it opens nothing more"


@pytest.mark.invariant(37)
async def test_the_order_is_out_of_sight_for_a_while(deaf: World) -> None:
    deaf.venue.fates.append(Fate.ANSWER_LOST)
    deaf.venue.on_accepted = lambda order: deaf.venue.unseen.add(order.client_oid)
    await deaf.decide(buy(59900))
    await asyncio.sleep(1.9)
    assert (await deaf.slot(59900)).status is SlotStatus.PENDING
    deaf.venue.unseen.clear()
    await asyncio.sleep(FENCE_S)
    assert (await deaf.slot(59900)).status is SlotStatus.LOCKED
    await deaf.agree()


@pytest.mark.invariant(38)
@pytest.mark.parametrize("answered", [True, False])
async def test_a_filled_order_is_no_longer_found_by_our_id(world: World, *, answered: bool) -> None:
    """Gate forgets the ids that we gave after a minute; its executions have its own."""
    await world.kill("market_data")
    if not answered:
        world.venue.fates.append(Fate.ANSWER_LOST)
        world.venue.on_accepted = lambda order: world.venue.unseen.add(order.client_oid)
    await world.decide(buy(59900))
    await asyncio.sleep(0.2)
    await world.kill("execution")
    world.venue.fill(59900)
    world.venue.unseen |= set(world.on_exchange())
    await asyncio.sleep(300)
    await world.start("market_data")
    await world.start("execution")
    await asyncio.sleep(30)
    book = await world.book()
    assert (book.position, book.totals.fills) == (D("0.010"), 1)
    await world.agree()


@pytest.mark.invariant(39)
@pytest.mark.parametrize("answer", [CancelOutcome.UNKNOWN, CancelOutcome.REFUSED])
async def test_the_answer_to_a_cancel_is_lost(deaf: World, answer: CancelOutcome) -> None:
    [order] = await deaf.rest(59900)
    deaf.venue.cancel_answers.append(answer)
    deaf.venue.unseen.add(order.client_oid)
    await deaf.decide(cancel(order))
    await asyncio.sleep(60)
    slot = await deaf.slot(59900)
    assert slot.status is SlotStatus.LOCKED, "not found is no proof, it was open"
    assert slot.order is not None
    assert slot.order.cancel_requested
    deaf.venue.unseen.clear()
    await asyncio.sleep(61)
    assert (await deaf.slot(59900)).status is SlotStatus.FREE
    await deaf.agree()


@pytest.mark.invariant(40)
async def test_a_cancel_finds_no_such_order_because_it_filled(deaf: World) -> None:
    [order] = await deaf.rest(59900)
    deaf.venue.fill(59900)
    await deaf.decide(cancel(order))
    await asyncio.sleep(1)
    slot = await deaf.slot(59900)
    assert (slot.status, slot.position_qty) == (SlotStatus.FREE, D("0.010"))
    await deaf.start("market_data")
    await asyncio.sleep(2)
    await deaf.agree()
