"""What this machine needs for the embedded default, one check each, and how to mend it."""

import importlib.metadata
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

import psutil

from opensqt.embedded.free_ports import free_ports
from opensqt.embedded.nats_server import NatsServerMissingError, find_nats_server
from opensqt.embedded.postgres_server import PostgresServerError, usable_installation
from opensqt.embedded.run_directory import RunRoot
from opensqt.embedded.unprivileged import NoUnprivilegedUserError, run_as, unprivileged_user
from opensqt.runtime.certificates import inspect_directory

PORTS_NEEDED = 16
DISK_NEEDED_GB = 0.5
DISK_WISHED_GB = 2.0
MEMORY_WISHED_GB = 1.5
REMAKE = "make the environment anew: rm -rf .venv && make run"


class Verdict(Enum):
    """What a check came to."""

    OK = "ok"
    NOTE = "note"
    """Works, but somebody may want to know."""
    PROBLEM = "problem"
    """`opensqt up` will not work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found.

    Attributes:
        subject: What was looked at.
        verdict: How bad it is.
        text: What was seen.
        mend: What to do about it; empty when there is nothing to do.
    """

    subject: str
    verdict: Verdict
    text: str
    mend: str = ""


Check = Callable[[Path], Finding]
"""Takes the directory that holds the runs."""


def check_python(_root: Path) -> Finding:
    """Which interpreter this is; one that is too old would not have come here."""
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding(subject="Python", verdict=Verdict.OK, text=text)


def check_packages(root: Path) -> Finding:
    """What is installed is what the lock says."""
    lock = root.absolute().parent / "requirements" / "run.txt"
    if not lock.is_file():
        return Finding(
            subject="packages",
            verdict=Verdict.NOTE,
            text="no requirements/run.txt here, so there is nothing to compare with",
        )
    wrong = wrong_packages(lock.read_text(encoding="utf-8"))
    if not wrong:
        return Finding(subject="packages", verdict=Verdict.OK, text="as locked")
    return Finding(
        subject="packages", verdict=Verdict.PROBLEM, text="; ".join(wrong[:5]), mend=REMAKE
    )


def wrong_packages(lock: str) -> list[str]:
    """The locked packages that are missing or have another version.

    Args:
        lock: A lock file's text. Lines with a marker are for some machines only, so they count
            only if the package is there.
    """
    wrong = []
    for name, version, marker in re.findall(
        r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)[^\S\n]*(;[^\n\\]*)?", lock, re.MULTILINE
    ):
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            if not marker:
                wrong.append(f"{name} is missing")
            continue
        if installed != version and not marker:
            wrong.append(f"{name} is {installed}, not {version}")
    return wrong


def check_nats(_root: Path) -> Finding:
    """The NATS server's binary runs."""
    try:
        answer = run_as(None, find_nats_server(), "--version")
    except NatsServerMissingError as error:
        return Finding(subject="NATS", verdict=Verdict.PROBLEM, text=str(error), mend=REMAKE)
    if answer.returncode != 0:
        text = answer.stderr.strip() or f"ended with {answer.returncode}"
        return Finding(subject="NATS", verdict=Verdict.PROBLEM, text=text, mend=REMAKE)
    return Finding(subject="NATS", verdict=Verdict.OK, text=answer.stdout.strip())


def check_postgres(_root: Path) -> Finding:
    """PostgreSQL runs, as the user that it will run as."""
    try:
        user = unprivileged_user()
    except NoUnprivilegedUserError as error:
        return Finding(
            subject="PostgreSQL",
            verdict=Verdict.PROBLEM,
            text=str(error),
            mend="useradd --system postgres",
        )
    with tempfile.TemporaryDirectory(prefix="opensqt-") as scratch:
        Path(scratch).chmod(0o755)
        try:
            installation = usable_installation(user, Path(scratch))
        except (PostgresServerError, OSError) as error:
            return Finding(
                subject="PostgreSQL", verdict=Verdict.PROBLEM, text=str(error), mend=REMAKE
            )
        version = run_as(user, installation / "bin" / "postgres", "--version").stdout.strip()
        copied = installation.is_relative_to(scratch)
    text = version if user is None else f"{version}, run as {user} since root must not"
    if copied:
        text += "; copied for each run, since that user cannot reach this environment"
    return Finding(subject="PostgreSQL", verdict=Verdict.OK, text=text)


