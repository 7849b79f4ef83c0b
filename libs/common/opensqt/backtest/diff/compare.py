"""Two runs held against each other: every difference, and from which it follows."""

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, TypeAlias

from opensqt.backtest.diff.clocks import apart_ns, correction_ns, shifted
from opensqt.backtest.diff.differences import Difference, Link, differences_of
from opensqt.backtest.diff.matching import Pair, pair_up
from opensqt.backtest.diff.traded import Traded, TradedByBoth, traded_by_both
from opensqt.backtest.recorded.run import Run, RunEnd, RunOrder
from opensqt.core.numbers import plain

TOLERANCE_NS: Final = 50_000_000

_Slot: TypeAlias = tuple[str, str, Decimal | None]
"""Bot, symbol and price of a slot."""


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
    found: list[Difference | _Again] = []
    for pair in pairs:
        differences = tuple(differences_of(pair, a, moved, tolerance_ns=tolerance_ns))
        found += differences
        if all(difference.kind.shifts_nothing for difference in differences):
            found += _again(pair, differ=bool(differences))
    found.sort(key=lambda item: item.time_ns)
    return Comparison(
        a=a,
        b=b,
        paired=sum(pair.a is not None and pair.b is not None for pair in pairs),
        shift_ns=shift_ns,
        tolerance_ns=tolerance_ns,
        differences=_with_causes(found),
    )


@dataclass(frozen=True, slots=True)
class _Again:
    """From here on a slot is the same in both runs, whatever was before."""

    pair: Pair
    time_ns: int


def _again(pair: Pair, *, differ: bool) -> tuple[_Again, ...]:
    """When a pair's slot is the same in both: from the beginning, or once the pair has ended."""
    assert pair.a is not None
    assert pair.b is not None
    if not differ:
        return (_Again(pair, pair.a.first_ns or 0),)
    ours, theirs = _over_ns(pair.a), _over_ns(pair.b)
    return () if ours is None or theirs is None else (_Again(pair, max(ours, theirs)),)


def _over_ns(order: RunOrder) -> int | None:
    """When an order had ended on the exchange; a ledger hears of it later."""
    if order.end is RunEnd.FILLED and order.fills:
        return order.fills[-1].time_ns
    return order.ended_ns


def _with_causes(found: list[Difference | _Again]) -> tuple[Difference, ...]:
    """Say of each difference what it follows from.

    What follows a difference on its slot follows from it, until an order of that slot is the same
    in both again, or was only late. What follows one that changed what is held or what rests on
    another slot may follow from it as well, for as long.

    Args:
        found: Differences, and where slots are the same again, by time.
    """
    on_slot: dict[_Slot, int] = {}
    on_grid: defaultdict[tuple[str, str], dict[_Slot, int]] = defaultdict(dict)
    linked: list[Difference] = []
    for item in found:
        bot, symbol, slot_price, *_ = item.pair.key
        slot, open_causes = (bot, symbol, slot_price), on_grid[bot, symbol]
        if isinstance(item, _Again):
            on_slot.pop(slot, None)
            open_causes.pop(slot, None)
            continue
        earlier = [n for n in open_causes.values() if linked[n].time_ns < item.time_ns]
        cause: int | None = None
        link: Link | None = None
        if slot in on_slot:
            cause, link = on_slot[slot], Link.SLOT
        elif earlier:
            cause, link = min(earlier), Link.GRID
        on_slot.setdefault(slot, len(linked))
        if not item.kind.shifts_nothing:
            open_causes.setdefault(slot, len(linked))
        linked.append(replace(item, cause=cause, link=link))
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
        "traded": [_as_traded(both) for both in traded_by_both(comparison.a, comparison.b)],
        "differences": [_as_row(difference) for difference in comparison.differences],
    }


def _as_traded(both: TradedByBoth) -> dict[str, object]:
    return {
        "bot": both.bot,
        "symbol": both.symbol,
        "price": None if both.price is None else plain(both.price),
        **{name: _as_side(side) for name, side in (("a", both.a), ("b", both.b))},
    }


def _as_side(traded: Traded) -> dict[str, str | None]:
    values = {
        "bought": traded.bought,
        "sold": traded.sold,
        "position": traded.position,
        "fees": traded.fees,
        "result": traded.result,
    }
    return {name: None if value is None else plain(value) for name, value in values.items()}


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
