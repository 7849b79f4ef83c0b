"""`part`: what is compiled into the loop, typed; and what its records are for a type checker."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

from numba import njit

Record: TypeAlias = Any
"""A row of a table of `records`, by reference; its fields are whole numbers."""

F = TypeVar("F", bound=Callable[..., Any])


def part(function: F) -> F:
    """Compile a function together with those that call it."""
    return cast("F", njit(error_model="numpy")(function))
