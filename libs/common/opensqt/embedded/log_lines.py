"""The end of a program's log, for people: services log JSON, servers log text."""

import json
from pathlib import Path
from typing import Any

CONFIGURATION_EVENT = "configuration_not_usable"
LINES_SHOWN = 8


def last_lines(path: Path, count: int = LINES_SHOWN) -> list[str]:
    """The last lines of a log, readable; empty when there is none."""
    return [_readable(line) for line in _lines(path)[-count:]]


def last_refusal(path: Path) -> str | None:
    """What a service said last of a configuration that it does not accept; None if nothing."""
    for line in reversed(_lines(path)):
        event = _event(line)
        if event is not None and event.get("event") == CONFIGURATION_EVENT:
            return str(event.get("problem", ""))
    return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _readable(line: str) -> str:
    event = _event(line)
    if event is None:
        return line
    shown = {"timestamp", "level", "event", "logger", "service", "exception"}
    rest = " ".join(f"{key}={value}" for key, value in event.items() if key not in shown)
    first = f"{event.get('timestamp', '')} {event.get('level', '')} {event.get('event', '')} {rest}"
    # Of a traceback its last line says what happened.
    trace = str(event.get("exception", "")).strip().splitlines()[-1:]
    return " ".join([first.strip(), *trace])
