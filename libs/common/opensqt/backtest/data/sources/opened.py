"""The bytes of a data file: plain, gzipped, or the one file in a zip archive."""

import gzip
import lzma
import zipfile
import zlib
from pathlib import Path
from typing import Final

from opensqt.adapters.replay.source import DamagedData

ENDINGS: Final = (".csv", ".csv.gz", ".csv.zip", ".zip", ".jsonl", ".jsonl.gz", ".parquet")
"""Names of files that are read end in one of these."""
_BROKEN: Final = (
    *(OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile),
    *(RuntimeError, NotImplementedError),  # a zip that is encrypted, or compressed otherwise
)


def read_bytes(path: Path) -> bytes:
    """All that is in a file, decompressed.

    Raises:
        DamagedData: It cannot be read, its compression is broken, or an archive holds not just one
            file.
    """
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rb") as file:
                return file.read()
        if path.suffix == ".zip":
            return _only_member(path)
        return path.read_bytes()
    except _BROKEN as error:
        raise DamagedData(path, 0, f"cannot be read: {error}") from None


def bare_name(path: Path) -> str:
    """The name of a file without the endings that say its form and compression."""
    name = path.name
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if name.endswith(ending):
            return name.removesuffix(ending)
    return name


def _only_member(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if not name.endswith("/")]
        if len(members) != 1:
            raise DamagedData(
                path, 0, f"the archive holds {len(members)} files; allowed is one table in it"
            )
        return archive.read(members[0])
