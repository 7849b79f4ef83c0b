"""Compiling: Numba behind two typed decorators; whoever wants to know is told when it is at work.

`part` marks what is only called by other compiled code, `whole` what Python calls. Only the latter
is kept in Numba's cache on disk: beside this file, or in the user's own cache where that cannot be
written, or nowhere. It is compiled anew when any file of this folder changes.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numba import njit
from numba.core import event
from numpy.typing import NDArray

from opensqt.backtest.integer.notices import compiling

Record: TypeAlias = Any
"""A row of an array of `records`, by reference; its fields are whole numbers."""
Records: TypeAlias = NDArray[np.void]

F = TypeVar("F", bound=Callable[..., Any])


def part(function: F) -> F:
    """Compile a function together with those that call it."""
    return cast("F", njit(error_model="numpy")(function))


def whole(make: Callable[[str], F]) -> F:
    """Compile the function that `make` returns, and keep it on disk.

    Args:
        make: Is given the digest of this folder's sources, to be used in the function: Numba looks
            at a function's own file and at what it encloses, not at what it calls.
    """
    function = make(_digest())
    try:
        return cast("F", njit(cache=True, error_model="numpy")(function))
    except RuntimeError:  # there is no place for a cache
        return cast("F", njit(error_model="numpy")(function))


class _Compiling(event.Listener):
    def on_start(self, event: object) -> None:  # noqa: ARG002  # as it is called
        compiling()

    def on_end(self, event: object) -> None:
        """Nothing is told of that."""


event.register("numba:compile", _Compiling())  # type: ignore[no-untyped-call]  # Numba


@cache
def _digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
