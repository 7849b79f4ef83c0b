"""What a series does in which order, and what it says in the end."""

from collections import Counter
from random import Random

import pytest

from chaos.__main__ import EXIT_OK, EXIT_USAGE, main
from chaos.faults import all_faults
from chaos.one_run import Outcome
from chaos.referee import Finding, Kind
from chaos.report import Setting, line_of, page, table_lines
from chaos.series import deck
from opensqt.runtime.crash_points import CrashPoint

GOOD = Outcome(fault="kill:state", note="", again_s=2.0, settled_s=0.2, orders=10, findings=())
LOST = Outcome(
    fault="kill:nats",
    note="at night",
    again_s=4.0,
    settled_s=60.0,
    orders=20,
    findings=(
        Finding(kind=Kind.LOST, text="one fill"),
        Finding(kind=Kind.LOST, text="another"),
        Finding(kind=Kind.MONEY, text="some"),
    ),
)
NOT_REACHED = Outcome(
    fault="kill:nats",
    note="",
    again_s=1.0,
    settled_s=0.2,
    orders=5,
    findings=(),
    reached=False,
)


def test_each_fault_is_dealt_as_often_as_every_other() -> None:
    faults = all_faults()
    dealt = list(deck(faults, 3 * len(faults), Random(1)))
    assert set(Counter(fault.name for fault in dealt).values()) == {3}
    assert dealt == list(deck(faults, 3 * len(faults), Random(1)))
    assert dealt != list(deck(faults, 3 * len(faults), Random(2)))


def test_every_crash_point_is_a_fault_and_names_differ() -> None:
    names = [fault.name for fault in all_faults()]
    assert {f"crash:{point}" for point in CrashPoint} <= set(names)
    assert len(set(names)) == len(names)


def test_the_table_counts_runs_by_what_was_wrong() -> None:
    table = [line.split("  ") for line in table_lines([GOOD, LOST, NOT_REACHED])]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in table]
    head, nats, state, everything = cells
    assert head[:8] == ["fault", "runs", "good", "doubled", "lost", "stuck", "unknown", "other"]
    assert nats == ["kill:nats", "2", "0", "0", "1", "0", "0", "1", "2.5 s, 4.0 s"]
    assert state == ["kill:state", "1", "1", "0", "0", "0", "0", "0", "2.0 s, 2.0 s"]
    assert everything == ["all", "3", "1", "0", "1", "0", "0", "1", "2.0 s, 4.0 s"]


@pytest.mark.parametrize(
    ("outcome", "verdict"), [(GOOD, "ok"), (LOST, "WRONG"), (NOT_REACHED, "did not happen")]
)
def test_a_line_says_how_a_run_ended(outcome: Outcome, verdict: str) -> None:
    line = line_of(3, 20, outcome)
    assert verdict in line
    assert outcome.fault in line
    assert outcome.note in line


def test_the_page_says_how_to_repeat_it() -> None:
    setting = Setting(command="make chaos RUNS=3 SEED=7", faults=all_faults(), seconds=61)
    text = page([GOOD, LOST, NOT_REACHED], setting)
    assert "`make chaos RUNS=3 SEED=7`" in text
    assert "| `kill:state` | kill -9 of state, at any moment | 1 | 1 | 0 |" in text
    assert "| **all** |  | 3 | 1 | 0 | 1 |" in text


def test_the_faults_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--only", "wipe:*"]) == EXIT_OK
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "wipe:postgres",
        "wipe:nats",
    ]


def test_a_fault_that_is_unknown_is_refused_with_those_that_are_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--only", "kill:everybody"]) == EXIT_USAGE
    assert "kill:execution" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--runs", "0"], ["--runs", "x"], ["--defect", "none"]])
def test_wrong_options_are_refused(options: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(options)
    assert refused.value.code == EXIT_USAGE


def test_a_report_goes_into_a_directory_that_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--report", "/nowhere/at/all.md"]) == EXIT_USAGE
    assert "no such directory" in capsys.readouterr().err
