"""Drawing: from a seed to a plan, in one place and always the same way.

A seed means the same plan for as long as `VERSION` stays; whoever changes what is drawn raises it,
and seeds that were noted before mean something else from then on.

What goes wrong stays within what the design claims to survive: clocks are off by less than the
fence's skew, look-ups lag by less than the fence's visibility. Everything else may be as bad as it
likes.
"""

import random
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from opensqt.core.grid.book import Direction
from opensqt.runtime.crash_points import CrashPoint
from simulation.plan import Fault, FaultKind, Link, Part, Plan

VERSION: Final = 1

SKEW_MS_MAX: Final = 900
"""Below the fence's bound of 1000 ms."""
STALE_MS_MAX: Final = 1800
"""Below the fence's bound of 2000 ms."""

_K = FaultKind
_Draw = random.Random
_Make = Callable[[_Draw, int], Fault]

_PARTS: Final = {
    Part.EXECUTION: 4,
    Part.STATE: 4,
    Part.MARKET_DATA: 3,
    Part.STRATEGY: 2,
    Part.RISK: 1,
}

_OWNERS: Final = {
    "placing": Part.EXECUTION,
    "canceling": Part.EXECUTION,
    "settling": Part.EXECUTION,
    "applying": Part.STATE,
    "publishing": Part.STATE,
    "telling": Part.MARKET_DATA,
    "deciding": Part.STRATEGY,
}


def owner_of(point: CrashPoint) -> Part:
    """The part that passes a crash point."""
    return _OWNERS[point.value.split(".", maxsplit=1)[0]]


def _part(rng: _Draw) -> Part:
    return rng.choices(list(_PARTS), list(_PARTS.values()))[0]


