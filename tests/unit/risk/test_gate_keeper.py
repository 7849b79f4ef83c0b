"""The gate's keeper: closed at once, opened only when stored, never lost while it was closed."""

import pytest

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.events import Gate
from opensqt.ports import DependencyError
from opensqt.testing.memory_gate_store import MemoryGateStore
from services.risk.keeper import UNSAVED_MAX, GateKeeper

ACCOUNT = "paper"


class SetClock:
    def __init__(self) -> None:
        self.time_ns = 1_700_000_000 * 10**9

    def now_ns(self) -> int:
        self.time_ns += 1
        return self.time_ns


async def started(store: MemoryGateStore) -> GateKeeper:
    keeper = GateKeeper(account=ACCOUNT, store=store, clock=SetClock())
    await keeper.load()
    return keeper


def trip(keeper: GateKeeper, request_id: str = "t1", reason: str = "news") -> Gate:
    return keeper.trip(request_id=request_id, reason=reason, by="cli")


async def reset(keeper: GateKeeper, expected: int, request_id: str = "r1") -> Gate:
    return await keeper.reset(request_id=request_id, expected_revision=expected, by="cli")


async def refused(keeper: GateKeeper, expected: int, request_id: str = "r1") -> RefusalReason:
    with pytest.raises(Refusal) as caught:
        await reset(keeper, expected, request_id)
    return caught.value.reason


async def test_before_its_history_is_read_the_gate_is_closed() -> None:
    keeper = GateKeeper(account=ACCOUNT, store=MemoryGateStore(), clock=SetClock())
    assert not keeper.gate.open
    assert not keeper.loaded


async def test_a_gate_without_history_is_open_at_revision_1() -> None:
    store = MemoryGateStore()
    keeper = await started(store)
    assert keeper.gate.open
    assert keeper.gate.revision == 1
    assert (await started(store)).gate == keeper.gate


async def test_a_tripped_gate_stays_tripped_across_a_restart() -> None:
    store = MemoryGateStore()
    keeper = await started(store)
    gate = trip(keeper)
    await keeper.save()
    assert (await started(store)).gate == gate
    assert not gate.open


async def test_a_trip_is_in_effect_before_it_is_stored() -> None:
    store = MemoryGateStore()
    keeper = await started(store)
    keeper.changed.clear()
    store.answers = False
    gate = trip(keeper)
    assert keeper.gate == gate
    assert keeper.changed.is_set()
    assert keeper.save_due.is_set()
    with pytest.raises(DependencyError):
        await keeper.save()
    store.answers = True
    await keeper.save()
    assert not keeper.save_due.is_set()
    assert store.changes[ACCOUNT][-1].gate == gate


async def test_a_reset_needs_the_store() -> None:
    store = MemoryGateStore()
    keeper = await started(store)
    gate = trip(keeper)
    await keeper.save()
    store.answers = False
    with pytest.raises(DependencyError):
        await reset(keeper, gate.revision)
    assert not keeper.gate.open


async def test_a_reset_whose_answer_was_lost_can_be_repeated() -> None:
    store = MemoryGateStore()
    keeper = await started(store)
    gate = trip(keeper)
    await keeper.save()
    store.answer_lost = True
    with pytest.raises(DependencyError):
        await reset(keeper, gate.revision)
    assert not keeper.gate.open
    store.answer_lost = False
    assert (await reset(keeper, gate.revision)).open
    assert len(store.changes[ACCOUNT]) == 3


async def test_a_reset_is_refused_when_the_gate_has_moved_on() -> None:
    keeper = await started(MemoryGateStore())
    seen = trip(keeper, "t1", "news")
    trip(keeper, "t2", "worse news")
    assert await refused(keeper, seen.revision) is RefusalReason.GATE_REVISION
    assert not keeper.gate.open


async def test_a_trip_during_a_reset_wins() -> None:
    class TrippedMeanwhile(MemoryGateStore):
        keeper: GateKeeper | None = None

        async def append(self, account: str, change: object) -> bool:
            if self.keeper is not None:
                tripped, self.keeper = self.keeper, None
                trip(tripped, "t2", "meanwhile")
            return await super().append(account, change)  # type: ignore[arg-type]

    store = TrippedMeanwhile()
    keeper = await started(store)
    seen = trip(keeper)
    await keeper.save()
    store.keeper = keeper
    assert await refused(keeper, seen.revision) is RefusalReason.GATE_REVISION
    await keeper.save()
    assert keeper.gate.reason == "meanwhile"
    assert store.changes[ACCOUNT][-1].gate == keeper.gate
    assert keeper.gate.revision > seen.revision + 1


async def test_repeating_a_request_gives_the_same_answer_and_changes_nothing() -> None:
    store = MemoryGateStore()
    keeper = await started(store)
    closed = trip(keeper)
    opened = await reset(keeper, closed.revision)
    for again in (keeper, await started(store)):
        assert trip(again) == closed
        assert await reset(again, closed.revision) == opened
        assert again.gate == opened


