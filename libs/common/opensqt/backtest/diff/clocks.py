"""By how much the clocks of two runs are apart: a replay happens long after its recording."""

from collections.abc import Iterable
from dataclasses import replace
from statistics import median_low

from opensqt.backtest.diff.matching import Pair
from opensqt.backtest.recorded.run import Run, RunOrder


def apart_ns(a: Run, b: Run) -> int:
    """How much later B's clock is: 0 for runs of the same time, else from first order to first."""
    first_a, last_a = _span(a)
    first_b, last_b = _span(b)
    if first_a is None or first_b is None or last_a is None or last_b is None:
        return 0
    if first_a <= last_b and first_b <= last_a:
        return 0
    return first_b - first_a


def correction_ns(pairs: Iterable[Pair]) -> int:
    """What the fills say of a shift between the clocks that is left; one trade makes both."""
    spans = [
        theirs.time_ns - ours.time_ns
        for pair in pairs
        if pair.a is not None and pair.b is not None
        for ours, theirs in zip(pair.a.fills, pair.b.fills, strict=False)
        if (ours.price, ours.quantity) == (theirs.price, theirs.quantity)
    ]
    return median_low(spans) if spans else 0


def shifted(run: Run, by_ns: int) -> Run:
    """A run with every time later by `by_ns`."""
    if not by_ns:
        return run

    def later(time_ns: int | None) -> int | None:
        return None if time_ns is None else time_ns + by_ns

    orders = tuple(
        replace(
            order,
            decided_ns=later(order.decided_ns),
            placed_ns=later(order.placed_ns),
            ended_ns=later(order.ended_ns),
            fills=tuple(replace(fill, time_ns=fill.time_ns + by_ns) for fill in order.fills),
        )
        for order in run.orders
    )
    return replace(run, orders=orders, start_ns=later(run.start_ns), end_ns=later(run.end_ns))


def _span(run: Run) -> tuple[int | None, int | None]:
    times = [time_ns for order in run.orders for time_ns in _times(order)]
    return min(times, default=None), max(times, default=None)


def _times(order: RunOrder) -> Iterable[int]:
    yield from (t for t in (order.decided_ns, order.placed_ns, order.ended_ns) if t is not None)
    yield from (fill.time_ns for fill in order.fills)
