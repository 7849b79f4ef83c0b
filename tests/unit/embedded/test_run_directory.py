"""Finding runs, and forgetting old ones."""

import os
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from opensqt.embedded.run_directory import RUNS_KEPT, Run, RunRoot, databases


@pytest.fixture
def root(tmp_path: Path) -> RunRoot:
    return RunRoot(tmp_path / ".run")


def over(root: RunRoot, name: str, age_s: float) -> Run:
    """A run whose process is gone."""
    started = psutil.Process().create_time() - age_s
    run = Run(path=root.path / name, pid=os.getpid(), process_start_s=started, ports={})
    run.path.mkdir(parents=True)
    run.write()
    return run


def test_a_new_run_is_found_and_is_the_current_one(root: RunRoot) -> None:
    run = root.create({"nats": 4222})
    assert root.running() == (run,)
    assert (root.path / "current").resolve() == run.path


def test_a_process_that_inherited_the_pid_is_not_the_run(root: RunRoot) -> None:
    gone = over(root, "gone", age_s=1000)
    assert root.runs() == (gone,)
    assert root.running() == ()


def test_the_newest_run_comes_first(root: RunRoot) -> None:
    old, new = over(root, "old", age_s=200), over(root, "new", age_s=100)
    assert root.runs() == (new, old)


def test_old_runs_are_forgotten_and_running_ones_are_not(root: RunRoot) -> None:
    runs = [over(root, f"r{age}", age_s=100 * age) for age in range(1, RUNS_KEPT + 3)]
    alive = root.create({})
    root.forget_old()
    left = root.runs()
    assert alive in left
    assert runs[0] in left
    assert runs[-1] not in left


def test_databases_of_a_killed_run_are_removed_wherever_they_lie(
    root: RunRoot, tmp_path: Path
) -> None:
    killed = over(root, "killed", age_s=100)
    nats, postgres = databases(killed.path)
    nats.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    postgres.symlink_to(elsewhere)
    root.create({})
    assert not nats.exists()
    assert not postgres.is_symlink()
    assert not elsewhere.exists()
    assert killed.path.exists()


def test_a_damaged_description_is_passed_over(root: RunRoot) -> None:
    run = root.create({})
    damaged = root.path / "damaged"
    damaged.mkdir()
    (damaged / "run.json").write_text("{")
    assert root.runs() == (run,)


def test_a_run_remembers_where_its_supervisor_is(root: RunRoot) -> None:
    run = replace(root.create({}), supervisor_socket="/tmp/s.sock")
    run.write()
    assert root.runs()[0].supervisor_socket == "/tmp/s.sock"
