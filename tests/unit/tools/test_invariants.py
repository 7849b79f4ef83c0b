"""The list of invariants: made of the numbers and the tests' markers, and checked."""

import sys
from pathlib import Path

import pytest

from tools import invariants

NUMBERS = """
[[group]]
title = "Always"
about = "After every event."
[group.entry]
1.text = "One order."
2.text = "Two legs."
2.waiting_for = "the arbitrage bot"
3.text = "Three things."
3.partly = "the third"
"""

TESTS = """
import pytest

@pytest.mark.invariant(1)
def test_one_is_sent(): ...

class TestMachine:
    @pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.invariant(3))])
    async def test_three(self): ...
"""


class Repository:
    """A small one, with its numbers and one file of tests."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self._patch = monkeypatch
        (root / "docs").mkdir()
        (root / "tests" / "unit").mkdir(parents=True)
        self.numbers(NUMBERS)
        self.tests(TESTS)

    def numbers(self, text: str) -> None:
        (self.root / invariants.DATA).write_text(text)

    def tests(self, text: str) -> None:
        (self.root / "tests" / "unit" / "test_x.py").write_text(text)

    def run(self, *arguments: str) -> str:
        """What is wrong; empty when nothing is."""
        self._patch.setattr(sys, "argv", ["invariants.py", *arguments])
        try:
            invariants.main(self.root)
        except SystemExit as problem:
            return str(problem)
        return ""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    return Repository(tmp_path, monkeypatch)


def test_each_number_is_listed_with_its_tests_or_with_what_it_waits_for(
    repository: Repository,
) -> None:
    assert not repository.run()
    text = (repository.root / invariants.DOCUMENT).read_text()
    assert "| 1 | One order. | [one is sent](../tests/unit/test_x.py) |" in text
    assert "| 2 | Two legs. | *waits for the arbitrage bot* |" in text
    assert "[TestMachine: three](../tests/unit/test_x.py)<br>*not yet: the third* |" in text
    assert not repository.run("--check")


def test_a_document_that_is_out_of_date_is_refused(repository: Repository) -> None:
    assert "is stale; run `make invariants`" in repository.run("--check")
    repository.run()
    repository.tests(TESTS.replace("one_is_sent", "it_is_sent_once"))
    assert "is stale" in repository.run("--check")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("invariant(1)", "invariant(3)", "number 1: has no test, and waits for nothing"),
        ("invariant(1)", "invariant(1, 2)", "number 2: waits for something, and has tests"),
        ("invariant(1)", "invariant(1, 9)", "test_one_is_sent: there is no number 9"),
        ("invariant(1)", "invariant()", "without numbers"),
        ("invariant(1)", "invariant(ONE)", "ONE: no number"),
        ("def test_one", "def one", "one_is_sent is marked, but no test"),
    ],
)
def test_a_wrong_marker_is_named(repository: Repository, old: str, new: str, problem: str) -> None:
    repository.tests(TESTS.replace(old, new))
    assert problem in repository.run()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("3.", "4.", "the numbers are not 1, 2, 3"),
        ("3.partly", "3.party", "number 3: no text, or unknown keys ['party']"),
        ("3.text", "3.partly_too", "number 3: no text"),
        ("2.waiting_for", "2.partly", "number 2: has no test, and waits for nothing"),
    ],
)
def test_a_wrong_number_is_named(repository: Repository, old: str, new: str, problem: str) -> None:
    repository.numbers(NUMBERS.replace(old, new))
    assert problem in repository.run()
