"""Order updates in the ledger: what nobody intended, several grids on a market, crashes between."""

from dataclasses import replace
from decimal import Decimal as D

import pytest

from opensqt.core.grid.book import GridBook, Standing
from opensqt.core.orders import OrderStatus
from opensqt.ports import DependencyError
from opensqt.runtime.metrics import Metrics
from opensqt.testing.grids import (
    DEADLINE_NS,
    NOW_NS,
    batch_on,
    filled,
    forced,
    foreign,
    identity,
    lost_order,
    opening,
    update,
)
from opensqt.testing.memory_store import MemoryStore
from services.state.ledger import Ledger
from services.state.order_updates import STEADY_NS


class StoppedClock:
    def __init__(self) -> None:
        self.time_ns = NOW_NS

    def now_ns(self) -> int:
        return self.time_ns


async def trading(ledger: Ledger, *bots: str) -> None:
    for bot_id in bots:
        epoch = (await ledger.register_grid(identity(bot_id))).identity.epoch
        await ledger.confirm_grid(bot_id, epoch=epoch)


async def hold(ledger: Ledger, bot_id: str, price: int = 99) -> None:
    """Open at a price, filled whole: 0.01."""
    batch = batch_on(await ledger.grid(bot_id), opening(price))
    (order,) = (await ledger.reserve(batch, deadline_ns=DEADLINE_NS)).to_place
    await ledger.apply(filled(order, f"{bot_id}-{price}"))


async def positions(ledger: Ledger) -> dict[str, D]:
    return {
        book.identity.bot_id: (await ledger.grid(book.identity.bot_id)).position
        for book in await ledger.grids()
    }


def ledger_on(store: MemoryStore) -> Ledger:
    return Ledger(store=store, clock=StoppedClock(), metrics=Metrics())


@pytest.mark.invariant(49)
async def test_a_forced_order_goes_through_the_grids_by_name() -> None:
    ledger = ledger_on(MemoryStore())
    await trading(ledger, "cat", "ada", "bob")
    for bot_id in ("ada", "bob", "cat"):
        await hold(ledger, bot_id)
    await ledger.apply(forced("0.012"))
    assert await positions(ledger) == {"ada": 0, "bob": D("0.008"), "cat": D("0.01")}
    assert {book.standing for book in await ledger.grids()} == {Standing.HALTED}


@pytest.mark.invariant(49, 22)
@pytest.mark.parametrize("lost", [1, 2, 3])
async def test_a_crash_between_two_grids_takes_nothing_twice(lost: int) -> None:
    store = MemoryStore()
    ledger = ledger_on(store)
    await trading(ledger, "ada", "bob", "cat")
    for bot_id in ("ada", "bob", "cat"):
        await hold(ledger, bot_id)
    for _ in range(lost):
        store.lose_answers = 1
        with pytest.raises(DependencyError):
            await ledger.apply(forced("0.025"))
    for _ in range(2):
        await ledger.apply(forced("0.025"))
    assert await positions(ledger) == {"ada": 0, "bob": 0, "cat": D("0.005")}


async def test_openings_take_only_what_no_grid_holds() -> None:
    ledger = ledger_on(MemoryStore())
    await trading(ledger, "ada", "bob")
    await hold(ledger, "ada")
    await hold(ledger, "bob")
    batch = batch_on(await ledger.grid("ada"), opening(98, quantity="0.05"))
    await ledger.reserve(batch, deadline_ns=DEADLINE_NS)
    await ledger.apply(forced("0.02"))
    assert await positions(ledger) == {"ada": 0, "bob": 0}
    more = forced("0.02", execution_id="forced-2")
    # Its fill may be on its way: the exchange is asked first, and nothing is placed meanwhile.
    assert not (await ledger.apply(more)).changed
    assert {book.standing for book in await ledger.grids()} == {Standing.RECONCILING}
    assert await positions(ledger) == {"ada": 0, "bob": 0}
    await ledger.apply(more)
    assert await positions(ledger) == {"ada": D("-0.02"), "bob": 0}
    for book in await ledger.grids():
        await ledger.confirm_grid(book.identity.bot_id, epoch=book.identity.epoch)
    assert {book.standing for book in await ledger.grids()} == {Standing.HALTED}


