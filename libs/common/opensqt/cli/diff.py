"""`opensqt diff`: what two runs do differently, and why."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

import typer

from opensqt.backtest.diff.compare import Comparison, as_json, compare
from opensqt.backtest.diff.differences import Difference, span_text
from opensqt.backtest.diff.traded import TradedByBoth, traded_by_both
from opensqt.backtest.recorded.run import Run
from opensqt.backtest.recorded.runfile import RunFileError, read_run
from opensqt.cli.exit_codes import ExitCode
from opensqt.cli.output import CommandError, JsonOption, Output, command
from opensqt.cli.up import parse_duration
from opensqt.core.numbers import EXACT, plain

COLUMNS: Final = ("#", "at", "bot", "slot ", "order", "difference", "A", "B", "why")

NOT_ASSUMED: Final = frozenset({"from", "engine"})
"""What a run says of itself, and not of the world."""


def diff(
    run_a: Annotated[Path, typer.Argument(help="A run: what is measured against.")],
    run_b: Annotated[Path, typer.Argument(help="Another run.")],
    tolerance: Annotated[
        str,
        typer.Option(help="Times no further apart count as equal, such as 50ms or 0s."),
    ] = "50ms",
    same_clock: Annotated[
        bool,
        typer.Option(
            "--same-clock",
            help="Never take the clocks to be apart. Otherwise runs of different days, such as "
            "a recording and its replay, are compared from their first order on.",
        ),
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="Show at most this many differences.")
    ] = 50,
    as_json_option: JsonOption = False,
) -> None:
    """Say what two runs do differently: the first causes, and what follows.

    A run is every order and fill of a bot, as `opensqt backtest --json` and
    `opensqt export` write it, and `opensqt up` leaves it in ledger.json
    beside its logs. Orders are paired by bot, slot, side and purpose, in
    their order; client order ids do not matter.

    A backtest against the newest run of `make run`:

    opensqt diff backtest.json .run/current/ledger.json

    Two backtests on other assumptions, to the nanosecond, everything:

    opensqt diff a.json b.json --tolerance 0s --limit 1000

    Exit code 0: no differences. 1: there are some. 2: a file is no run.
    """
    with command(as_json=as_json_option) as output:
        tolerance_ns = round(parse_span(tolerance) * 1e9)
        runs = [_read(path) for path in (run_a, run_b)]
        comparison = compare(*runs, tolerance_ns=tolerance_ns, same_clock=same_clock)
        if as_json_option:
            output.json(as_json(comparison))
        else:
            tell(output, comparison, limit=limit)
        if comparison.differences:
            raise typer.Exit(ExitCode.FAILURE)


def parse_span(text: str) -> float:
    """A time such as ``50ms``, in seconds; nothing is allowed, too.

    Raises:
        CommandError: It is none.
    """
    if text.strip().rstrip("ms") in ("0", "0.0"):
        return 0.0
    try:
        return parse_duration(text)
    except CommandError:
        raise CommandError(
            f"--tolerance {text}: allowed is a number with ms, s or m, such as 50ms",
            ExitCode.USAGE,
        ) from None


def _read(path: Path) -> Run:
    try:
        return read_run(path)
    except RunFileError as error:
        raise CommandError(str(error), ExitCode.USAGE) from error


def tell(output: Output, comparison: Comparison, *, limit: int) -> None:
    """Say what a comparison found, to a person."""
    a, b = comparison.a, comparison.b
    if not comparison.differences:
        output.line(f"no differences: {len(a.orders)} orders, {a.fills} fills")
        return
    output.line(f"A: {a.source}: {len(a.orders)} orders, {a.fills} fills")
    output.line(f"B: {b.source}: {len(b.orders)} orders, {b.fills} fills")
    for name in sorted((a.assumed.keys() | b.assumed.keys()) - NOT_ASSUMED):
        ours, theirs = (run.assumed.get(name, "unknown") for run in (a, b))
        if ours != theirs:
            output.line(f"assumed otherwise: {name}: A {ours}, B {theirs}")
    if comparison.shift_ns:
        output.line(f"B's clock is taken to be {span_text(comparison.shift_ns)} than A's")
    start_ns = a.start_ns
    if start_ns is None:
        start_ns = min(found.time_ns for found in comparison.differences)
    shown = comparison.differences[:limit]
    output.table(
        COLUMNS,
        [_row(index, found, start_ns) for index, found in enumerate(shown)],
    )
    if len(shown) < len(comparison.differences):
        more = len(comparison.differences) - len(shown)
        output.line(f"and {more} more; --limit shows more, --json all")
    counts = Counter(found.kind.value for found in comparison.differences)
    output.line(
        f"{len(comparison.differences)} differences, {len(comparison.first_causes)} of them first "
        "causes: " + ", ".join(f"{number} {kind}" for kind, number in counts.most_common())
    )
    for both in traded_by_both(a, b):
        output.line(f"\nwhat {both.bot} traded, what it holds valued at {_plain(both.price)}")
        output.table((both.symbol, "A ", "B ", "B - A "), list(_money(both)))


def _money(both: TradedByBoth) -> Iterator[tuple[str, str, str, str]]:
    a, b = both.a, both.b
    for name, ours, theirs in (
        ("bought", a.bought, b.bought),
        ("sold", a.sold, b.sold),
        ("position", a.position, b.position),
        ("fees", a.fees, b.fees),
        ("result before funding", a.result, b.result),
    ):
        apart = None
        if ours is not None and theirs is not None:
            apart = EXACT.subtract(theirs, ours)
        yield name, _plain(ours), _plain(theirs), _plain(apart)


def _plain(number: Decimal | None) -> str:
    return "-" if number is None else plain(number)


def _row(index: int, found: Difference, start_ns: int) -> tuple[object, ...]:
    bot, _, slot_price, side, purpose = found.pair.key
    why = found.why
    if found.cause is not None and found.link is not None:
        follows = f"follows #{found.cause} ({found.link.value})"
        why = f"{why}; {follows}" if why else follows
    return (
        f"{index}",
        f"+{(found.time_ns - start_ns) / 1e9:.3f} s",
        bot,
        "-" if slot_price is None else plain(slot_price),
        f"{side.value} {purpose.value} {found.pair.number}",
        found.kind.value,
        found.a,
        found.b,
        why,
    )
