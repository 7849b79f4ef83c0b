"""Speaks with supervisord: its configuration, and the calls that a stack makes.

supervisord starts, watches and restarts the programs. This is the only file that knows it.
"""

import asyncio
import os
import re
import shlex
import signal
import sys
import threading
import xmlrpc.client
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, cast

from supervisor.xmlrpc import SupervisorTransport

from opensqt.embedded.program import LAUNCHER, Program, ReadyCheck, write_launch_file

CONFIGURATION_FILE = "supervisord.conf"
LAUNCHER_VARIABLE = "SUPERVISED_LAUNCHER"
LOG_BYTES_MAX = 10_000_000
LOG_BACKUPS = 3
CALL_TIMEOUT_S = 30.0
USAGE_EXIT_STATUS = 2
"""A program that ends with it refused its configuration: starting it again would not help."""
START_S = 5
"""A program that ends sooner has failed to start; loading alone can take a second or two."""
START_RETRIES = 4
"""Each a second later than the one before."""
ALREADY = frozenset({60, 70, 90})
"""Fault codes of supervisord: ALREADY_STARTED, NOT_RUNNING, ALREADY_ADDED: what we wanted holds."""


class Phase(Enum):
    """Where supervisord has a program."""

    STOPPED = "STOPPED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    BACKOFF = "BACKOFF"
    """Ended too early; will be started again after a pause."""
    STOPPING = "STOPPING"
    EXITED = "EXITED"
    FATAL = "FATAL"
    """Ended too early too often; is not started again."""
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramStatus:
    """What supervisord knows of one program.

    Attributes:
        name: The program's.
        phase: Where it is.
        pid: Of the running process; 0 when none runs.
        uptime_s: For how long that process has been running.
        text: supervisord's words, such as why a start failed.
    """

    name: str
    phase: Phase
    pid: int
    uptime_s: int
    text: str


