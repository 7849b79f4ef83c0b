"""What is wrong with data: an error with the first of it, or a counted note, as was asked for."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from opensqt.adapters.replay.source import DamagedData, place
from opensqt.backtest.columns import Flags, Ints
from opensqt.backtest.tape import DataNote

INT_MAX: Final = 2**63 - 1


@dataclass(slots=True)
class _Counted:
    count: int
    text: str


class Problems:
    """Takes what is found wrong in files.

    Args:
        strict: The first thing that is wrong is an error. Otherwise it is counted, and what was
            done about it is said.
        start_ns: What is wrong before this time is of no interest; who finds it asks `within`.
        end_ns: Nor what is at this time or later.
    """

    def __init__(
        self, *, strict: bool, start_ns: int | None = None, end_ns: int | None = None
    ) -> None:
        self.strict = strict
        self._start_ns = -INT_MAX if start_ns is None else start_ns
        self._end_ns = INT_MAX if end_ns is None else end_ns
        self._counted: dict[tuple[str, str, str], _Counted] = {}
        self._remarks: list[DataNote] = []

    def found(  # a problem is its kind, place, reason and remedy
        self, kind: str, path: Path, line: int, reason: str, *, done: str, count: int = 1
    ) -> None:
        """Take `count` problems of one kind, of which `line` and `reason` are the first.

        Raises:
            DamagedData: `strict` was asked for.
        """
        if self.strict:
            raise DamagedData(path, line, reason)
        key = (kind, str(path), done)
        if key in self._counted:
            self._counted[key].count += count
        else:
            self._counted[key] = _Counted(
                count, f"{path.name}{place(path, line)}: {reason}; {done}"
            )

    def within(self, time_ns: Ints) -> Flags:
        """Which times are in the span that is of interest."""
        return self.touching(time_ns, time_ns)

    def touching(self, first_ns: Ints, last_ns: Ints) -> Flags:
        """Which stretches, from their first to their last time, reach into that span."""
        touching: Flags = (first_ns < self._end_ns) & (last_ns >= self._start_ns)
        return touching

    def first(self, path: Path) -> str:
        """What was wrong with a file first, with how often; empty when nothing was."""
        for (kind, where, _), found in self._counted.items():
            if where == str(path):
                return f"{found.count} x {kind}: {found.text}"
        return ""

    def remark(self, kind: str, count: int, text: str) -> None:
        """Note what is not wrong, but should be known; with `strict`, too."""
        self._remarks.append(DataNote(kind=kind, count=count, text=text))

    def counted(self) -> tuple[DataNote, ...]:
        """All that was found wrong, in the order in which it first was."""
        return tuple(
            DataNote(kind=kind, count=found.count, text=found.text)
            for (kind, _, _), found in self._counted.items()
        )

    def remarks(self) -> tuple[DataNote, ...]:
        """All that is not wrong, but should be known."""
        return tuple(self._remarks)

    def notes(self) -> tuple[DataNote, ...]:
        """Both."""
        return (*self.counted(), *self._remarks)


def listed(values: Iterable[object]) -> str:
    """Some values for a message, the first few of them."""
    found = [str(value) for value in values]
    more = f" and {len(found) - 8} more" if len(found) > 8 else ""
    return ", ".join(found[:8]) + more
