"""How commands speak: to people as text and tables, with --json to programs.

Results go to stdout, everything else to stderr. With --json a command prints exactly one JSON
value (a watching command: one a line), an error included.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from opensqt.cli.exit_codes import ExitCode
from opensqt.core.numbers import plain

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


class CommandError(Exception):
    """Ends a command with a message and an exit code.

    Args:
        text: What went wrong and what can be done, for a person.
        code: The exit code.
        details: What a program wants to know beside it.
    """

    def __init__(self, text: str, code: ExitCode, **details: object) -> None:
        super().__init__(text)
        self.code = code
        self.details = details


class Output:
    """Prints what a command has to say.

    Args:
        as_json: Whether a program reads it.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        # Without a terminal nobody's window bounds the lines.
        self.console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)

    @property
    def is_terminal(self) -> bool:
        """Whether a person watches, so that the screen may be redrawn."""
        return not self.as_json and self.console.is_terminal

    def json(self, value: object) -> None:
        """Print a value as one line of JSON; exact numbers as text."""
        sys.stdout.write(json.dumps(value, default=_plain_value) + "\n")
        sys.stdout.flush()

    def line(self, text: str) -> None:
        """Print a line for people; nothing with --json."""
        if not self.as_json:
            self.console.print(text, markup=False, soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print a table for people; nothing with --json."""
        if not self.as_json:
            self.console.print(make_table(columns, rows))

    def note(self, text: str) -> None:
        """Say something to a person on stderr."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def make_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A plain table; columns whose name ends in a space are numbers and align right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.rstrip(), justify="right" if column.endswith(" ") else "left")
    for row in rows:
        table.add_row(*(_text(value) for value in row))
    return table


@contextmanager
def command(*, as_json: bool) -> Iterator[Output]:
    """Run a command's body: its errors become messages and exit codes."""
    output = Output(as_json=as_json)
    try:
        yield output
    except CommandError as error:
        _end(output, error)
    except BrokenPipeError:
        # The reader has seen enough (`opensqt orders | head`).
        sys.stderr.close()
        raise typer.Exit(ExitCode.OK) from None


def _end(output: Output, error: CommandError) -> NoReturn:
    if output.as_json:
        output.json({"error": str(error), **error.details})
    else:
        output.note(f"error: {error}")
    raise typer.Exit(error.code) from error


def _text(value: object) -> str:
    if value is None:
        return "-"
    return plain(value) if isinstance(value, Decimal) else str(value)


def _plain_value(value: Any) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    raise TypeError(f"{type(value).__name__} has no JSON form here")
