"""A CSV file that grows page by page, and can be gone on with after an interruption."""

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

_TAIL_BYTES: Final = 1 << 20
"""Of a part, how much is looked at for its last rows: more than a page."""


class Part:
    """Rows on their way to a file; each begins with its time in ms.

    Args:
        path: The file that is wanted. Until all is there, the rows are in one beside it.
        heading: Its first line.
    """

    def __init__(self, path: Path, heading: str) -> None:
        self._path = path.with_name(f"{path.name}.part")
        self._heading = heading
        self.last = ""
        """The last row; empty without any."""
        self.tail: frozenset[str] = frozenset()
        """The rows of that time."""

    @property
    def path(self) -> Path:
        """Where the rows are until all are there."""
        return self._path

    @property
    def is_empty(self) -> bool:
        """No row has come yet."""
        return not self.last

    @property
    def last_ms(self) -> int | None:
        """Time of the last row; None without any."""
        return int(self.last.partition(",")[0]) if self.last else None

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = self._path.open("a+b")
        self._mend()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def append(self, rows: Sequence[str]) -> None:
        """Add rows, to stay even if the power fails."""
        if rows:
            self.last = rows[-1]
        self._write(rows)

    def _write(self, rows: Sequence[str]) -> None:
        self._file.write("".join(f"{row}\n" for row in rows).encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def _mend(self) -> None:
        """Cut off a row that was not written whole, and look where the rows end."""
        size = self._file.seek(0, os.SEEK_END)
        self._file.seek(max(0, size - _TAIL_BYTES))
        tail = self._file.read()
        whole = tail[: tail.rfind(b"\n") + 1]
        self._file.truncate(size - len(tail) + len(whole))
        self._file.seek(0, os.SEEK_END)
        if not whole:
            self._write([self._heading])
            return
        lines = whole.decode().splitlines()
        rows = [line for line in lines if line != self._heading and line[:1].isdigit()]
        if rows:
            self.last = rows[-1]
            self.tail = frozenset(row for row in rows if row.startswith(f"{self.last_ms},"))