@pytest.mark.invariant(49, 41)
async def test_a_fill_that_comes_after_the_forced_close_of_what_it_opened_is_closed_with_it() -> (
    None
):
    """The market has moved back since (simulation seed 6518): its price does not show it."""
    ledger = ledger_on(MemoryStore())
    await trading(ledger, "ada")
    await hold(ledger, "ada")
    batch = batch_on(await ledger.grid("ada"), opening(50, quantity="0.02"))
    (late,) = (await ledger.reserve(batch, deadline_ns=DEADLINE_NS)).to_place
    both = forced("0.03")
    assert not (await ledger.apply(both)).changed
    assert (await ledger.grid("ada")).standing is Standing.RECONCILING
    await ledger.apply(filled(late, "late"))
    for changed in (True, False):
        assert (await ledger.apply(both)).changed is changed
        assert await positions(ledger) == {"ada": 0}


@pytest.mark.invariant(49, 30)
async def test_a_forced_order_waits_while_a_new_ledger_does_not_know_what_was_held() -> None:
    """The stream tells of it at once, the comparison of what came before it."""
    store = MemoryStore()
    ledger = ledger_on(store)
    epoch = (await ledger.register_grid(identity("ada"))).identity.epoch
    assert not (await ledger.apply(forced("0.01"))).changed
    await ledger.apply(filled(lost_order("ada", 99, epoch=epoch - 1), "e1"))
    for changed in (True, False):
        assert (await ledger.apply(forced("0.01"))).changed is changed
        assert await positions(ledger) == {"ada": 0}
    await ledger.confirm_grid("ada", epoch=epoch)
    assert (await ledger.grid("ada")).standing is Standing.HALTED
    assert not store.put_aside


@pytest.mark.invariant(49, 30)
async def test_a_forced_order_of_more_than_the_grid_held_does_not_wait_for_ever() -> None:
    """Somebody holds something by hand beside the grid; both were closed."""
    clock = StoppedClock()
    ledger = Ledger(store=MemoryStore(), clock=clock, metrics=Metrics())
    epoch = (await ledger.register_grid(identity("ada"))).identity.epoch
    assert not (await ledger.apply(forced("0.03"))).changed
    clock.time_ns += STEADY_NS
    await ledger.apply(filled(lost_order("ada", 99, epoch=epoch - 1), "e1"))
    # The books have just changed: there may be more to come.
    assert not (await ledger.apply(forced("0.03"))).changed
    clock.time_ns += STEADY_NS - 1
    assert not (await ledger.apply(forced("0.03"))).changed
    assert await positions(ledger) == {"ada": D("0.01")}
    clock.time_ns += 1
    for changed in (True, False):
        assert (await ledger.apply(forced("0.03"))).changed is changed
    assert await positions(ledger) == {"ada": 0}
    await ledger.confirm_grid("ada", epoch=epoch)
    assert (await ledger.grid("ada")).standing is Standing.HALTED


@pytest.mark.invariant(49, 22)
async def test_a_crash_between_two_new_grids_takes_the_rest_all_the_same() -> None:
    store = MemoryStore()
    ledger = ledger_on(store)
    for bot_id in ("ada", "bob"):
        epoch = (await ledger.register_grid(identity(bot_id))).identity.epoch
        await ledger.apply(filled(lost_order(bot_id, 99, epoch=epoch - 1), f"{bot_id}-1"))
    store.lose_answers = 1
    with pytest.raises(DependencyError):
        await ledger.apply(forced("0.02"))
    await ledger.apply(forced("0.02"))
    assert await positions(ledger) == {"ada": 0, "bob": 0}


async def test_what_no_grid_held_is_put_aside() -> None:
    store = MemoryStore()
    ledger = ledger_on(store)
    await trading(ledger, "ada")
    await ledger.apply(forced("0.02"))
    await ledger.apply(forced("0.02"))
    (item,) = store.put_aside.values()
    assert (item.reason, item.updates) == (
        "LIQUIDATION, of which the grids had not held 0.02",
        1,
    )


async def test_a_forced_order_on_another_market_is_put_aside() -> None:
    ledger = ledger_on(MemoryStore())
    await trading(ledger, "ada")
    applied = await ledger.apply(replace(forced("1"), symbol="ETHUSDT"))
    assert applied.quarantined == "LIQUIDATION, not an order of any grid"
    assert (await ledger.grid("ada")).standing is Standing.TRADING


async def test_a_forced_order_without_executions_waits_for_them() -> None:
    ledger = ledger_on(MemoryStore())
    await trading(ledger, "ada")
    await hold(ledger, "ada")
    applied = await ledger.apply(replace(forced("0.01"), execution=None))
    assert not applied.changed
    await ledger.apply(forced("0.01"))
    assert await positions(ledger) == {"ada": 0}


