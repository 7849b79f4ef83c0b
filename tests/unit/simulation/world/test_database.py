"""The database when it dies and when its clients do: what was committed stays."""

import asyncio
import random

import pytest

from opensqt.ports import DependencyError
from opensqt.testing.contracts.state_store import place, register
from opensqt.testing.grids import opening
from simulation.database import Database, at_once
from simulation.store import Gates, Store
from tests.unit.simulation.world.alone import alone, process, the_loop


def new_database() -> Database:
    return Database(the_loop(), random.Random(4))


@alone
async def test_what_is_under_way_in_an_outage_may_or_may_not_take_place() -> None:
    database, client = new_database(), process()
    done: list[int] = []
    for number in range(50):
        asking = asyncio.ensure_future(database.ask(client, lambda n=number: done.append(n)))
        await asyncio.sleep(0)
        database.stop()
        await asyncio.sleep(0.1)
        with pytest.raises(DependencyError):
            await asking
        database.start()
    assert 10 < len(done) < 40


@alone
async def test_down_it_answers_nobody() -> None:
    database = new_database()
    store = Store(database, process())
    database.stop()
    with pytest.raises(DependencyError):
        await store.ping()
    with pytest.raises(DependencyError):
        await Gates(database, process()).history("main", 1)
    database.start()
    await store.ping()


@alone
async def test_wiped_it_knows_nothing_and_the_old_one_is_kept_to_look_at() -> None:
    database = new_database()
    store = Store(database, process())
    await register(store)
    wiped: list[str] = []
    database.on_wiped.append(lambda: wiped.append("told"))
    database.wipe()
    assert await store.identities() == ()
    assert [len(at_once(store.identities())) for store in database.stores] == [1, 0]
    assert wiped == ["told"]


@alone
async def test_a_statement_that_was_sent_takes_place_though_its_sender_is_dead() -> None:
    database, client = new_database(), process()
    done: list[str] = []
    client.spawn(database.ask(client, lambda: done.append("statement")))
    await asyncio.sleep(0)
    assert not done
    client.kill()
    await asyncio.sleep(1)
    assert done == ["statement"]


@alone
async def test_of_those_that_decide_on_the_same_book_one_commits() -> None:
    database = new_database()
    stores = [Store(database, process(name)) for name in "ab"]
    await register(stores[0])
    placed = await asyncio.gather(*(place(store, opening(50)) for store in stores * 4))
    changes = await stores[0].changes_after("btc", 0, 100)
    assert [change.revision for change in changes] == [1, 2]
    assert all(orders == placed[0] for orders in placed), "the others find it committed"
