"""Options that every command on recorded markets has, in the same words."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

StartOption: TypeAlias = Annotated[
    str | None, typer.Option("--from", help="Begin at this day or time, UTC: 2025-05-04T15:30.")
]
EndOption: TypeAlias = Annotated[
    str | None, typer.Option("--to", help="End before this day or time, UTC.")
]
MarketsOption: TypeAlias = Annotated[
    Path, typer.Option("--markets", help="Trading rules of the symbols: tick, step, fees, ...")
]
StrictOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--strict", help="Refuse data with anything wrong, instead of counting it as a note."
    ),
]
