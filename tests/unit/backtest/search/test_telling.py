"""What a search says to people: measures as they read them, and what to be careful about."""

from decimal import Decimal

import pytest

from opensqt.backtest.search.space import Choices, Range, SearchSpace
from opensqt.backtest.search.telling import at_edges, number, shown
from opensqt.backtest.search.trials import Outcome, Status, Trial
from tests.unit.backtest.search.stub import D, plan

SPACE = SearchSpace(
    axes=(
        Range(key="grid.interval", low=D(20), step=D(10), count=39),
        Choices(key="grid.max_position", values=(D("0.02"), D("0.04"), D("0.08"))),
        Choices(key="grid.direction", values=("LONG", "SHORT")),
        Choices(key="grid.post_only", values=(True, False)),
    ),
)


@pytest.mark.parametrize(
    ("measure", "value", "says"),
    [
        ("return_per_day", "0.00124418", "0.1244 %"),
        ("max_drawdown_share", "0.5", "50 %"),
        ("fills_per_day", "17.70012", "17.7"),
        ("turnover", "1344542.5", "1,344,542"),
        ("profit", "-0.00001234567", "-0.00001235"),
        ("liquidations", "0", "0"),
        ("height", "99.5", "99.5"),
    ],
)
def test_a_share_is_told_in_percent(measure: str, value: str, says: str) -> None:
    assert shown(measure, Decimal(value)) == says


def test_what_cannot_be_told_is_a_dash() -> None:
    assert (shown("sharpe", None), number(None)) == ("-", "-")


def test_a_choice_at_the_end_of_its_range_is_warned_of() -> None:
    searched = plan(space=SPACE)

    def warned(*point: int) -> list[str]:
        outcome = Outcome(status=Status.JUDGED)
        trial = Trial(number=0, point=point, outcome=outcome)
        return [text.split(" that")[0] for text in at_edges(searched, trial)]

    assert warned(38, 1, 0, 0) == ["grid.interval 400 is the largest"]
    assert warned(0, 2, 1, 1) == [
        "grid.interval 20 is the smallest",
        "grid.max_position 0.08 is the largest",
    ]
    assert not warned(5, 1, 0, 0)  # a direction and a switch have no ends
