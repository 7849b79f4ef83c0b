"""Commands that need the libraries of research, and what is said when they are not installed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from opensqt.cli.exit_codes import ExitCode
from opensqt.cli.output import CommandError

_LIBRARIES: Final = ("numpy", "pyarrow", "plotly", "optuna", "distributed")
"""Those of requirements/research.in."""


@contextmanager
def research_needed() -> Iterator[None]:
    """Import what a command needs within this; what is missing becomes advice.

    Raises:
        CommandError: A library of research is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _LIBRARIES:
            raise
        raise CommandError(
            f"{error.name} is not installed, which this command needs; install it with: "
            "make research",
            ExitCode.USAGE,
        ) from error
