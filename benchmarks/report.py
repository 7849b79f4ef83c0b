"""Numbers to tables and files: percentiles, aligned text, JSON below .run/bench."""

import json
import math
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import psutil

DIRECTORY = Path(".run/bench")


def percentile(values: Iterable[float], share: float) -> float:
    """The nearest-rank percentile; NaN of nothing."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def ratio(value: float, floor: float) -> float:
    """How many times the floor; NaN without a floor."""
    return value / floor if floor else math.nan


def number(value: float, digits: int = 2) -> str:
    """For people: thousands are separated, NaN is a dash."""
    return "-" if math.isnan(value) else f"{value:,.{digits}f}"


def times(value: float) -> str:
    """A ratio for people."""
    return "-" if math.isnan(value) else f"{value:.2f}x"


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """An aligned table: the first column to the left, the others to the right."""
    lines = [tuple(header), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    body = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([title, body[0], rule, *body[1:], ""])


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    return {
        "cores": psutil.cpu_count(),
        "load_before": psutil.getloadavg()[0],
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
    }


def write(name: str, result: dict[str, Any]) -> Path:
    """Keep a result as JSON, as numbers: NaN is left out for null."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    path = DIRECTORY / f"{name}.json"
    path.write_text(json.dumps(_plain(result), indent=2) + "\n", encoding="utf-8")
    return path


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 4)
    return value
