"""Which files hold a symbol's market: found by their names.

The words of a name, between ``_``, ``-`` and dots, say what it is: the symbol is one of them;
``funding``, ``fundingRate`` and ``mark``, ``markPriceKlines`` say that it goes beside a market;
``spot`` that it is another one. What is left is the market, in one file or in one for each day or
month.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from opensqt.adapters.replay.source import DamagedData
from opensqt.backtest.data.sources.opened import ENDINGS, bare_name
from opensqt.backtest.data.sources.problems import listed

_FUNDING: Final = frozenset({"funding", "fundingrate", "fundingrates"})
_MARKS: Final = frozenset({"mark", "marks", "markpriceklines", "markprice"})
_PARTS_OF_ONE: Final = frozenset({"trades", "quotes", "marks"})
"""What a recording that was converted falls into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The files of one symbol."""

    market: tuple[Path, ...]
    funding: tuple[Path, ...]
    marks: tuple[Path, ...]
    """Candles of the mark price."""


def choose_files(path: Path, symbol: str) -> Chosen:
    """Find a symbol's files.

    Args:
        path: The market's file, beside which funding and mark are looked for; or a folder.
        symbol: The exchange's name of it.

    Raises:
        DamagedData: There is no such file or folder, or none or several in it can be meant.
    """
    if path.is_dir():
        files = [file for file in _files(path) if symbol.lower() in words_of(file)]
        market = _the_market(path, symbol, files)
    elif path.is_file():
        files = [file for file in _files(path.parent) if symbol.lower() in words_of(file)]
        market = (path,)
    else:
        raise DamagedData(path, 0, "no such file or folder")
    beside = [file for file in files if file not in market]
    return Chosen(
        market=market,
        funding=tuple(file for file in beside if words_of(file) & _FUNDING),
        marks=tuple(
            file
            for file in beside
            if words_of(file) & _MARKS and not file.name.startswith(_stem_of_parts(market))
        ),
    )


def data_files(path: Path) -> tuple[Path, ...]:
    """Every file that can be read: the one, or those in a folder and below it.

    Raises:
        DamagedData: There is none.
    """
    if not path.exists():
        raise DamagedData(path, 0, "no such file or folder")
    files = (path,) if path.is_file() else tuple(_files(path))
    if not files:
        raise DamagedData(path, 0, f"holds no data files; their names end in {listed(ENDINGS)}")
    return files


def _the_market(folder: Path, symbol: str, files: list[Path]) -> tuple[Path, ...]:
    groups: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        words = words_of(file)
        if not words & (_FUNDING | _MARKS) or _is_part(file, files):
            groups[_group(file)].append(file)
    if len(groups) > 1:
        groups = {k: v for k, v in groups.items() if "spot" not in words_of(v[0])} or groups
    if len(groups) == 1:
        return tuple(next(iter(groups.values())))
    if not groups:
        known = listed(file.name for file in _files(folder)) or "none"
        raise DamagedData(folder, 0, f"there is no market of {symbol}; files: {known}")
    several = listed(file.name for group in groups.values() for file in group)
    raise DamagedData(folder, 0, f"several can be the market of {symbol}: {several}; name one")


def _group(file: Path) -> str:
    """The name without dates, and without what parts of one recording differ in."""
    name = re.sub(r"([-_.]\d{4}-?\d{2}(-?\d{2}(T\d{6})?)?)+$", "", bare_name(file))
    head, _, last = name.rpartition(".")
    return head if head and last in _PARTS_OF_ONE else name


def _is_part(file: Path, files: Iterable[Path]) -> bool:
    """A recording that was converted lies in `<name>.trades`, `<name>.quotes`, `<name>.marks`."""
    head, _, last = bare_name(file).rpartition(".")
    return bool(head) and last == "marks" and any(bare_name(f) == f"{head}.trades" for f in files)


def _stem_of_parts(market: tuple[Path, ...]) -> tuple[str, ...]:
    return tuple(
        bare_name(file).removesuffix("trades")
        for file in market
        if bare_name(file).endswith(".trades")
    )


def words_of(file: Path) -> frozenset[str]:
    """The words of a file's name, in small letters, and what its folder says of it."""
    return frozenset(re.split(r"[-_. ]", bare_name(file).lower())) | _folder_word(file)


def _folder_word(file: Path) -> frozenset[str]:
    """Binance's archive names mark candles like the market's; their folder tells them apart."""
    return frozenset({file.parent.name.lower()}) & (_FUNDING | _MARKS)


def _files(folder: Path) -> Iterable[Path]:
    return sorted(
        file for file in folder.rglob("*") if file.is_file() and file.name.endswith(ENDINGS)
    )
