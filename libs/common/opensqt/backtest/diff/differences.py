"""What differs between an order and its counterpart, in words that a trader would use."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from opensqt.backtest.diff.matching import Pair
from opensqt.backtest.recorded.run import Run, RunEnd, RunFill, RunOrder
from opensqt.core.numbers import ZERO, plain


class DifferenceKind(StrEnum):
    """What differs."""

    MISSING_ORDER = "missing order"
    """A has it, B has not."""
    EXTRA_ORDER = "extra order"
    """B has it, A has not."""
    PRICE = "other price"
    QUANTITY = "other quantity"
    TIME = "time shifted"
    """Decided or taken at another time."""
    FILL_MISSING = "fill missing"
    """Filled in A, not in B."""
    FILL_EXTRA = "fill extra"
    """Filled in B, not in A."""
    FILL_PARTIAL = "partial and whole"
    """Filled in both, by another quantity."""
    FILL_PRICE = "fill at another price"
    FILL_SPLIT = "fill in other parts"
    """The same quantity at the same price, in more or fewer fills."""
    FILL_TIME = "fill at another time"
    FILL_ROLE = "maker and taker"
    FEE = "other fee"
    ENDED = "ended differently"

    @property
    def shifts_nothing(self) -> bool:
        """It changes neither what is held nor what rests."""
        return self in _HARMLESS


_HARMLESS = frozenset(
    {
        *(DifferenceKind.TIME, DifferenceKind.FILL_TIME, DifferenceKind.FILL_SPLIT),
        *(DifferenceKind.FEE, DifferenceKind.FILL_ROLE),
    }
)


class Link(StrEnum):
    """How a difference follows from an earlier one."""

    SLOT = "same slot"
    """What comes after a difference on a slot is another story on that slot."""
    GRID = "same grid"
    """It may follow: the grid's position and window are others from there on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that differs."""

    kind: DifferenceKind
    pair: Pair
    time_ns: int
    """When it first shows, by A's clock."""
    a: str
    """What A says; empty when it says nothing."""
    b: str
    why: str = ""
    """As far as the runs themselves tell."""
    cause: int | None = None
    """Index of the earlier difference that it follows from; None: it is a first cause."""
    link: Link | None = None


def differences_of(pair: Pair, a: Run, b: Run, *, tolerance_ns: int) -> Iterator[Difference]:
    """What differs in a pair; B's times are by A's clock already."""
    one, other = pair.a, pair.b
    if one is None or other is None:
        yield _unmatched(pair, a, b)
        return
    yield from _terms(pair, one, other, tolerance_ns)
    yield from _fills(pair, one, other, (a, b), tolerance_ns)
    if one.end is not other.end:
        ends = [t for t in (one.ended_ns, other.ended_ns) if t is not None]
        yield Difference(
            kind=DifferenceKind.ENDED,
            pair=pair,
            time_ns=min(ends, default=_last(one, other)),
            a=one.end.value,
            b=other.end.value,
        )


def _unmatched(pair: Pair, a: Run, b: Run) -> Difference:
    order = pair.a or pair.b
    assert order is not None
    missing = pair.b is None
    where, lacking = ("B", b) if missing else ("A", a)
    time_ns = _began(order)
    why = ""
    if lacking.end_ns is not None and time_ns > lacking.end_ns:
        why = f"{where} had ended by then"
    elif order.end is RunEnd.REFUSED:
        why = "it was refused, and is not tried at the same time in both"
    text = _order_text(order)
    return Difference(
        kind=DifferenceKind.MISSING_ORDER if missing else DifferenceKind.EXTRA_ORDER,
        pair=pair,
        time_ns=time_ns,
        a=text if missing else "",
        b="" if missing else text,
        why=why,
    )


def _terms(pair: Pair, one: RunOrder, other: RunOrder, tolerance_ns: int) -> Iterator[Difference]:
    began = min(_began(one), _began(other))
    if one.price != other.price:
        texts = [_text(order.price) for order in (one, other)]
        yield Difference(
            kind=DifferenceKind.PRICE, pair=pair, time_ns=began, a=texts[0], b=texts[1]
        )
    if one.quantity != other.quantity:
        texts = [plain(order.quantity) for order in (one, other)]
        yield Difference(
            kind=DifferenceKind.QUANTITY, pair=pair, time_ns=began, a=texts[0], b=texts[1]
        )
    for what, ours, theirs in _times(one, other):
        if ours is not None and theirs is not None and abs(ours - theirs) > tolerance_ns:
            yield Difference(
                kind=DifferenceKind.TIME,
                pair=pair,
                time_ns=min(ours, theirs),
                a="",
                b=f"{what} {span_text(theirs - ours)}",
            )
            return  # the rest of its times follow from the first


def _times(one: RunOrder, other: RunOrder) -> Iterator[tuple[str, int | None, int | None]]:
    yield "decided", one.decided_ns, other.decided_ns
    yield "taken", one.placed_ns, other.placed_ns
    if one.end is other.end and not one.fills and not other.fills:
        yield "ended", one.ended_ns, other.ended_ns


