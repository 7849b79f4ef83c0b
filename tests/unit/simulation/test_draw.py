"""Seeds mean plans: always the same ones, and all that can go wrong among them."""

import random
from collections import Counter

from opensqt.core.grid.book import Direction
from opensqt.runtime.crash_points import CrashPoint
from simulation.draw import GROUPS, SKEW_MS_MAX, STALE_MS_MAX, VERSION, draw, owner_of
from simulation.plan import FaultKind, Link, Part

PLANS = [draw(seed) for seed in range(300)]


def test_a_seed_means_the_same_plan_for_ever() -> None:
    # Whoever changes this has changed what is drawn, and raises VERSION.
    assert VERSION == 1
    assert [f"{fault.at_ms} {fault}" for fault in draw(5).faults] == [
        "2660 repeat stream 5% for 3346 ms",
        "9880 lose bus 20% for 3730 ms",
        "11060 lose answers look-ups 5% for 4075 ms",
    ]
    assert (draw(4).direction, draw(4).levels, draw(4).length_ms) == (Direction.LONG, 3, 21_000)


def test_every_fault_comes_up_within_300_seeds() -> None:
    kinds = {fault.kind for plan in PLANS for fault in plan.faults}
    assert kinds == set(FaultKind)


def test_every_crash_point_comes_up_about_as_often() -> None:
    points = Counter(fault.point for plan in PLANS for fault in plan.faults if fault.point)
    assert set(points) == set(CrashPoint)
    assert min(points.values()) >= 3


def test_every_part_and_link_comes_up() -> None:
    assert {fault.part for plan in PLANS for fault in plan.faults} >= set(Part)
    assert {fault.link for plan in PLANS for fault in plan.faults} >= set(Link)
    assert {plan.direction for plan in PLANS} == set(Direction)


def test_a_third_is_heavy_and_some_go_undisturbed() -> None:
    counts = [len(plan.faults) for plan in PLANS]
    assert sum(count > 5 for count in counts) >= 80
    assert 0 in counts


def test_clocks_and_look_ups_stay_within_what_the_fence_allows() -> None:
    for fault in (fault for plan in PLANS for fault in plan.faults):
        if fault.kind is FaultKind.SKEW:
            assert 0 < abs(fault.value) <= SKEW_MS_MAX < 1000
        if fault.kind is FaultKind.STALE_READS:
            assert 0 < fault.value <= STALE_MS_MAX < 2000


def test_a_crash_point_is_one_of_the_part_that_dies() -> None:
    for fault in (fault for plan in PLANS for fault in plan.faults):
        if fault.point is not None:
            assert fault.kind is FaultKind.KILL_AT_POINT
            assert fault.part is owner_of(fault.point)


def test_faults_lie_inside_the_run_and_in_order() -> None:
    for plan in PLANS:
        times = [fault.at_ms for fault in plan.faults]
        assert times == sorted(times)
        assert all(0 < time < plan.length_ms for time in times)


def test_each_group_can_make_each_of_its_faults() -> None:
    for makers in GROUPS.values():
        for make in makers:
            assert make(random.Random(1), 1000).at_ms == 1000
