"""Pretends that a library is not installed, and leaves no trace of it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_OURS = "opensqt.backtest"


@contextmanager
def without(library: str) -> Iterator[None]:
    """Without a library, for what imports `opensqt.backtest` anew.

    Importing a module sets it as an attribute of its package, too. Were only `sys.modules` put
    back, the package would keep the second copy, and later tests would patch one and run the other.
    """
    before = _loaded(library)
    for name in before:
        del sys.modules[name]
    sys.modules[library] = None  # type: ignore[assignment]  # documented: an import of it fails
    try:
        yield
    finally:
        for name in _loaded(library):
            del sys.modules[name]
        sys.modules.update(before)
        for name, module in before.items():
            package, _, child = name.rpartition(".")
            if name.startswith(_OURS):
                setattr(sys.modules[package], child, module)


def _loaded(library: str) -> dict[str, ModuleType]:
    return {name: sys.modules[name] for name in sys.modules if name.startswith((library, _OURS))}
