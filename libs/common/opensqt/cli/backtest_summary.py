"""What `opensqt backtest` says on the terminal."""

from typing import TYPE_CHECKING

from opensqt.cli.output import Output

if TYPE_CHECKING:
    from opensqt.backtest.report.contents import Contents

NOTES_SHOWN = 5
"""Notes on the data that are written out; the rest is counted."""


def print_summary(output: Output, contents: "Contents") -> None:
    """Print what was run, what it earned and from what, and what to be careful about."""
    from opensqt.backtest.report.grid_rows import grid_rows
    from opensqt.backtest.report.rows import metric_rows, split_rows
    from opensqt.backtest.report.texts import utc

    result = contents.result
    for symbol, tape in contents.case.tapes.items():
        output.line(f"{symbol}: {tape.source}")
    output.line(
        f"{utc(result.start_ns)} to {utc(result.end_ns)} UTC; engine {result.mode}: "
        f"{result.acted:,} of {result.events:,} events acted on"
    )
    for detour in result.detours:
        output.line(f"  {detour}")
    accounts = contents.accounting.accounts
    for books in accounts:
        output.line("")
        if len(accounts) > 1:
            output.line(f"account {books.name}")
        head, *rows = split_rows(books)
        output.table([f"{head[0]}", *(f"{name} " for name in head[1:])], rows)
        output.line("")
        metrics = contents.metrics[books.name]
        output.table(["figure", "value "], [row[:2] for row in metric_rows(metrics, books.quote)])
        for bot in books.bots:
            output.line("")
            rows = [row[:2] for row in grid_rows(contents.economics[bot.bot_id], bot)]
            output.table([f"grid {bot.bot_id}", "value "], rows)
    _cautions(output, contents)


def _cautions(output: Output, contents: "Contents") -> None:
    """Warnings of the run and notes on the data, counted."""
    output.line("")
    for text in contents.warnings:
        output.line(f"warning: {text}")
    for symbol, note in contents.notes[:NOTES_SHOWN]:
        output.line(f"data: {symbol}: {note.count:,} x {note.kind}: {note.text}")
    hidden = len(contents.notes) - NOTES_SHOWN
    if hidden > 0:
        output.line(f"data: {hidden} more kinds of notes, in the report")
    counted = (len(contents.warnings), "warning"), (len(contents.notes), "note")
    told = ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for count, what in counted)
    output.line(f"{told} on the data")
