"""Columns: tables of whole numbers, one NumPy array for each field, all of the same length."""

from dataclasses import dataclass, fields
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """Base of the tables; a field is a column, and a row is what they have at one index."""

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"{type(self).__name__}: columns differ in length: {lengths}")

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(
            np.array_equal(getattr(self, field.name), getattr(other, field.name))
            for field in fields(self)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays are not hashable

    @classmethod
    def of(cls, **columns: Any) -> Self:
        """A table from sequences; flags become booleans, everything else whole numbers."""
        kinds = {field.name: np.bool_ if field.type is Flags else np.int64 for field in fields(cls)}
        return cls(**{name: np.asarray(columns[name], dtype=kinds[name]) for name in kinds})

    @classmethod
    def empty(cls) -> Self:
        """A table without rows."""
        return cls.of(**{field.name: () for field in fields(cls)})

    def taken(self, index: Any) -> Self:
        """The rows that a slice, a mask or an array of indices picks."""
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})
