"""Makes docs/invariants.md: what must hold, by number, each with the tests that show it.

The numbers and their words are in tests/invariants.toml; the tests name the numbers that they show
with ``@pytest.mark.invariant(1, 8)``. With --check nothing is written; the exit code says whether
every number has a test or says what it waits for, and whether the document is up to date.
"""

import argparse
import ast
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
DATA: Final = Path("tests/invariants.toml")
DOCUMENT: Final = Path("docs/invariants.md")
PLACES: Final = ("tests/**/test_*.py", "libs/common/opensqt/testing/contracts/*.py")
"""Where tests are: those of contracts run wherever a test class inherits them."""
MARKER: Final = "pytest.mark.invariant"

HEAD: Final = """\
# Invariants and faults, by number

What must hold after every event, and what must come of every fault, each with the tests that show
it or with what it waits for. `tools/invariants.py` makes this page of `tests/invariants.toml` and
the tests' markers; `make check` fails when a number has neither.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A test that shows that some numbers hold."""

    path: Path
    """From the root of the repository."""
    name: str
    """``test_function``, ``TestClass.test_method`` or ``TestClass``."""
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One number."""

    number: int
    text: str
    waiting_for: str = ""
    partly: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Numbers that belong together."""

    title: str
    about: str
    entries: tuple[Entry, ...]


@dataclass(slots=True)
class Problems:
    """What is wrong, one line each."""

    lines: list[str] = field(default_factory=list)

    def add(self, where: object, what: str) -> None:
        """Note a problem."""
        self.lines.append(f"{where}: {what}")


def read_groups(path: Path, problems: Problems) -> tuple[Group, ...]:
    """The numbers and their words."""
    groups = []
    for table in tomllib.loads(path.read_text())["group"]:
        entries = []
        for number, words in table["entry"].items():
            unknown = set(words) - {"text", "waiting_for", "partly"}
            if unknown or "text" not in words:
                problems.add(f"number {number}", f"no text, or unknown keys {sorted(unknown)}")
                continue
            entries.append(Entry(number=int(number), **words))
        groups.append(Group(title=table["title"], about=table["about"], entries=tuple(entries)))
    numbers = [entry.number for group in groups for entry in group.entries]
    if numbers != list(range(1, len(numbers) + 1)):
        problems.add(path, "the numbers are not 1, 2, 3, … in this order")
    return tuple(groups)


def read_tests(root: Path, problems: Problems) -> tuple[Shown, ...]:
    """Every test that names a number, by file and line."""
    shown: list[Shown] = []
    for path in sorted(path for place in PLACES for path in root.glob(place)):
        relative = path.relative_to(root)
        module = ast.parse(path.read_text(), filename=str(path))
        for name, node in _definitions(module):
            numbers = tuple(_numbers(node, relative, problems))
            if numbers and not _is_test(name):
                problems.add(f"{relative}:{node.lineno}", f"{name} is marked, but no test")
            elif numbers:
                shown.append(Shown(path=relative, name=name, numbers=numbers))
    return tuple(shown)


Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _definitions(module: ast.Module) -> Iterator[tuple[str, Definition]]:
    for node in module.body:
        if isinstance(node, Definition):
            yield node.name, node
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, Definition):
                    yield f"{node.name}.{inner.name}", inner


def _is_test(name: str) -> bool:
    """Whether pytest collects it; a contract's class is collected under its heirs' names."""
    first, _, method = name.partition(".")
    return (method or first).startswith("test_") or (not method and first.startswith("Test"))


def _numbers(node: Definition, path: Path, problems: Problems) -> Iterator[int]:
    """The numbers in the marker of a test, or in the markers of its parameters."""
    for decorator in node.decorator_list:
        for call in ast.walk(decorator):
            if not isinstance(call, ast.Call) or ast.unparse(call.func) != MARKER:
                continue
            if not call.args:
                problems.add(f"{path}:{call.lineno}", f"{MARKER} without numbers")
            for argument in call.args:
                match argument:
                    case ast.Constant(value=int(number)):
                        yield number
                    case _:
                        problems.add(f"{path}:{call.lineno}", f"{ast.unparse(argument)}: no number")


def judge(groups: tuple[Group, ...], shown: tuple[Shown, ...], problems: Problems) -> None:
    """Every number has a test or waits for something, and every test's number exists."""
    entries = {entry.number: entry for group in groups for entry in group.entries}
    tested = {number for test in shown for number in test.numbers}
    for test in shown:
        for number in sorted(set(test.numbers) - set(entries)):
            problems.add(f"{test.path} {test.name}", f"there is no number {number}")
    for number, entry in entries.items():
        if number in tested and entry.waiting_for:
            problems.add(f"number {number}", "waits for something, and has tests")
        if number not in tested and not entry.waiting_for:
            problems.add(f"number {number}", "has no test, and waits for nothing")


def render(groups: tuple[Group, ...], shown: tuple[Shown, ...]) -> str:
    """The document."""
    lines = [HEAD]
    for group in groups:
        lines += [f"## {group.title}", "", group.about, "", "| | | shown by |", "|---|---|---|"]
        for entry in group.entries:
            cells = [_link(test) for test in shown if entry.number in test.numbers]
            if entry.waiting_for:
                cells.append(f"*waits for {entry.waiting_for}*")
            if entry.partly:
                cells.append(f"*not yet: {entry.partly}*")
            lines.append(f"| {entry.number} | {entry.text} | {'<br>'.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _link(test: Shown) -> str:
    kind, _, method = test.name.rpartition(".")
    words = method.removeprefix("test_").replace("_", " ")
    context = f"{kind}: " if kind else ""
    return f"[{context}{words}]({Path('..') / test.path})"


def main(root: Path = ROOT) -> None:
    """Write the document, or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    problems = Problems()
    groups = read_groups(root / DATA, problems)
    shown = read_tests(root, problems)
    judge(groups, shown, problems)
    text, document = render(groups, shown), root / DOCUMENT
    if check and (not document.exists() or document.read_text() != text):
        problems.add(DOCUMENT, "is stale; run `make invariants`")
    if not check:
        document.write_text(text)
    if problems.lines:
        raise SystemExit("invariants:\n  " + "\n  ".join(problems.lines))
    waiting = sum(bool(entry.waiting_for) for group in groups for entry in group.entries)
    total = sum(len(group.entries) for group in groups)
    sys.stdout.write(f"invariants: {total}, {total - waiting} with tests, {waiting} waiting\n")


if __name__ == "__main__":
    main()
