"""Exact numbers in and out."""

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensqt.core.numbers import (
    NotExactError,
    ceil_to,
    floor_to,
    is_multiple,
    parse_decimal,
    plain,
    round_to,
)

prices = st.decimals(min_value=D("-1e9"), max_value=D("1e9"), places=8)
steps = st.sampled_from([D("0.1"), D("0.001"), D(5), D("0.00000001"), D("0.25")])


@pytest.mark.invariant(13)
@pytest.mark.parametrize(
    "bad", ["", "NaN", "Infinity", "-inf", "1,5", "0x10", "1e99", "1" * 40, " ", 0.1, True, None]
)
def test_what_is_not_an_exact_finite_number_is_refused(bad: object) -> None:
    with pytest.raises(NotExactError, match="price"):
        parse_decimal(bad, name="price")  # type: ignore[arg-type]


@given(prices)
def test_text_goes_out_plain_and_comes_back_the_same(number: D) -> None:
    text = plain(number)
    assert "E" not in text
    assert parse_decimal(text) == number


@given(prices, steps)
def test_rounding_lands_on_the_step_on_the_right_side(number: D, step: D) -> None:
    below, above = floor_to(number, step), ceil_to(number, step)
    assert below <= number <= above
    assert above - below in (0, step)
    assert round_to(number, step) in (below, above)
    assert all(is_multiple(n, step) for n in (below, above))
