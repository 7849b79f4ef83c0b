"""Stories: what happened to one order, in order, for a person to read.

A trace has thousands of lines. A story has the faults that were needed, the lines about the order
in question and about the others of its slot, and what is wrong in the end.
"""

import re
from typing import Final

from opensqt.core.identifiers import GridOrderId, parse_order_id
from opensqt.core.numbers import plain
from simulation.observer import HARNESS, ViolationError
from simulation.plan import Plan
from simulation.trace import Entry, Trace

_WORD: Final = re.compile("[a-z0-9]+")

LINES_MAX: Final = 80
"""A longer story is cut in the middle; its beginning and its end say most."""
BEFORE_NS: Final = 5 * 10**9
"""How long before the order's first line the story begins with what concerns everybody."""

EVERYBODY: Final = frozenset({"fault"})
"""Who says what concerns every order."""


def story(
    plan: Plan,
    trace: Trace,
    violation: ViolationError,
    *,
    drawn: int | None = None,
    defect: str = "",
) -> str:
    """Tell how a violation came about.

    Args:
        plan: What was run; the smallest that was found.
        trace: What happened.
        violation: How it ended.
        drawn: How many faults the seed means, if more than `plan` has.
        defect: The deliberate defect that was switched on.
    """
    about = violation.about or _named_in(violation.what)
    lines = [
        f"seed {plan.seed}: {_name(violation.number)} does not hold",
        f"    {violation.what}",
        f"    see it whole: make sim SEED={plan.seed}{f' DEFECT={defect}' if defect else ''}",
        "",
        f"{_grid(plan)} {_needed(plan, drawn)}",
        *(f"{fault.at_ms / 1e3:10.4f} s  {fault}" for fault in plan.faults),
        "",
        f"What happened to {about}, {_described(about)}:" if about else "What happened last:",
        *_cut([str(entry) for entry in concerning(trace, about)]),
        "",
        f"    and so: {violation.what}",
    ]
    return "\n".join(lines)


def concerning(trace: Trace, about: str) -> list[Entry]:
    """The entries about an order, about the others of its slot, and about everybody.

    From shortly before its first entry; without an order, the last entries of all.
    """
    if not about:
        return trace.entries[-LINES_MAX:]
    first_ns = next((e.time_ns for e in trace.entries if _mentions(e, {about})), 0)
    slot = _slot(about)
    related = {about}
    if slot is not None:
        ids = {entry.about for entry in trace.entries if entry.time_ns >= first_ns}
        related |= {oid for oid in ids if oid and _slot(oid) == slot}
    return [
        entry
        for entry in trace.entries
        if (entry.time_ns >= first_ns and _mentions(entry, related))
        or (entry.who in EVERYBODY and entry.time_ns >= first_ns - BEFORE_NS)
    ]


def _named_in(text: str) -> str:
    """The first of our order ids in a text; empty when there is none."""
    return next((word for word in _WORD.findall(text) if parse_order_id(word)), "")


def _mentions(entry: Entry, client_oids: set[str]) -> bool:
    """Whether an entry is about one of these orders, alone or among others."""
    return entry.about in client_oids or any(oid in entry.what for oid in client_oids)


def _slot(client_oid: str) -> object:
    parsed: GridOrderId | None = parse_order_id(client_oid)
    return None if parsed is None else (parsed.bot_tag, parsed.slot_price)


def _described(client_oid: str) -> str:
    parsed = parse_order_id(client_oid)
    if parsed is None:
        return "whose id is not one of ours"
    return (
        f"cycle {parsed.cycle} of slot {plain(parsed.slot_price)} "
        f"({parsed.purpose.lower()}, {parsed.side.lower()})"
    )


def _name(number: int) -> str:
    if number == HARNESS:
        return "what every run must come to"
    return f"invariant {number} of docs/invariants.md"


def _grid(plan: Plan) -> str:
    return (
        f"A {plan.direction} grid, {plan.levels} levels every {plain(plan.interval)}, "
        f"{plain(plan.quantity)} each; {plan.length_ms} ms."
    )


def _needed(plan: Plan, drawn: int | None) -> str:
    if not plan.faults:
        return "Nothing goes wrong on purpose."
    if drawn is None or drawn == len(plan.faults):
        return "What goes wrong on purpose:"
    return f"What goes wrong on purpose ({len(plan.faults)} of the seed's {drawn} are enough):"


def _cut(lines: list[str]) -> list[str]:
    if len(lines) <= LINES_MAX:
        return lines
    head, tail = LINES_MAX // 3, LINES_MAX - LINES_MAX // 3
    left_out = f"{'':14}... {len(lines) - LINES_MAX} lines left out ..."
    return [*lines[:head], left_out, *lines[-tail:]]
