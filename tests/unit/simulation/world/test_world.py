"""A run as a whole: what ends it, what it leaves, and that it repeats."""

import gc
from typing import Any

import pytest

from opensqt.core.numbers import ZERO
from opensqt.ports import DependencyError
from services.state.app import StateApp
from simulation import ending
from simulation.loop import SimulationLoop
from simulation.observer import HARNESS, ViolationError
from simulation.plan import Fault, FaultKind, Part, Plan
from simulation.world import run
from tests.unit.simulation.world.stories import Watcher, tell

KILL = Fault(kind=FaultKind.KILL, at_ms=3000, length_ms=500, part=Part.STATE)


def test_a_plan_repeats_exactly_and_seeds_differ() -> None:
    once = tell(KILL).trace
    assert tell(KILL).trace.digest() == once.digest()
    assert tell(KILL, seed=2).trace.digest() != once.digest()
    assert tell().trace.digest() != once.digest()


def test_until_a_fault_begins_it_changes_nothing() -> None:
    def before(*faults: Fault) -> list[str]:
        entries = tell(*faults).trace.entries
        return [str(entry) for entry in entries if entry.time_ns < KILL.at_ms * 10**6]

    assert before(KILL) == before()


def test_steps_are_counted() -> None:
    trace = tell().trace
    assert trace.events > 20 * len(trace.entries)


class Objector(Watcher):
    """Objects to the first fill, deep inside the exchange."""

    def filled(self, *_: Any, time_ns: int) -> None:
        raise ViolationError(3, f"at {time_ns}")

    def at_rest(self) -> None:
        raise AssertionError("the run went on")


def test_what_the_observer_raises_ends_the_run() -> None:
    with pytest.raises(ViolationError, match="invariant 3: at"):
        run(Plan(seed=1, length_ms=12_000), Objector())


def loops() -> int:
    """The simulation's loops that are in memory, with all that belongs to them."""
    # By its type, since `isinstance` asks a weak proxy for what it no longer has.
    return sum(issubclass(type(thing), SimulationLoop) for thing in gc.get_objects())


@pytest.mark.parametrize("observer", [Watcher, Objector])
def test_a_run_leaves_nothing_behind(observer: type[Watcher]) -> None:
    watcher = observer()
    before = loops()
    try:
        run(Plan(seed=1, length_ms=5000, faults=(KILL,)), watcher)
    except ViolationError:
        assert observer is Objector
    assert loops() == before
    assert watcher.world is not None
    assert watcher.world.exchange.accounts["main"].fees > ZERO, "the books may be looked at"


def test_a_world_that_does_not_come_to_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "REST_S_MAX", 1.0)
    with pytest.raises(ViolationError, match="no rest") as violation:
        tell()
    assert violation.value.number == HARNESS


def test_a_world_that_does_not_trade_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "AGAIN_S_MAX", 0.0)
    with pytest.raises(ViolationError, match="no trading") as violation:
        tell()
    assert violation.value.number == HARNESS


def test_a_part_that_crashes_over_and_over_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise DependencyError("always")

    monkeypatch.setattr(StateApp, "run", fail)
    watcher = Watcher()
    with pytest.raises(ViolationError, match="state"):
        run(Plan(seed=1, length_ms=5000), watcher)
    assert watcher.world is not None
    crashes = [
        e for e in watcher.world.trace.entries if e.what == "crashed: DependencyError('always')"
    ]
    assert len(crashes) > 50