def configuration(
    programs: Sequence[Program], *, directory: Path, socket: Path, log_directory: Path
) -> str:
    """Write the programs' launch files and return the text of supervisord's configuration.

    Its syntax knows no quotes: " ;" and " #" end a line wherever they stand, and % expands. So
    no path of this machine is written there. Paths are relative to `directory`, in which it must
    run, and the launcher comes in by the environment: see `supervisord_program`.

    Args:
        programs: What it shall be able to start; it starts nothing by itself.
        directory: For launch files and supervisord's own files.
        socket: Where it takes calls; only the current user can reach it.
        log_directory: One rotated file for each program.
    """

    def relative(path: Path) -> str:
        return os.path.relpath(path, directory)

    sections = [
        "[supervisord]",
        "nodaemon=true",
        "silent=true",
        f"logfile={relative(supervisord_log(log_directory))}",
        "logfile_maxbytes=1MB",
        "logfile_backups=1",
        "pidfile=supervisord.pid",
        f"childlogdir={relative(log_directory)}",
        *(["user=root"] if os.geteuid() == 0 else []),  # said on purpose, so it does not warn
        "[unix_http_server]",
        f"file={relative(socket)}",
        "chmod=0700",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for program in programs:
        write_launch_file(program, directory)
        sections += [
            f"[program:{program.name}]",
            f"command=%(ENV_{LAUNCHER_VARIABLE})s {program.name}.launch.json",
            "autostart=false",
            "autorestart=unexpected",
            f"exitcodes={USAGE_EXIT_STATUS}",
            f"startsecs={START_S}",
            f"startretries={START_RETRIES}",
            f"stopsignal={program.stop_signal.name.removeprefix('SIG')}",
            f"stopwaitsecs={program.stop_wait_s}",
            "killasgroup=true",
            f"priority={program.order}",
            "redirect_stderr=true",
            f"stdout_logfile={relative(log_path(log_directory, program.name))}",
            f"stdout_logfile_maxbytes={LOG_BYTES_MAX}",
            f"stdout_logfile_backups={LOG_BACKUPS}",
        ]
    return "\n".join([*sections, ""])


def log_path(log_directory: Path, name: str) -> Path:
    """Where a program's output goes."""
    return log_directory / f"{name}.log"


def last_exit_status(log_directory: Path, name: str) -> int | None:
    """The exit status of a program's last process; None when none has ended by itself.

    Read from supervisord's log, since its calls say nothing of processes that end too early.
    """
    try:
        log = supervisord_log(log_directory).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    statuses = re.findall(rf" exited: {re.escape(name)} \(exit status (\d+);", log)
    return int(statuses[-1]) if statuses else None


def supervisord_log(log_directory: Path) -> Path:
    """Where supervisord says what it did."""
    return log_directory / "supervisord.log"


def supervisord_program(directory: Path, ready: ReadyCheck) -> Program:
    """The program that is supervisord itself, in the foreground.

    Args:
        directory: Has its configuration, `CONFIGURATION_FILE`.
        ready: Whether it takes calls.
    """
    return Program(
        name="supervisord",
        argv=(sys.executable, "-m", "supervisor.supervisord", "-n", "-c", CONFIGURATION_FILE),
        environment={LAUNCHER_VARIABLE: shlex.join(LAUNCHER)},
        directory=directory,
        ready=ready,
        orphan_signal=signal.SIGTERM,  # it stops the programs in order
    )


class SupervisorClient:
    """Calls supervisord over its socket.

    Args:
        socket: Where it takes calls.
    """

    def __init__(self, socket: Path) -> None:
        self._transport = SupervisorTransport(None, None, f"unix://{socket}")
        proxy = xmlrpc.client.ServerProxy("http://localhost", transport=self._transport)
        self._supervisor: Any = proxy.supervisor
        self._one_at_a_time = threading.Lock()  # the transport keeps one connection

    async def answers(self) -> bool:
        """Whether supervisord takes calls."""
        return await self._call("getAPIVersion") is not None

    async def add_programs(self) -> None:
        """Have it read its configuration again and know the programs that are new there."""
        ((added, _changed, _removed),) = await self._call("reloadConfig")
        for name in added:
            await self._call("addProcessGroup", name)

    async def start(self, name: str) -> None:
        """Start a program; returns before it runs."""
        await self._call("startProcess", name, False)

    async def stop(self, name: str) -> None:
        """Stop a program; returns once it has ended."""
        await self._call("stopProcess", name, True)

    async def ask_to_stop(self, name: str) -> None:
        """Have a program stopped; returns before it has ended."""
        await self._call("stopProcess", name, False)

    async def statuses(self) -> tuple[ProgramStatus, ...]:
        """Every program, in the order of starting."""
        return tuple(_status(item) for item in await self._call("getAllProcessInfo"))

    async def shutdown(self) -> None:
        """Stop every program, the last one started first, and then supervisord itself."""
        await self._call("shutdown")

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    async def _call(self, method: str, *arguments: object) -> Any:
        async with asyncio.timeout(CALL_TIMEOUT_S):
            return await asyncio.to_thread(self._call_now, method, *arguments)

    def _call_now(self, method: str, *arguments: object) -> object:
        with self._one_at_a_time:
            try:
                return cast("object", getattr(self._supervisor, method)(*arguments))
            except xmlrpc.client.Fault as fault:
                if fault.faultCode in ALREADY:
                    return None
                raise
            except Exception:
                # A connection that broke once would fail for ever.
                self._transport.close()
                raise


def _status(item: dict[str, Any]) -> ProgramStatus:
    names = {phase.value: phase for phase in Phase}
    return ProgramStatus(
        name=item["name"],
        phase=names.get(item["statename"], Phase.UNKNOWN),
        pid=item["pid"],
        uptime_s=max(0, item["now"] - item["start"]) if item["pid"] else 0,
        text=item["spawnerr"] or item["description"],
    )
