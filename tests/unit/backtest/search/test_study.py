"""A study on disk belongs to one search, and to one at a time."""

from pathlib import Path

import pytest

from opensqt.backtest.search.study import Study, StudyError
from opensqt.backtest.search.trials import Outcome, Status, Trial
from tests.unit.backtest.search.stub import D

ABOUT = {"seed": "1", "data": "a digest"}
TRIALS = (
    Trial(
        number=0,
        point=(1, 2),
        outcome=Outcome(
            status=Status.JUDGED, measures={"return": D("0.10"), "sharpe": None, "x": D("1E-28")}
        ),
    ),
    Trial(number=7, point=(3, 4), outcome=Outcome(status=Status.DIED, why="it's dead")),
)


def test_trials_come_back_to_the_last_digit(tmp_path: Path) -> None:
    with Study(tmp_path / "a.study", ABOUT) as study:
        study.add("window 0", TRIALS)
        study.add("window 1", TRIALS[:1])
    with Study(tmp_path / "a.study", ABOUT) as study:
        assert list(study.trials("window 0").values()) == list(TRIALS)
        assert str(study.trials("window 0")[0].outcome.measures["return"]) == "0.10"
        assert list(study.trials("window 1")) == [0]
        assert study.trials("window 2") == {}


def test_a_trial_that_was_added_is_there_whatever_happens_next(tmp_path: Path) -> None:
    path = tmp_path / "a.study"
    study = Study(path, ABOUT)
    study.add("window 0", TRIALS)
    # As a killed process leaves it: the files without a close.
    for suffix in ("", "-wal"):
        (tmp_path / f"b.study{suffix}").write_bytes(path.with_name(path.name + suffix).read_bytes())
    study.close()
    with Study(tmp_path / "b.study", ABOUT) as copy:
        assert set(copy.trials("window 0")) == {0, 7}


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({**ABOUT, "seed": "2"}, "seed: the study has 1, this search has 2"),
        ({"seed": "1"}, "data: the study has a digest, this search has none"),
        ({**ABOUT, "space.grid.interval": "1 to 2"}, "has none, this search has 1 to 2"),
    ],
)
def test_another_search_is_refused_with_what_differs(
    tmp_path: Path, about: dict[str, str], said: str
) -> None:
    Study(tmp_path / "a.study", ABOUT).close()
    with pytest.raises(StudyError, match="the study of another search") as raised:
        Study(tmp_path / "a.study", about)
    assert said in str(raised.value)
    Study(tmp_path / "a.study", ABOUT).close()


def test_two_searches_at_once_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opensqt.backtest.search.study.BUSY_TIMEOUT_S", 0.05)
    path = tmp_path / "a.study"
    with Study(path, ABOUT), pytest.raises(StudyError, match="another search is using it"):
        Study(path, ABOUT)


def test_a_file_that_is_no_study_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are not trials, but something that somebody wants to keep " * 99)
    kept = path.read_bytes()
    with pytest.raises(StudyError, match="is no study"):
        Study(path, ABOUT)
    assert path.read_bytes() == kept


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE checkpoints (a)")
    other.close()
    with pytest.raises(StudyError, match="is no study"):
        Study(path, ABOUT)
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("checkpoints",)]
    other.close()
