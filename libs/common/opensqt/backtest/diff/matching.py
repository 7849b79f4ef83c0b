"""Which order of one run is which of the other: the n-th of its slot, unless some are missing.

Client order ids say nothing here, since they hold the ledger's epoch. Orders of one slot, side and
purpose come one after the other; where one run has more of them, or others, they are paired so
that as little as possible is left over and what is paired is as near in time as possible.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeAlias

from opensqt.backtest.recorded.run import RunOrder, RunPurpose
from opensqt.core.orders import Side

FAR_NS: Final = 5 * 10**9
"""Two orders so far apart are as unlike as one that is there and one that is not."""
UNLIKE: Final = 0.5
"""What another price or quantity counts, where an order that is left over counts 1."""
CELLS_MAX: Final = 4_000_000
"""Beyond this the n-th is paired with the n-th: hours of comparing would tell no more."""

Key: TypeAlias = tuple[str, str, Decimal | None, Side, RunPurpose]
"""Bot, symbol, slot, side, purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The same order in both runs, or one that only one of them has."""

    key: Key
    number: int
    """Which of its slot, side and purpose it is, from 1 on."""
    a: RunOrder | None
    b: RunOrder | None


def pair_up(a: Iterable[RunOrder], b: Iterable[RunOrder], *, tolerance_ns: int) -> tuple[Pair, ...]:
    """Pair the orders of two runs, whose clocks agree."""
    ours, theirs = _by_key(a), _by_key(b)
    pairs: list[Pair] = []
    for key in dict.fromkeys((*ours, *theirs)):
        matched = _align(ours.get(key, []), theirs.get(key, []), tolerance_ns)
        pairs += (
            Pair(key=key, number=number, a=one, b=other)
            for number, (one, other) in enumerate(matched, start=1)
        )
    return tuple(pairs)


def _by_key(orders: Iterable[RunOrder]) -> dict[Key, list[RunOrder]]:
    found: defaultdict[Key, list[RunOrder]] = defaultdict(list)
    for order in orders:
        key = (order.bot, order.symbol, order.slot_price, order.side, order.purpose)
        found[key].append(order)
    return found


_Matched: TypeAlias = list[tuple[RunOrder | None, RunOrder | None]]


def _align(a: Sequence[RunOrder], b: Sequence[RunOrder], tolerance_ns: int) -> _Matched:
    """Pair two sequences in their order; what is the same at both ends is paired at once."""
    head = 0
    while head < min(len(a), len(b)) and _same(a[head], b[head], tolerance_ns):
        head += 1
    tail = 0
    while tail < min(len(a), len(b)) - head and _same(a[-1 - tail], b[-1 - tail], tolerance_ns):
        tail += 1
    ends_a, ends_b = len(a) - tail, len(b) - tail
    return [
        *zip(a[:head], b[:head], strict=True),
        *_align_unlike(a[head:ends_a], b[head:ends_b]),
        *zip(a[ends_a:], b[ends_b:], strict=True),
    ]


def _align_unlike(a: Sequence[RunOrder], b: Sequence[RunOrder]) -> _Matched:
    """The cheapest alignment (Needleman and Wunsch, 1970)."""
    if len(a) * len(b) > CELLS_MAX or not a or not b:
        shorter = min(len(a), len(b))
        return [
            *zip(a[:shorter], b[:shorter], strict=True),
            *((order, None) for order in a[shorter:]),
            *((None, order) for order in b[shorter:]),
        ]
    costs = [[float(j) for j in range(len(b) + 1)]]
    for i, one in enumerate(a, start=1):
        above, row = costs[-1], [float(i)]
        for j, other in enumerate(b, start=1):
            paired = above[j - 1] + _cost(one, other)
            row.append(min(paired, above[j] + 1, row[j - 1] + 1))
        costs.append(row)
    found: _Matched = []
    i, j = len(a), len(b)
    while i or j:
        here = costs[i][j]
        if i and j and here == costs[i - 1][j - 1] + _cost(a[i - 1], b[j - 1]):
            i, j = i - 1, j - 1
            found.append((a[i], b[j]))
        elif i and here == costs[i - 1][j] + 1:
            i -= 1
            found.append((a[i], None))
        else:
            j -= 1
            found.append((None, b[j]))
    return found[::-1]


def _same(one: RunOrder, other: RunOrder, tolerance_ns: int) -> bool:
    apart_ns = _apart_ns(one, other)
    return _alike(one, other) and (apart_ns is None or apart_ns <= tolerance_ns)


def _cost(one: RunOrder, other: RunOrder) -> float:
    """From 0, the same, to 2: as good as one that is missing and one that is too many."""
    apart_ns = _apart_ns(one, other) or 0
    return min(2.0, apart_ns / FAR_NS + (0.0 if _alike(one, other) else UNLIKE))


def _alike(one: RunOrder, other: RunOrder) -> bool:
    return (one.price, one.quantity) == (other.price, other.quantity)


def _apart_ns(one: RunOrder, other: RunOrder) -> int | None:
    """By a time that both know; None when there is none."""
    for ours, theirs in ((one.decided_ns, other.decided_ns), (one.placed_ns, other.placed_ns)):
        if ours is not None and theirs is not None:
            return abs(ours - theirs)
    return None
