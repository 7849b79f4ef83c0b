"""`opensqt up`: runs everything here, on paper, until it is told to stop."""

from opensqt.cli.output import JsonOption


def up(as_json: JsonOption = False) -> None:
    """Paper-trade here."""