@pytest.mark.invariant(48)
async def test_only_what_is_new_halts() -> None:
    """The same once more does not; another contradiction does."""
    ledger = ledger_on(MemoryStore())
    await trading(ledger, "ada")
    book = await ledger.grid("ada")
    stranger = lost_order("ada", 98, epoch=book.identity.epoch)

    async def after(status: OrderStatus) -> Standing:
        await ledger.apply(update(stranger, status))
        return (await ledger.grid("ada")).standing

    assert await after(OrderStatus.NEW) is Standing.HALTED
    await ledger.resume_grid("ada", by="ops")
    await ledger.confirm_grid("ada", epoch=book.identity.epoch)
    assert await after(OrderStatus.CANCELED) is Standing.TRADING
    wrong = replace(update(stranger, OrderStatus.NEW), client_oid=stranger.client_oid)
    await ledger.apply(replace(wrong, exchange_order_id="another"))
    assert (await ledger.grid("ada")).standing is Standing.HALTED


async def test_another_contradiction_of_the_same_order_halts_again() -> None:
    ledger = ledger_on(MemoryStore())
    await trading(ledger, "ada")
    batch = batch_on(await ledger.grid("ada"), opening(99))
    (order,) = (await ledger.reserve(batch, deadline_ns=DEADLINE_NS)).to_place
    for quantity, standing in (
        (5, Standing.HALTED),
        (5, Standing.RECONCILING),
        (6, Standing.HALTED),
    ):
        await ledger.apply(replace(filled(order, "e1"), quantity=D(quantity)))
        assert (await ledger.grid("ada")).standing is standing
        await ledger.resume_grid("ada", by="ops")
        if quantity == 5 and standing is Standing.RECONCILING:
            epoch = (await ledger.grid("ada")).identity.epoch
            await ledger.confirm_grid("ada", epoch=epoch)


async def test_a_crash_before_it_is_put_aside_halts_all_the_same() -> None:
    store = MemoryStore()
    ledger = ledger_on(store)
    await trading(ledger, "ada")
    stranger = lost_order("ada", 98, epoch=(await ledger.grid("ada")).identity.epoch)
    store.lose_answers = 1
    with pytest.raises(DependencyError):
        await ledger.apply(update(stranger, OrderStatus.NEW))
    assert not store.put_aside
    await ledger.apply(update(stranger, OrderStatus.NEW))
    assert len(store.put_aside) == 1
    assert (await ledger.grid("ada")).standing is Standing.HALTED


async def test_manual_orders_halt_nothing() -> None:
    ledger = ledger_on(MemoryStore())
    await trading(ledger, "ada")
    assert (await ledger.apply(foreign())).quarantined == "not an order of any grid"
    assert (await ledger.grid("ada")).standing is Standing.TRADING


async def test_what_could_not_be_applied_halts_its_own_grid() -> None:
    store = MemoryStore()
    ledger = ledger_on(store)
    await trading(ledger, "ada", "bob")
    batch = batch_on(await ledger.grid("ada"), opening(99))
    (order,) = (await ledger.reserve(batch, deadline_ns=DEADLINE_NS)).to_place
    await ledger.put_aside(filled(order, "e1"), "could not be applied: ZeroDivisionError()")
    await ledger.put_aside(foreign(), "could not be applied: ZeroDivisionError()")
    standings = {book.identity.bot_id: book.standing for book in await ledger.grids()}
    assert standings == {"ada": Standing.HALTED, "bob": Standing.TRADING}
    assert len(store.put_aside) == 2


@pytest.mark.invariant(30)
async def test_a_lost_ledger_is_rebuilt_from_its_orders() -> None:
    """And what it then places has new ids."""
    first = ledger_on(MemoryStore())
    await trading(first, "btc")
    batch = batch_on(await first.grid("btc"), opening(99), opening(98))
    bought, resting = (await first.reserve(batch, deadline_ns=DEADLINE_NS)).to_place

    second = Ledger(store=MemoryStore(), clock=LaterClock(), metrics=Metrics())
    epoch = (await second.register_grid(identity())).identity.epoch
    await second.apply(update(resting, OrderStatus.NEW))
    await second.apply(filled(bought, "e1"))
    await second.confirm_grid("btc", epoch=epoch)
    book: GridBook = await second.grid("btc")
    assert book.slots[D(98)].order is not None
    assert book.position == bought.quantity
    batch = batch_on(book, opening(97))
    (order,) = (await second.reserve(batch, deadline_ns=DEADLINE_NS)).to_place
    assert order.client_oid[6:12] != bought.client_oid[6:12]


class LaterClock:
    def now_ns(self) -> int:
        return NOW_NS + 10**9
