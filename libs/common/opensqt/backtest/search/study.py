"""A study on disk: what a search is about, and every trial so far. SQLite, one file.

A trial is written when it ends, so an interrupted search loses at most those that were being
judged. A study belongs to one search: with another space, other data or another seed it is refused,
naming what differs.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from opensqt.backtest.search.space import Point
from opensqt.backtest.search.trials import Outcome, Status, Trial

FORMAT: Final = "1"
APPLICATION_ID: Final = int.from_bytes(b"oSQs", "big")
"""Says in the file's head that it is a study, as SQLite intends."""
BUSY_TIMEOUT_S: Final = 5.0

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS trials (
    place TEXT NOT NULL,
    number INTEGER NOT NULL,
    point TEXT NOT NULL,
    status TEXT NOT NULL,
    why TEXT NOT NULL,
    measures TEXT NOT NULL,
    PRIMARY KEY (place, number)
) STRICT, WITHOUT ROWID;
"""


class StudyError(Exception):
    """A study file that cannot be used: which, why, and what to do."""


class Study:
    """The trials of a search, by place and number; a place is such as a window.

    Args:
        path: The file, made when it is missing; None keeps the trials in memory only.
        about: What the search is about, as texts by name, such as the space or the data's digest.

    Raises:
        StudyError: The file is no study, is in use, or belongs to another search.
    """

    def __init__(self, path: Path | None, about: Mapping[str, str]) -> None:
        self._name = str(path) if path else "the study"
        try:
            self._db = sqlite3.connect(path or ":memory:", timeout=BUSY_TIMEOUT_S)
            # Held from beginning to end: two searches on one file would mix their trials.
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._refuse_strange()
            # A process that dies loses nothing with these two, and no trial waits for the disk.
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("BEGIN EXCLUSIVE")
            self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            for statement in _TABLES.split(";"):
                self._db.execute(statement)
            self._settle_about({"format": FORMAT, **about})
            self._trials = self._read()
            self._db.commit()
        except sqlite3.OperationalError as error:
            hint = "another search is using it" if "locked" in str(error) else str(error)
            raise StudyError(f"{self._name} cannot be used: {hint}") from None
        except sqlite3.DatabaseError as error:
            raise StudyError(f"{self._name} is no study of a search: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def trials(self, place: str) -> Mapping[int, Trial]:
        """The trials of a place, by number."""
        return self._trials.get(place, {})

    def add(self, place: str, trials: Iterable[Trial]) -> None:
        """Remember trials that ended, in place of others of the same numbers.

        Raises:
            StudyError: They could not be written.
        """
        added = list(trials)
        rows = [
            (
                place,
                trial.number,
                json.dumps(trial.point),
                str(trial.outcome.status),
                trial.outcome.why,
                json.dumps({k: _text(v) for k, v in trial.outcome.measures.items()}),
            )
            for trial in added
        ]
        try:
            with self._db:
                self._db.executemany("REPLACE INTO trials VALUES (?, ?, ?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise StudyError(f"{self._name} cannot be written: {error}") from None
        self._trials.setdefault(place, {}).update({trial.number: trial for trial in added})

    def _refuse_strange(self) -> None:
        (mark,) = self._db.execute("PRAGMA application_id").fetchone()
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if tables and mark != APPLICATION_ID:
            self._db.close()
            raise StudyError(f"{self._name} is no study of a search, but another database")

    def _settle_about(self, about: Mapping[str, str]) -> None:
        rows: list[tuple[str, str]] = self._db.execute("SELECT key, value FROM about").fetchall()
        stored = dict(rows)
        if not stored:
            self._db.executemany("INSERT INTO about VALUES (?, ?)", about.items())
            return
        differing = [
            f"{key}: the study has {stored.get(key, 'none')}, this search has "
            f"{about.get(key, 'none')}"
            for key in sorted(stored.keys() | about.keys())
            if stored.get(key) != about.get(key)
        ]
        if differing:
            self._db.close()
            raise StudyError(
                "\n  ".join([f"{self._name} is the study of another search:", *differing])
                + "\nGive another --study, or go back to what it was made with."
            )

    def _read(self) -> dict[str, dict[int, Trial]]:
        found: dict[str, dict[int, Trial]] = {}
        for place, number, point, status, why, measures in self._db.execute(
            "SELECT place, number, point, status, why, measures FROM trials"
        ):
            at: Point = tuple(json.loads(point))
            told = {k: None if v is None else Decimal(v) for k, v in json.loads(measures).items()}
            outcome = Outcome(status=Status(status), measures=told, why=why)
            found.setdefault(place, {})[number] = Trial(number=number, point=at, outcome=outcome)
        return found


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)
