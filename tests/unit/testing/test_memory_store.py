"""The memory store keeps the contract of every state store, and fails when it is told to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from opensqt.ports import DependencyError, StateStore
from opensqt.testing.contracts.state_store import StateStoreContract, place, register, reserve
from opensqt.testing.grids import batch_on, opening
from opensqt.testing.memory_store import MemoryStore


class TestMemoryStore(StateStoreContract):
    @asynccontextmanager
    async def opened(self) -> AsyncIterator[StateStore]:
        yield MemoryStore()


async def test_a_lost_answer_leaves_the_change_committed() -> None:
    store = MemoryStore()
    await register(store)
    batch = batch_on(await store.load("btc"), opening(99))
    store.lose_answers = 1
    with pytest.raises(DependencyError):
        await reserve(store, batch)
    assert (await reserve(store, batch)).value.repeated


async def test_a_store_that_does_not_answer_changes_nothing() -> None:
    store = MemoryStore()
    await register(store)
    store.answers = False
    with pytest.raises(DependencyError):
        await place(store, opening(99))
    store.answers = True
    assert (await store.load("btc")).revision == 1
