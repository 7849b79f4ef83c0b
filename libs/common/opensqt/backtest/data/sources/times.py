"""Times of files in nanoseconds, and how times are said to people."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from opensqt.backtest.columns import Flags, Ints
from opensqt.backtest.data.sources.problems import Problems

_UNITS_NS: Final = {"_s": 1_000_000_000, "_ms": 1_000_000, "_us": 1_000, "_ns": 1}
_MILLISECONDS_FROM: Final = 10**11  # a time of 1973 in ms, of the year 5138 in seconds
_MICROSECONDS_FROM: Final = 10**14
_NANOSECONDS_FROM: Final = 10**17
_FIRST_NS: Final = 946_684_800 * 10**9  # 2000
_LAST_NS: Final = 4_102_444_800 * 10**9  # 2100
TIMES_ALLOWED: Final = "times from 2000 to 2100 in the unit that the heading names"
_HEADINGS: Final = "ts_s, ts_ms, ts_us, ts_ns"
_DAY_S: Final = 86_400


def to_ns(
    times: Ints, name: str = "", *, path: Path, lines: Ints, problems: Problems
) -> tuple[Ints, Flags]:
    """Times since 1970 UTC, in nanoseconds.

    Args:
        times: In seconds, milliseconds, microseconds or nanoseconds; Binance changed them in 2025.
        name: What the file calls them: an ending of ``_s``, ``_ms``, ``_us`` or ``_ns`` says the
            unit. Otherwise the size of each does.
        path: For messages.
        lines: The line of each, for messages.
        problems: Takes times that no market has: mostly all of a file, whose unit is another one.

    Returns:
        The times, and which of them can be used.
    """
    units = _units_of(times, name)
    usable = (times >= _FIRST_NS // units) & (times < _LAST_NS // units)
    if usable.all():
        return times * units, usable
    row = int((~usable).argmax())
    unit = int(np.broadcast_to(units, times.shape)[row])
    problems.found(
        "wrong_time",
        path,
        int(lines[row]),
        f"{name or 'the time'} is {times[row]}, which is {utc(int(times[row]) * unit)}; "
        f"allowed are {TIMES_ALLOWED} ({_HEADINGS})",
        done="left out",
        count=int((~usable).sum()),
    )
    return np.where(usable, times, 0) * units, usable


def in_ns(times: Ints, name: str) -> Ints | None:
    """The same of times that may be none: None unless all of them can be used."""
    units = _units_of(times, name)
    usable = (times >= _FIRST_NS // units) & (times < _LAST_NS // units)
    return times * units if usable.all() else None


def is_plausible(time_ns: int) -> bool:
    """Whether a market can have been recorded then."""
    return _FIRST_NS <= time_ns < _LAST_NS


def utc(time_ns: int) -> str:
    """A time for people, with as many digits as it needs."""
    seconds, rest = divmod(time_ns, 10**9)
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return "not within the years 1 to 9999"
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction} UTC"


def lasting(time_ns: int) -> str:
    """A length of time for people: its two largest units, such as ``5 min`` or ``1 d 3 h``."""
    if time_ns < 10**9:
        return f"{time_ns / 10**6:g} ms"
    seconds, parts = time_ns // 10**9, []
    for name, length in (("d", _DAY_S), ("h", 3_600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])


def _units_of(times: Ints, name: str) -> Ints:
    plain = name.strip().strip('"').lower()
    unit = _UNITS_NS.get(plain[plain.rfind("_") :]) if "_" in plain else None
    if unit is not None:
        return np.array(unit, dtype=np.int64)
    size = np.abs(times)
    return np.select(
        [size >= _NANOSECONDS_FROM, size >= _MICROSECONDS_FROM, size >= _MILLISECONDS_FROM],
        [1, 1_000, 1_000_000],
        default=1_000_000_000,
    ).astype(np.int64)
