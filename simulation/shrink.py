"""Shrinking: from a plan that fails to a smaller one that fails in the same way.

First faults are left out, in halves, quarters and so on down to single ones (ddmin); then the run
is made shorter; then what is left of the faults is made milder. Leaving a fault out leaves all
other randomness as it was, so most of a story survives the loss of a chapter.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from simulation.plan import Fault, Plan

Fails = Callable[[Plan], bool]
"""Whether a plan fails in the same way."""


@dataclass(slots=True)
class _Budget:
    """How often the plan may be run again."""

    left: int

    def spend(self) -> bool:
        self.left -= 1
        return self.left >= 0


def shrink(plan: Plan, fails: Fails, *, runs_max: int = 120) -> Plan:
    """The smallest plan found that still fails; `plan` itself if nothing can be left out.

    Args:
        plan: It fails.
        fails: Runs a plan.
        runs_max: How many plans are tried at most.
    """
    budget = _Budget(runs_max)

    def still(candidate: Plan) -> bool:
        return budget.spend() and fails(candidate)

    for step in (_fewer, _shorter, _simpler):
        plan = step(plan, still)
    return plan


def _fewer(plan: Plan, fails: Fails) -> Plan:
    pieces = 2
    while plan.faults:
        size = max(1, -(-len(plan.faults) // pieces))
        for without in _without(plan.faults, size):
            if fails(candidate := replace(plan, faults=without)):
                plan = candidate
                pieces = max(2, pieces - 1)
                break
        else:
            if size == 1:
                return plan
            pieces *= 2
    return plan


def _without(faults: tuple[Fault, ...], size: int) -> Iterator[tuple[Fault, ...]]:
    for start in range(0, len(faults), size):
        yield faults[:start] + faults[start + size :]


def _shorter(plan: Plan, fails: Fails) -> Plan:
    last_ms = max((fault.at_ms for fault in plan.faults), default=0)
    for length_ms in (2000, 5000, 10_000, 20_000):
        if last_ms < length_ms < plan.length_ms:
            candidate = replace(plan, length_ms=length_ms)
            if fails(candidate):
                return candidate
    return plan


def _simpler(plan: Plan, fails: Fails) -> Plan:
    """Certain instead of probable: a story with a chance in it is harder to follow."""
    for index, fault in enumerate(plan.faults):
        if fault.chance < 1:
            certain = replace(fault, chance=1.0)
            faults = (*plan.faults[:index], certain, *plan.faults[index + 1 :])
            if fails(candidate := replace(plan, faults=faults)):
                plan = candidate
    return plan
