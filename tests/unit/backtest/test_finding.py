"""Both finders find the first event outside the ranges, wherever their blocks begin and end."""

import numpy as np
import pytest

from opensqt.backtest.columns import Ints
from opensqt.backtest.exact.finding import BLOCK_MIN, STEPS, Finder, Range, Skipping, Stepping

COUNT = 3 * STEPS
PRICE = np.full(COUNT, 50)
EDGES = [0, 1, BLOCK_MIN - 1, BLOCK_MIN, STEPS - 1, STEPS, STEPS + 1, 2 * STEPS, COUNT - 1]


def columns(*outliers: tuple[int, int, int]) -> tuple[Ints, ...]:
    """Three columns, the third of which is the second, with some other values."""
    made = [PRICE.copy(), PRICE.copy()]
    for column, index, value in outliers:
        made[column][index] = value
    return (*made, made[1])


@pytest.mark.parametrize("kind", [Stepping, Skipping])
@pytest.mark.parametrize("index", EDGES)
def test_the_first_is_found_in_whichever_column_it_is(
    kind: type[Stepping | Skipping], index: int
) -> None:
    both = (Range(0, 40, 60), Range(1, 40, 60))
    for column, value in ((0, 39), (0, 61), (1, 39), (1, 61)):
        finder: Finder = kind(columns((column, index, value), (1 - column, COUNT - 1, 99)))
        assert finder.first_outside(both, 0, COUNT) == index
        assert finder.first_outside(both, index, COUNT) == index
        assert finder.first_outside(both, 0, index) == index, "the end, since nothing is before it"
        assert finder.first_outside(both, index + 1, COUNT) == min(COUNT, max(index + 1, COUNT - 1))


@pytest.mark.parametrize("kind", [Stepping, Skipping])
def test_ranges_of_one_column_hold_together(kind: type[Stepping | Skipping]) -> None:
    finder: Finder = kind(columns((1, 7, 45), (1, STEPS + 7, 55)))
    assert finder.first_outside((Range(1, least=46), Range(2, most=54)), 0, COUNT) == 7
    assert finder.first_outside((Range(1, least=46), Range(2, most=54)), 8, COUNT) == STEPS + 7
    assert finder.first_outside((Range(1, most=54), Range(2, least=40)), 0, COUNT) == STEPS + 7
    assert finder.first_outside((Range(1), Range(2)), 0, COUNT) == COUNT
    assert finder.first_outside((), 5, COUNT) == COUNT