def check_ports(_root: Path) -> Finding:
    """There are free ports on loopback."""
    try:
        free_ports(PORTS_NEEDED)
    except OSError as error:
        return Finding(
            subject="ports",
            verdict=Verdict.PROBLEM,
            text=str(error),
            mend="see what listens on 127.0.0.1, and whether the loopback interface is up",
        )
    return Finding(subject="ports", verdict=Verdict.OK, text="enough are free on 127.0.0.1")


def check_disk(root: Path) -> Finding:
    """There is room for the databases and logs of a run."""
    place = root.absolute() if root.exists() else root.absolute().parent
    free_gb = shutil.disk_usage(place).free / 1e9
    text = f"{free_gb:.1f} GB free in {place}"
    if not os.access(place, os.W_OK):
        return Finding(
            subject="disk",
            verdict=Verdict.PROBLEM,
            text=f"{place} cannot be written to",
            mend="run from a directory of your own",
        )
    if free_gb < DISK_NEEDED_GB:
        return Finding(
            subject="disk",
            verdict=Verdict.PROBLEM,
            text=text,
            mend=f"free {DISK_WISHED_GB:g} GB; old runs are in {root}",
        )
    verdict = Verdict.OK if free_gb >= DISK_WISHED_GB else Verdict.NOTE
    return Finding(subject="disk", verdict=verdict, text=text)


def check_memory(_root: Path) -> Finding:
    """There is memory for every process."""
    free_gb = psutil.virtual_memory().available / 1e9
    text = f"{free_gb:.1f} GB available"
    if free_gb >= MEMORY_WISHED_GB:
        return Finding(subject="memory", verdict=Verdict.OK, text=text)
    return Finding(
        subject="memory",
        verdict=Verdict.NOTE,
        text=f"{text}; a run takes about {MEMORY_WISHED_GB:g} GB",
        mend="close something large first",
    )


def check_certificates(root: Path) -> Finding:
    """The development certificates are valid, or will be made."""
    directory = RunRoot(root).certificates
    now = datetime.now(UTC)
    try:
        found = inspect_directory(directory) if directory.is_dir() else ()
    except (OSError, ValueError) as error:
        return Finding(
            subject="certificates",
            verdict=Verdict.PROBLEM,
            text=str(error),
            mend=f"rm -rf {directory} && opensqt certs",
        )
    if not found:
        text = "none yet; the first run makes them"
        return Finding(subject="certificates", verdict=Verdict.OK, text=text)
    left = min(info.days_left(now) for info in found)
    if left < 0:
        text = "some have expired; the next run makes them anew"
        return Finding(subject="certificates", verdict=Verdict.NOTE, text=text)
    text = f"{len(found)}, the first expires in {left} days"
    return Finding(subject="certificates", verdict=Verdict.OK, text=text)


def check_orphans(_root: Path) -> Finding:
    """Programs end with their run on this system, whatever happens."""
    if platform.system() == "Linux":
        return Finding(
            subject="leftovers",
            verdict=Verdict.OK,
            text="the kernel ends every program of a run that is killed",
        )
    return Finding(
        subject="leftovers",
        verdict=Verdict.NOTE,
        text="on this system a run that is killed (kill -9) leaves its programs behind",
        mend="end runs with Ctrl-C",
    )


def check_docker(_root: Path) -> Finding:
    """Whether a Docker engine is there, which only tests and images would use."""
    docker = shutil.which("docker")
    if docker is None:
        text = "not here; not needed"
        return Finding(subject="Docker (optional)", verdict=Verdict.OK, text=text)
    answer = run_as(None, docker, "version", "--format", "{{.Server.Version}}")
    text = f"engine {answer.stdout.strip()}" if answer.returncode == 0 else "no engine answers"
    return Finding(subject="Docker (optional)", verdict=Verdict.OK, text=text)


ALL: tuple[Check, ...] = (
    check_python,
    check_packages,
    check_nats,
    check_postgres,
    check_ports,
    check_disk,
    check_memory,
    check_certificates,
    check_orphans,
    check_docker,
)
