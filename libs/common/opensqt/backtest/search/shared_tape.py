"""A tape that the processes of one machine share: columns in files that each maps into memory."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from opensqt.backtest.columns import Columns
from opensqt.backtest.tape import Fundings, Marks, Quotes, Tape, Trades

_TABLES: Final[dict[str, type[Columns]]] = {
    "trades": Trades,
    "quotes": Quotes,
    "marks": Marks,
    "fundings": Fundings,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedTape:
    """Where a tape's columns lie; small, so that it can be sent to a process."""

    directory: Path
    empty: Tape
    """The tape without its rows."""

    @classmethod
    def write(cls, tape: Tape, directory: Path) -> "SharedTape":
        """Put a tape's columns into files, for as long as the directory is there."""
        none: dict[str, Any] = {}
        for name, kind in _TABLES.items():
            table = getattr(tape, name)
            for field in fields(table):
                np.save(directory / f"{name}.{field.name}.npy", getattr(table, field.name))
            none[name] = kind.empty()
        return cls(directory=directory, empty=replace(tape, **none))

    def open(self) -> Tape:
        """The tape; its columns are views of what all processes share, and cannot be changed."""
        tables: dict[str, Any] = {
            name: kind(**{field.name: self._column(name, field.name) for field in fields(kind)})
            for name, kind in _TABLES.items()
        }
        return replace(self.empty, **tables)

    def _column(self, table: str, column: str) -> Any:
        path = self.directory / f"{table}.{column}.npy"
        # As a plain array: those of a mapped file are slow to index.
        return np.asarray(np.load(path, mmap_mode="r"))
