"""Reading the lines of a data file, plain or gzipped, with errors that name the line."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from opensqt.adapters.replay.source import DamagedData


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered lines, from 1, without their line ends.

    Raises:
        DamagedData: The file cannot be read, or its compression is broken or cut off.
    """
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for line in file:
                number += 1
                yield number, line.rstrip(b"\r\n")
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedData(path, number + 1, f"cannot be read on: {error}") from None
