"""Where the runs of one project lie: `.run/<start>-<pid>/`, with what others need to find them.

Beside the runs lie the development certificates, which they share. A run that is over keeps its
logs, configurations and summary; its databases go with it.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

RUNS_KEPT = 10
DESCRIPTION = "run.json"
CURRENT = "current"
CONNECTION = "cli.yaml"
START_TOLERANCE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of `opensqt up`.

    Attributes:
        path: Its directory.
        pid: The process that holds it.
        process_start_s: When that process started, so that a later one with its pid is not
            taken for it.
        ports: Where its programs listen, by name.
        supervisor_socket: Where its supervisord takes calls; None until it does.
    """

    path: Path
    pid: int
    process_start_s: float
    ports: Mapping[str, int]
    supervisor_socket: str | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        return self.path.name

    @property
    def connection_path(self) -> Path:
        """The file that tells the command line how to reach its services."""
        return self.path / CONNECTION

    @property
    def logs(self) -> Path:
        """One file for each program."""
        return self.path / "log"

    def is_running(self) -> bool:
        """Whether the process that holds it is alive."""
        try:
            process = psutil.Process(self.pid)
            dead = process.status() == psutil.STATUS_ZOMBIE
            started_s = process.create_time()
        except psutil.Error:
            return False
        return not dead and abs(started_s - self.process_start_s) < START_TOLERANCE_S

    def write(self) -> None:
        """Let others find it."""
        description = asdict(self) | {"path": str(self.path)}
        (self.path / DESCRIPTION).write_text(json.dumps(description, indent=2), encoding="utf-8")


class RunRoot:
    """The directory that holds the runs.

    Args:
        path: The directory; made when the first run is created.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @property
    def certificates(self) -> Path:
        """Where the development certificates are."""
        return self.path / "certificates"

    def create(self, ports: Mapping[str, int]) -> Run:
        """Make the directory of a new run, held by this process, and forget old ones."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.forget_old()
        started = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        path = self.path / f"{started}-{os.getpid()}"
        path.mkdir(mode=0o700)
        process_start_s = psutil.Process().create_time()
        run = Run(path=path, pid=os.getpid(), process_start_s=process_start_s, ports=dict(ports))
        run.write()
        self._point_current_at(run)
        return run

    def runs(self) -> tuple[Run, ...]:
        """Every run, the newest first."""
        found = []
        for description in self.path.glob(f"*/{DESCRIPTION}"):
            if description.parent.is_symlink():
                continue
            # A run that is just being made or forgotten is none.
            with contextlib.suppress(OSError, ValueError, TypeError):
                fields = json.loads(description.read_text(encoding="utf-8"))
                found.append(Run(**{**fields, "path": description.parent}))
        return tuple(sorted(found, key=lambda run: run.process_start_s, reverse=True))

    def running(self) -> tuple[Run, ...]:
        """The runs that are alive, the newest first."""
        return tuple(run for run in self.runs() if run.is_running())

    def forget_old(self) -> None:
        """Remove the runs beyond the newest few, and what killed ones left behind."""
        for age, run in enumerate(self.runs()):
            if run.is_running():
                continue
            remove_databases(run.path)
            if age >= RUNS_KEPT:
                shutil.rmtree(run.path, ignore_errors=True)

    def _point_current_at(self, run: Run) -> None:
        link = self.path / f".{CURRENT}-{os.getpid()}"
        link.unlink(missing_ok=True)
        link.symlink_to(run.name)
        link.replace(self.path / CURRENT)


def databases(run: Path) -> tuple[Path, Path]:
    """Where a run's NATS and PostgreSQL keep their data."""
    return run / "nats", run / "postgres"


def remove_databases(run: Path) -> None:
    """Remove a run's databases, also where a link says that they lie elsewhere."""
    for path in databases(run):
        if path.is_symlink():
            shutil.rmtree(path.readlink(), ignore_errors=True)
            path.unlink(missing_ok=True)
        elif path.exists():
            shutil.rmtree(path, ignore_errors=True)
