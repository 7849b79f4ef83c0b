"""Plans that fail are made smaller, and still fail in the same way."""

from simulation.plan import Fault, FaultKind, Plan
from simulation.shrink import shrink


def plan(*values: int, chance: float = 1.0) -> Plan:
    faults = tuple(
        Fault(kind=FaultKind.PRICE_JUMP, at_ms=100 * n, value=value, chance=chance)
        for n, value in enumerate(values)
    )
    return Plan(seed=1, faults=faults)


def left(shrunk: Plan) -> list[int]:
    return [fault.value for fault in shrunk.faults]


def test_only_what_is_needed_is_left() -> None:
    needs = {3, 11}
    shrunk = shrink(plan(*range(16)), lambda p: needs <= set(left(p)))
    assert left(shrunk) == [3, 11]


def test_what_needs_no_fault_has_none() -> None:
    assert left(shrink(plan(*range(9)), lambda _: True)) == []


def test_what_needs_all_keeps_all() -> None:
    assert left(shrink(plan(1, 2, 3), lambda p: left(p) == [1, 2, 3])) == [1, 2, 3]


def test_the_run_is_made_shorter_but_not_shorter_than_its_faults() -> None:
    long = Plan(seed=1, faults=(Fault(kind=FaultKind.BUS_DOWN, at_ms=6000),))
    assert shrink(long, lambda p: len(p.faults) == 1).length_ms == 10_000


def test_what_is_left_happens_for_certain() -> None:
    shrunk = shrink(plan(1, 2, chance=0.2), lambda p: 2 in left(p))
    assert [fault.chance for fault in shrunk.faults] == [1.0]


def test_it_gives_up_in_the_end() -> None:
    runs = 0

    def fails(_: Plan) -> bool:
        nonlocal runs
        runs += 1
        return False

    big = plan(*range(500))
    assert shrink(big, fails, runs_max=20) == big
    assert runs == 20
