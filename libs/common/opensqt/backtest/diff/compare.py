"""Two runs held against each other: every difference, and from which it follows."""

from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from opensqt.backtest.diff.clocks import apart_ns, correction_ns, shifted
from opensqt.backtest.diff.differences import Difference, Link, differences_of
from opensqt.backtest.diff.matching import pair_up
from opensqt.backtest.runfile import Run
from opensqt.core.numbers import plain

TOLERANCE_NS: Final = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came of comparing two runs."""

    a: Run
    b: Run
    paired: int
    """Orders that both have."""
    shift_ns: int
    """How much later B's clock is than A's; times are compared by A's."""
    tolerance_ns: int
    differences: tuple[Difference, ...]
    """By the time at which they first show."""

    @property
    def first_causes(self) -> tuple[Difference, ...]:
        """Those that follow from no other."""
        return tuple(found for found in self.differences if found.cause is None)


def compare(
    a: Run, b: Run, *, tolerance_ns: int = TOLERANCE_NS, same_clock: bool = False
) -> Comparison:
    """Compare two runs.

    Args:
        a: The one that is measured against.
        b: The other.
        tolerance_ns: Times that are no further apart count as equal.
        same_clock: Never take the clocks to be apart, however different the times are.
    """
    shift_ns = 0 if same_clock else apart_ns(a, b)
    moved = shifted(b, -shift_ns)
    pairs = pair_up(a.orders, moved.orders, tolerance_ns=tolerance_ns)
    if shift_ns:
        shift_ns += correction_ns(pairs)
        moved = shifted(b, -shift_ns)
        pairs = pair_up(a.orders, moved.orders, tolerance_ns=tolerance_ns)
    found = [
        difference
        for pair in pairs
        for difference in differences_of(pair, a, moved, tolerance_ns=tolerance_ns)
    ]
    found.sort(key=lambda difference: difference.time_ns)
    return Comparison(
        a=a,
        b=b,
        paired=sum(pair.a is not None and pair.b is not None for pair in pairs),
        shift_ns=shift_ns,
        tolerance_ns=tolerance_ns,
        differences=_with_causes(found),
    )


def _with_causes(found: list[Difference]) -> tuple[Difference, ...]:
    """Say of each what it follows from.

    On its own slot from the first difference there. Else, perhaps, from the first one of the grid
    that changed what is held or what rests, if that was earlier.
    """
    on_slot: dict[tuple[str, str, Decimal | None], int] = {}
    on_grid: dict[tuple[str, str], int] = {}
    linked: list[Difference] = []
    for index, difference in enumerate(found):
        bot, symbol, slot_price, *_ = difference.pair.key
        slot, grid = (bot, symbol, slot_price), (bot, symbol)
        cause: int | None = None
        link: Link | None = None
        if slot in on_slot:
            cause, link = on_slot[slot], Link.SLOT
        elif grid in on_grid and found[on_grid[grid]].time_ns < difference.time_ns:
            cause, link = on_grid[grid], Link.GRID
        on_slot.setdefault(slot, index)
        if not difference.kind.shifts_nothing:
            on_grid.setdefault(grid, index)
        linked.append(replace(difference, cause=cause, link=link))
    return tuple(linked)


def as_json(comparison: Comparison) -> dict[str, object]:
    """A comparison as plain values."""
    counts = Counter(difference.kind.value for difference in comparison.differences)
    return {
        "same": not comparison.differences,
        "orders": [len(comparison.a.orders), len(comparison.b.orders)],
        "fills": [comparison.a.fills, comparison.b.fills],
        "paired": comparison.paired,
        "shift_ns": comparison.shift_ns,
        "tolerance_ns": comparison.tolerance_ns,
        "counts": dict(sorted(counts.items())),
        "differences": [_as_row(difference) for difference in comparison.differences],
    }


def _as_row(difference: Difference) -> dict[str, object]:
    bot, symbol, slot_price, side, purpose = difference.pair.key
    return {
        "kind": difference.kind.value,
        "bot": bot,
        "symbol": symbol,
        "slot_price": None if slot_price is None else plain(slot_price),
        "side": side.value,
        "purpose": purpose.value,
        "number": difference.pair.number,
        "time_ns": difference.time_ns,
        "a": difference.a,
        "b": difference.b,
        "why": difference.why,
        "cause": difference.cause,
        "link": None if difference.link is None else difference.link.value,
    }
