"""YAML keeps what was written."""

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensqt.runtime.exact_yaml import YamlError, parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", "0.1"),
        ("0.10", "0.10"),
        ("1e-3", "1e-3"),
        (".inf", ".inf"),
        ("12", 12),
        ("-7", -7),
        ("0", 0),
        ("010", "010"),
        ("0x10", "0x10"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("true", True),
        ("no", "no"),
        ("on", "on"),
        ("null", None),
        ("", None),
        ("2024-08-08", "2024-08-08"),
        ("[1, 0.5, x]", [1, "0.5", "x"]),
        ("'12'", "12"),
    ],
)
def test_a_scalar_is_what_was_written(text: str, value: object) -> None:
    assert parse_yaml(text) == value
    assert type(parse_yaml(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: 1\na: 2", "line 2, column 1: the key 'a' is given twice"),
        ("a: [1", "line 1, column 6"),
        ("!!python/object/apply:os.system [id]", "column 1: the tag 'tag:yaml.org,2002:python/obj"),
        ("a: !!int x", "line 1, column 4: the tag 'tag:yaml.org,2002:int' is not read here"),
        ("? [a]\n: 1", "a key must be plain text"),
        ("a: &b [*b]", "line 1, column 8: an alias is not read here"),
        ("a: 1\n---\nb: 2", "but found another document"),
        ("x" * (1 << 20) + "x", "at most 1048576"),
        ("[" * 5000, "nested too deeply"),
    ],
)
def test_anything_else_is_refused_with_its_place(text: str, why: str) -> None:
    with pytest.raises(YamlError) as refused:
        parse_yaml(text)
    assert why in str(refused.value)


SCALARS = st.one_of(
    st.text(),
    st.integers(),
    st.decimals(allow_nan=False).map(str),
    st.sampled_from(["&a", "*a", "<<:", "!!int", "? ", "- ", "[", "{", "'", '"', "|", ">", "\t"]),
)


@given(st.lists(SCALARS, max_size=8).map(lambda parts: ": ".join(map(str, parts))))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(YamlError):
        parse_yaml(text)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_survives(number: Decimal) -> None:
    value = parse_yaml(str(number))
    assert Decimal(value) == number
    assert not isinstance(value, float)
