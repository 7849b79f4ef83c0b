"""What a run is freed from: logs, metrics, traces, garbage collection in the middle.

The garbage collector is off during a run, since it would close the coroutines of dead processes at
some step or other, and their ``finally`` blocks would run. What a run leaves is collected after it.
"""

import contextlib
import gc
import logging
import random
import sys
import warnings
from collections.abc import Iterator
from typing import Any, Final, Self

import structlog

from opensqt.runtime.metrics import Metrics
from opensqt.runtime.tracing import without_spans

_SILENT: Final = structlog.make_filtering_bound_logger(logging.CRITICAL)

COLLECTIONS_MAX: Final = 10


class _Nothing:
    """A metric that counts nothing."""

    def labels(self, *_: object, **__: object) -> Self:
        return self

    def _ignore(self, *_: object, **__: object) -> None:
        return None

    inc = dec = set = observe = set_function = _ignore

    @contextlib.contextmanager
    def time(self) -> Iterator[None]:
        yield

    track_inprogress = time


_NOTHING: Final = _Nothing()


class NoMetrics(Metrics):
    """Metrics that nobody reads; one for all processes of all runs."""

    def counter(self, *_: object, **__: object) -> Any:
        """Count nothing."""
        return _NOTHING

    gauge = histogram = counter


NO_METRICS: Final = NoMetrics()


@contextlib.contextmanager
def quiet(seed: int) -> Iterator[None]:
    """Run something without logs, and without garbage collection until it is over.

    Args:
        seed: Whoever asks the global random numbers gets the same ones in every run.
    """
    configured = structlog.get_config()
    state = random.getstate()
    collecting = gc.isenabled()
    gc.disable()
    gc.freeze()
    structlog.configure(wrapper_class=_SILENT, processors=[], cache_logger_on_first_use=False)
    random.seed(seed)
    try:
        with without_spans(), _unraisable_ignored():
            yield
            with warnings.catch_warnings(action="ignore"):  # of coroutines that never began
                for _ in range(COLLECTIONS_MAX):  # closing one may free others
                    if not gc.collect():
                        break
    finally:
        gc.unfreeze()
        random.setstate(state)
        structlog.configure(**configured)
        if collecting:
            gc.enable()


@contextlib.contextmanager
def _unraisable_ignored() -> Iterator[None]:
    """The coroutines of the dead are closed, and not all of them like it."""
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        yield
    finally:
        sys.unraisablehook = hook