def _on(kind: FaultKind, length: tuple[int, int], *links: Link, value: int = 0) -> _Make:
    """A fault of messages: over one of `links`, seldom or nearly always."""

    def make(rng: _Draw, at_ms: int) -> Fault:
        return Fault(
            kind=kind,
            at_ms=at_ms,
            length_ms=rng.randint(*length),
            link=rng.choice(links),
            chance=rng.choice((0.05, 0.2, 0.5, 0.9)),
            value=rng.randint(value // 10, value) if value else 0,
        )

    return make


def _for(
    kind: FaultKind,
    length: tuple[int, int] = (0, 0),
    *,
    part: Callable[[_Draw], Part] | None = None,
    chances: tuple[float, ...] = (1.0,),
    values: tuple[int, int] = (0, 0),
    either_way: bool = False,
) -> _Make:
    """A fault of a part, of the exchange, or of the world."""

    def make(rng: _Draw, at_ms: int) -> Fault:
        value = rng.randint(*values)
        return Fault(
            kind=kind,
            at_ms=at_ms,
            length_ms=rng.randint(*length),
            part=part(rng) if part is not None else None,
            chance=rng.choice(chances),
            value=-value if either_way and rng.random() < 0.5 else value,
        )

    return make


def _at_point(rng: _Draw, at_ms: int) -> Fault:
    point = rng.choice(list(CrashPoint))
    return Fault(
        kind=_K.KILL_AT_POINT,
        at_ms=at_ms,
        length_ms=rng.randint(20, 3000),
        part=owner_of(point),
        point=point,
    )


_DOWN: Final = (20, 3000)
_WHILE: Final = (500, 8000)
_ALL: Final = (Link.BUS, Link.CALLS, Link.ORDERS, Link.LOOK_UPS, Link.STREAM)

GROUPS: Final[Mapping[str, Mapping[_Make, int]]] = {
    # What goes wrong, with how often, relative to the others of its group.
    "processes": {
        _for(_K.KILL, _DOWN, part=_part): 3,
        _at_point: 5,
        _for(_K.STALL, (200, 9000), part=_part): 2,
    },
    "messages": {
        _on(_K.LOSE, _WHILE, *_ALL): 3,
        _on(_K.DELAY, _WHILE, *_ALL, value=4000): 3,
        _on(_K.REPEAT, _WHILE, Link.BUS, Link.STREAM): 2,
        _on(_K.LOSE_ANSWERS, _WHILE, Link.CALLS, Link.ORDERS, Link.ORDERS, Link.LOOK_UPS): 4,
    },
    "storage": {
        _for(_K.BUS_DOWN, _DOWN): 2,
        _for(_K.BUS_WIPED, _DOWN): 2,
        _for(_K.STORE_DOWN, _DOWN): 3,
        _for(_K.STORE_WIPED, _DOWN): 2,
    },
    "exchange": {
        _for(_K.EXCHANGE_DOWN, _WHILE): 2,
        _for(_K.EXCHANGE_REFUSES, _WHILE): 1,
        _for(_K.RATE_LIMIT, _WHILE): 1,
        _for(_K.STREAM_DROP, _WHILE): 2,
        _for(_K.STREAM_SILENT, _WHILE): 2,
        _for(_K.STALE_READS, _WHILE, values=(100, STALE_MS_MAX)): 2,
        _for(_K.SELF_TRADE): 1,
        _for(_K.CANCELED_BY_EXCHANGE): 1,
    },
    "strangers": {
        _for(_K.MANUAL_ORDER): 2,
        _for(_K.OTHER_BOT_ORDER): 1,
        _for(_K.FORCED, chances=(0.1, 0.5, 1.0)): 1,
        _for(_K.SECOND_EXECUTOR, (2000, 15000)): 2,
    },
    "surroundings": {
        _for(
            _K.SKEW,
            (5000, 60_000),
            part=_part,
            values=(50, SKEW_MS_MAX),
            either_way=True,
        ): 3,
        _for(_K.PRICE_JUMP, values=(1, 12), either_way=True): 3,
        _for(_K.GATE_TRIP, (1000, 15_000)): 2,
    },
}

MIXTURES: Final[Mapping[tuple[tuple[str, ...], int], int]] = {
    # Which groups, and at most how many faults: with how often. A third of all runs is heavy.
    ((), 0): 1,
    (("processes",), 6): 3,
    (("messages",), 6): 3,
    (("storage",), 3): 2,
    (("exchange",), 5): 3,
    (("strangers",), 3): 2,
    (("surroundings",), 3): 1,
    (("processes", "messages"), 6): 4,
    (("processes", "exchange", "surroundings"), 6): 3,
    (("processes", "storage"), 5): 2,
    (tuple(GROUPS), 16): 8,
    (("processes", "messages", "exchange", "surroundings"), 14): 4,
}

ONCE: Final = frozenset({_K.FORCED, _K.OTHER_BOT_ORDER, _K.STORE_WIPED})
"""They stop the bot, or begin the ledger anew: more than one leaves little to be seen."""


def draw(seed: int) -> Plan:
    """The plan that a seed means."""
    rng = random.Random(f"plan {VERSION}/{seed}")
    length_ms = rng.randrange(20_000, 40_001, 1000)
    groups, most = rng.choices(list(MIXTURES), list(MIXTURES.values()))[0]
    makers = {make: weight for group in groups for make, weight in GROUPS[group].items()}
    faults: list[Fault] = []
    for _ in range(rng.randint(1, most) if makers else 0):
        make = rng.choices(list(makers), list(makers.values()))[0]
        fault = make(rng, rng.randrange(1000, length_ms, 10))
        if fault.kind not in ONCE or all(fault.kind is not known.kind for known in faults):
            faults.append(fault)
    return Plan(
        seed=seed,
        direction=rng.choice(list(Direction)),
        interval=Decimal(10),
        quantity=Decimal("0.02"),
        levels=rng.randint(3, 6),
        length_ms=length_ms,
        faults=tuple(sorted(_evenly(seed, faults), key=lambda fault: fault.at_ms)),
    )


def _evenly(seed: int, faults: list[Fault]) -> list[Fault]:
    """Give the first crash at a point the point whose turn it is, so that all are reached alike."""
    points = list(CrashPoint)
    point = points[seed % len(points)]
    for index, fault in enumerate(faults):
        if fault.kind is _K.KILL_AT_POINT:
            turn = Fault(
                kind=_K.KILL_AT_POINT,
                at_ms=fault.at_ms,
                length_ms=fault.length_ms,
                part=owner_of(point),
                point=point,
            )
            return [*faults[:index], turn, *faults[index + 1 :]]
    return faults
