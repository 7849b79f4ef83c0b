"""A volume is deleted while orders rest on the exchange, and everything is found again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random

import pytest

from chaos.faults import Fault, all_faults
from chaos.one_run import NO_ANSWER, one_run
from chaos.stage import Stage, open_stage
from opensqt.core.grid.book import Standing
from opensqt.core.identifiers import parse_order_id

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

KNOWN_AGAIN_S = 60.0


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(1, tmp_path) as opened:
        yield opened


def fault(name: str) -> Fault:
    (found,) = [fault for fault in all_faults() if fault.name == name]
    return found


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(KNOWN_AGAIN_S):
        while True:
            try:
                if await true():
                    return
            except NO_ANSWER:
                pass
            await asyncio.sleep(0.2)


@pytest.mark.invariant(1, 2, 5, 9, 30)
async def test_every_slot_is_bound_again_without_the_volumes(stage: Stage) -> None:
    async def traded() -> bool:
        theirs = await stage.theirs()
        return len(theirs.fills) >= 3 and sum(order.open for order in theirs.orders) >= 3

    async def is_trading() -> bool:
        return (await stage.ours()).grid.standing is Standing.TRADING

    await until(traded)
    await stage.hold()
    await asyncio.sleep(1)
    before = await stage.ours()
    theirs = await stage.theirs()
    resting = {order.client_oid for order in theirs.orders if order.open}
    assert resting

    await stage.wipe_postgres()
    await until(stage.whole)
    await until(is_trading)

    after = await stage.ours()
    assert after.grid.identity.epoch > before.grid.identity.epoch
    assert {order.client_oid for order in after.grid.live_orders()} == resting
    for price, slot in before.grid.slots.items():
        again = after.grid.slots.get(price)
        if slot.order is not None:
            assert again is not None
            assert again.order is not None
            assert again.order.client_oid == slot.order.client_oid
        if slot.position_qty:
            assert again is not None
            assert again.position_qty == slot.position_qty
            assert again.entry_cost == slot.entry_cost
            assert again.exit_price == slot.exit_price
    assert after.grid.position == before.grid.position == theirs.position

    await stage.go_on()
    taken = await stage.orders_taken()

    async def trades_again() -> bool:
        return await stage.orders_taken() > taken + 5

    await until(trades_again)
    epochs = {parse_order_id(order.client_oid) for order in (await stage.theirs()).orders[taken:]}
    assert {parsed.epoch for parsed in epochs if parsed} == {after.grid.identity.epoch}

    outcome = await one_run(stage, fault("wipe:nats"), Random(1))
    assert outcome.good, outcome
