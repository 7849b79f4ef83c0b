"""The lattice of settings: exact, whatever the step."""

from decimal import Decimal as D

from opensqt.backtest.search.space import Choices, Range, SearchSpace


def test_values_are_exact_where_floats_are_not() -> None:
    axis = Range(key="grid.interval", low=D("0.1"), step=D("0.1"), count=10)
    assert [axis.value(i) for i in range(10)] == [
        D("0.1"), D("0.2"), D("0.3"), D("0.4"), D("0.5"),
        D("0.6"), D("0.7"), D("0.8"), D("0.9"), 1,
    ]  # fmt: skip
    assert str(axis.value(2)) == "0.3"
    assert isinstance(axis.value(9), int)


def test_a_grid_keeps_both_ends_and_spreads_evenly() -> None:
    axis = Range(key="x", low=D(10), step=D(1), count=91, grid_points=4)
    assert [axis.value(i) for i in axis.grid()] == [10, 40, 70, 100]


def test_a_logarithmic_grid_spreads_by_ratio_on_the_lattice() -> None:
    axis = Range(key="x", low=D(10), step=D(10), count=100, log=True, grid_points=4)
    assert [axis.value(i) for i in axis.grid()] == [10, 50, 210, 1000] or [
        axis.value(i) for i in axis.grid()
    ] == [10, 50, 220, 1000]


def test_a_grid_of_small_whole_numbers_tries_none_twice() -> None:
    axis = Range(key="x", low=D(1), step=D(1), count=8, log=True, grid_points=7)
    values = [axis.value(i) for i in axis.grid()]
    assert values == sorted(set(values))
    assert (values[0], values[-1]) == (1, 8)


def test_a_point_stands_for_settings_and_for_those_that_follow_them() -> None:
    space = SearchSpace(
        axes=(
            Range(key="grid.buy_levels", low=D(2), step=D(2), count=5),
            Choices(key="grid.post_only", values=(True, False)),
        ),
        same={"grid.sell_levels": "grid.buy_levels"},
    )
    assert space.settings((3, 1)) == {
        "grid.buy_levels": 8,
        "grid.post_only": False,
        "grid.sell_levels": 8,
    }
    assert space.size == space.grid_size == 10
    assert list(space.grid())[:3] == [(0, 0), (0, 1), (1, 0)]
