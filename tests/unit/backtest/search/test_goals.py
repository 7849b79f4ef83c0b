"""What is better: the front against its definition, and the point that is taken from it."""

from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st

from opensqt.backtest.search.goals import (
    Constraint,
    Direction,
    Goals,
    Objective,
    balanced,
    pareto_front,
)

GOALS = Goals(
    objectives=(
        Objective(measure="return", direction=Direction.MAXIMISE),
        Objective(measure="drawdown", direction=Direction.MINIMISE),
    )
)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=25))
def test_the_front_is_what_nothing_dominates(pairs: list[tuple[int, int]]) -> None:
    candidates = [(D(a), D(b)) for a, b in pairs]
    front = [candidates[index] for index in pareto_front(GOALS, candidates)]
    undominated = {
        one for one in candidates if not any(GOALS.dominates(x, one) for x in candidates)
    }
    assert set(front) == undominated
    assert len(front) == len(undominated), "equal ones stand once"
    assert front == sorted(front, key=lambda one: (-one[0], one[1]))


def test_of_equals_the_earliest_is_kept() -> None:
    assert pareto_front(GOALS, [(D(1), D(1)), (D(2), D(1)), (D(2), D(1))]) == (1,)


def test_domination_needs_one_better_and_none_worse() -> None:
    assert GOALS.dominates((D(2), D(1)), (D(1), D(1)))
    assert not GOALS.dominates((D(2), D(2)), (D(1), D(1)))
    assert not GOALS.dominates((D(1), D(1)), (D(1), D(1)))


def test_the_balanced_one_is_neither_extreme() -> None:
    front = [(D(100), D(50)), (D(90), D(10)), (D(10), D(0))]
    assert balanced(GOALS, front) == 1


def test_an_objective_that_does_not_differ_has_no_say() -> None:
    assert balanced(GOALS, [(D(1), D(7)), (D(3), D(7))]) == 1


def test_constraints_say_what_is_broken() -> None:
    goals = Goals(
        objectives=GOALS.objectives,
        constraints=(
            Constraint(measure="fills", at_least=D(10), at_most=D(20)),
            Constraint(measure="drawdown", at_most=D("0.2")),
        ),
    )
    assert goals.broken({"fills": D(10), "drawdown": D("0.2")}) == ()
    assert goals.broken({"fills": D(21), "drawdown": D("0.3")}) == (
        "fills at least 10 and at most 20",
        "drawdown at most 0.2",
    )
    assert goals.violations({"fills": D(7), "drawdown": D("0.1")}) == (D(3), D("-0.1"))
    assert goals.missing({"return": D(1), "drawdown": None}) == ("drawdown", "fills")
