"""The ledger keeps the contract of every position manager."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.grid.book import GridBook
from opensqt.core.identifiers import epoch_at
from opensqt.ports import PositionManager
from opensqt.runtime.metrics import Metrics
from opensqt.testing.contracts.position_manager import PositionManagerContract, reserve_on
from opensqt.testing.grids import DEADLINE_NS, NOW_NS, batch_on, foreign, identity, opening
from opensqt.testing.memory_store import MemoryStore
from services.state.ledger import Ledger


class StoppedClock:
    def now_ns(self) -> int:
        return NOW_NS


def ledger_on(store: MemoryStore) -> Ledger:
    return Ledger(store=store, clock=StoppedClock(), metrics=Metrics())


async def trading(ledger: Ledger) -> GridBook:
    """A grid that trades."""
    epoch = (await ledger.register_grid(identity())).identity.epoch
    await ledger.confirm_grid("btc", epoch=epoch)
    return await ledger.grid("btc")


class TestLedger(PositionManagerContract):
    @asynccontextmanager
    async def opened(self) -> AsyncIterator[PositionManager]:
        yield ledger_on(MemoryStore())


async def test_says_whether_a_grid_is_new_and_gives_it_an_epoch() -> None:
    ledger = ledger_on(MemoryStore())
    book, created = await ledger.register(identity())
    assert created
    assert book.identity.epoch == epoch_at(NOW_NS)
    assert await ledger.register(identity()) == (book, False)


async def test_a_request_id_belongs_to_one_batch() -> None:
    ledger = ledger_on(MemoryStore())
    batch = batch_on(await trading(ledger), opening(99))
    await ledger.reserve(batch, deadline_ns=DEADLINE_NS, request_id="r1")
    again = await ledger.reserve(batch, deadline_ns=DEADLINE_NS, request_id="r1")
    assert again.repeated
    other = batch_on(await ledger.grid("btc"), opening(98))
    with pytest.raises(Refusal) as refused:
        await ledger.reserve(other, deadline_ns=DEADLINE_NS, request_id="r1")
    assert refused.value.reason is RefusalReason.REQUEST_ID_REUSED


async def test_notes_strangers_with_a_reason() -> None:
    store = MemoryStore()
    ledger = ledger_on(store)
    batch = batch_on(await trading(ledger), opening(99))
    (order,) = (await reserve_on(ledger, batch)).to_place
    copy = ledger_on(MemoryStore())  # an old copy, or another ledger of the same second
    await copy.register_grid(identity())
    assert "has never made" in (await copy.apply(foreign(client_oid=order.client_oid))).quarantined
    assert "not an order" in (await ledger.apply(foreign("1"))).quarantined
    assert "not an order" in (await ledger.apply(foreign("2", client_oid=""))).quarantined
    assert set(store.put_aside) == {
        ("main", "BTCUSDT", "1", "web_manual"),
        ("main", "BTCUSDT", "2", ""),
    }
