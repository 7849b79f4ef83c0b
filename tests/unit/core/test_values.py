"""`replace` does what that of `dataclasses` does, for every kind of value that the core changes."""

import dataclasses
from dataclasses import dataclass
from decimal import Decimal as D
from typing import Any

import pytest

from opensqt.core.grid.book import GridBook, GridTotals, Slot, SlotStatus
from opensqt.core.values import replace
from opensqt.testing import grids
from opensqt.testing.grids import identity


@dataclass(frozen=True)
class Slotless:
    price: int = 1


@dataclass(frozen=True, slots=True)
class Checked:
    price: int = 1

    def __post_init__(self) -> None:
        assert self.price > 0


@pytest.mark.parametrize(
    ("value", "changes"),
    [
        (Slot(price=D("1.0")), {"status": SlotStatus.LOCKED, "revision": 3}),
        (GridTotals(fills=3), {"fees": D("0.1")}),
        (GridBook(identity=identity()), {"revision": 7, "strays": frozenset({"a"})}),
        (grids.grid(), {}),
    ],
)
def test_it_is_that_of_the_standard_library(value: Any, changes: dict[str, Any]) -> None:
    before = repr(value)
    other = replace(value, **changes)
    assert other == dataclasses.replace(value, **changes)
    assert repr(other) == repr(dataclasses.replace(value, **changes))
    assert other is not value
    assert repr(value) == before


def test_what_comes_of_it_is_as_frozen_as_any() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        replace(Slot(price=D(1)), revision=2).revision = 3  # type: ignore[misc]


def test_a_field_that_is_not_there_is_an_error() -> None:
    with pytest.raises(TypeError, match="Slot has no field 'prize'; allowed: price, status"):
        replace(Slot(price=D(1)), prize=3)  # type: ignore[call-arg]


@pytest.mark.parametrize("value", [Slotless(), Checked()])
def test_what_could_not_be_copied_field_by_field_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="allowed: dataclasses with slots and no __post_init__"):
        replace(value, price=2)