def _fills(
    pair: Pair,
    one: RunOrder,
    other: RunOrder,
    runs: tuple[Run, Run],
    tolerance_ns: int,
) -> Iterator[Difference]:
    ours, theirs = one.fills, other.fills
    kind: DifferenceKind | None = None
    why = ""
    if ours and not theirs:
        kind, why = DifferenceKind.FILL_MISSING, _why_unfilled(ours[0], other, runs[1], "B")
    elif theirs and not ours:
        kind, why = DifferenceKind.FILL_EXTRA, _why_unfilled(theirs[0], one, runs[0], "A")
    elif _total(ours) != _total(theirs):
        kind = DifferenceKind.FILL_PARTIAL
    elif [(f.price, f.quantity) for f in ours] != [(f.price, f.quantity) for f in theirs]:
        same = {f.price for f in ours} == {f.price for f in theirs}
        kind = DifferenceKind.FILL_SPLIT if same else DifferenceKind.FILL_PRICE
    if kind is not None:
        yield Difference(
            kind=kind,
            pair=pair,
            time_ns=min(fill.time_ns for fill in (*ours, *theirs)),
            a=_fills_text(ours),
            b=_fills_text(theirs),
            why=why,
        )
        return
    yield from _same_fills(pair, ours, theirs, tolerance_ns)


def _same_fills(
    pair: Pair, ours: tuple[RunFill, ...], theirs: tuple[RunFill, ...], tolerance_ns: int
) -> Iterator[Difference]:
    """Of fills with the same prices and quantities: the first of each kind of difference."""
    seen: set[DifferenceKind] = set()
    for one, other in zip(ours, theirs, strict=True):
        found: list[tuple[DifferenceKind, str, str]] = []
        if abs(one.time_ns - other.time_ns) > tolerance_ns:
            found.append((DifferenceKind.FILL_TIME, "", span_text(other.time_ns - one.time_ns)))
        if one.maker is not other.maker:
            found.append((DifferenceKind.FILL_ROLE, _role(one), _role(other)))
        elif None not in (one.fee, other.fee) and one.fee != other.fee:
            found.append((DifferenceKind.FEE, _text(one.fee), _text(other.fee)))
        for kind, a, b in found:
            if kind not in seen:
                seen.add(kind)
                time_ns = min(one.time_ns, other.time_ns)
                yield Difference(kind=kind, pair=pair, time_ns=time_ns, a=a, b=b)


def _why_unfilled(fill: RunFill, order: RunOrder, run: Run, name: str) -> str:
    """Why an order did not have a fill that its counterpart had."""
    if run.end_ns is not None and fill.time_ns > run.end_ns:
        return f"{name} had ended by then"
    if order.end is RunEnd.REFUSED:
        return f"{name}'s was refused"
    if order.end is RunEnd.ON_ITS_WAY:
        return f"{name}'s had not reached the exchange"
    if order.placed_ns is not None and order.placed_ns >= fill.time_ns:
        late = span_text(order.placed_ns - fill.time_ns).removesuffix(" later")
        return f"{name}'s was not there yet: it was taken {late} after that fill"
    if order.ended_ns is not None and order.ended_ns <= fill.time_ns:
        return f"{name}'s had ended before ({order.end.value})"
    return f"{name}'s rested and did not fill: more was ahead of it, or less traded"


def span_text(span_ns: int) -> str:
    """A time between two clocks, for people."""
    size_ns = abs(span_ns)
    for unit, of_ns in (("s", 10**9), ("ms", 10**6), ("µs", 10**3)):
        if size_ns >= of_ns:
            text = f"{size_ns / of_ns:.3f}".rstrip("0").rstrip(".") + f" {unit}"
            break
    else:
        text = f"{size_ns} ns"
    return f"{text} later" if span_ns >= 0 else f"{text} earlier"


def _began(order: RunOrder) -> int:
    known = order.first_ns
    return known if known is not None else min((f.time_ns for f in order.fills), default=0)


def _last(one: RunOrder, other: RunOrder) -> int:
    times = [fill.time_ns for order in (one, other) for fill in order.fills]
    return max((*times, _began(one), _began(other)))


def _total(fills: tuple[RunFill, ...]) -> Decimal:
    return sum((fill.quantity for fill in fills), ZERO)


def _order_text(order: RunOrder) -> str:
    filled = f", {plain(order.filled)} filled" if order.filled else ""
    return f"{plain(order.quantity)} @ {_text(order.price)} {order.end.value}{filled}"


def _fills_text(fills: tuple[RunFill, ...]) -> str:
    shown = ", ".join(f"{plain(f.quantity)} @ {plain(f.price)}" for f in fills[:3])
    more = f" and {len(fills) - 3} more" if len(fills) > 3 else ""
    return shown + more


def _role(fill: RunFill) -> str:
    return "maker" if fill.maker else "taker"


def _text(number: Decimal | None) -> str:
    return "none" if number is None else plain(number)