async def test_a_request_id_is_for_one_request() -> None:
    keeper = await started(MemoryGateStore())
    trip(keeper, "x", "news")
    with pytest.raises(Refusal) as caught:
        trip(keeper, "x", "other news")
    assert caught.value.reason is RefusalReason.REQUEST_ID_REUSED
    assert await refused(keeper, 2, "x") is RefusalReason.REQUEST_ID_REUSED


@pytest.mark.parametrize(
    ("request_id", "reason", "field", "why"),
    [
        ("", "news", "request_id", RefusalReason.FIELD_MISSING),
        ("x" * 129, "news", "request_id", RefusalReason.VALUE_NOT_ALLOWED),
        ("x", "  ", "reason", RefusalReason.FIELD_MISSING),
        ("x", "y" * 257, "reason", RefusalReason.VALUE_NOT_ALLOWED),
    ],
)
async def test_a_malformed_trip_changes_nothing(
    request_id: str, reason: str, field: str, why: RefusalReason
) -> None:
    keeper = await started(MemoryGateStore())
    with pytest.raises(Refusal) as caught:
        trip(keeper, request_id, reason)
    assert (caught.value.field, caught.value.reason) == (field, why)
    assert keeper.gate.open


async def test_trips_that_wait_for_the_store_are_bounded() -> None:
    store = MemoryGateStore()
    keeper = await started(store)
    store.answers = False
    for number in range(UNSAVED_MAX):
        trip(keeper, f"t{number}")
    with pytest.raises(Refusal) as caught:
        trip(keeper, "one too many")
    assert caught.value.reason is RefusalReason.OVERLOADED
    store.answers = True
    await keeper.save()
    assert store.changes[ACCOUNT][-1].gate == keeper.gate


async def test_a_trip_before_the_history_is_read_is_put_on_top_of_it() -> None:
    store = MemoryGateStore()
    before = await started(store)
    opened = await reset(before, trip(before).revision)
    keeper = GateKeeper(account=ACCOUNT, store=store, clock=SetClock())
    trip(keeper, "t2", "early")
    await keeper.load()
    await keeper.save()
    assert keeper.gate.reason == "early"
    assert keeper.gate.revision == opened.revision + 1
    assert (await started(store)).gate == keeper.gate


async def test_a_trip_that_was_announced_and_not_stored_outlives_a_crash() -> None:
    store = MemoryGateStore()
    keeper = await started(store)
    store.answers = False
    announced = trip(keeper)  # and here the process crashes
    store.answers = True
    after = await started(store)
    assert after.gate.open
    await after.hear(announced)
    assert after.gate == announced
    await after.save()
    assert (await started(store)).gate == announced


async def test_a_beat_heard_before_the_history_is_read_counts_as_well() -> None:
    store = MemoryGateStore()
    keeper = await started(store)
    store.answers = False
    announced = trip(keeper)
    store.answers = True
    after = GateKeeper(account=ACCOUNT, store=store, clock=SetClock())
    await after.hear(announced)
    await after.load()
    assert after.gate == announced


async def test_an_open_beat_never_opens_a_closed_gate() -> None:
    keeper = await started(MemoryGateStore())
    closed = trip(keeper)
    await keeper.save()
    stranger = Gate(revision=90, open=True, reason="", changed_by="x", changed_time_ns=1)
    await keeper.hear(stranger)
    assert not keeper.gate.open
    assert keeper.gate.reason == closed.reason
    assert keeper.gate.revision == 91, "else nobody who heard revision 90 would listen to us"


async def test_its_own_beats_and_older_ones_tell_nothing() -> None:
    keeper = await started(MemoryGateStore())
    first = keeper.gate
    closed = trip(keeper)
    opened = await reset(keeper, closed.revision)
    for heard in (first, closed, opened):
        await keeper.hear(heard)
    assert keeper.gate == opened
    assert not keeper.unsaved


async def test_what_another_process_stored_is_taken_over() -> None:
    store = MemoryGateStore()
    one, other = await started(store), await started(store)
    closed = trip(one)
    await one.save()
    await other.hear(closed)
    assert other.gate == closed
    opened = await reset(one, closed.revision)
    await other.hear(opened)
    assert other.gate == opened
    assert other.unsaved == one.unsaved == 0


async def test_two_processes_tripping_at_once_agree_on_a_closed_gate() -> None:
    store = MemoryGateStore()
    one, other = await started(store), await started(store)
    trip(one, "a", "first")
    trip(other, "b", "second")
    await one.save()
    await other.save()
    await one.hear(other.gate)
    assert one.gate.revision == other.gate.revision
    assert not one.gate.open
    assert not other.gate.open
