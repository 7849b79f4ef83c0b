"""A program that a stack runs: what to start, as whom, and how to tell that it is ready."""

import json
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ReadyCheck = Callable[[], Awaitable[bool]]
"""Answers whether the program can be used now; False as well as any error means "not yet"."""

# -I and -S: nothing but the standard library, so that launching costs milliseconds.
LAUNCHER = (sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py")))
"""The command that becomes the program of the launch file that it is given."""


async def always_ready() -> bool:
    """A program that is ready as soon as it runs."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One process of a stack.

    Attributes:
        name: What people and log files call it; letters, digits, `_`.
        argv: The command; never goes through a shell.
        environment: Added to the environment that the stack itself has.
        directory: The working directory.
        user: The user to run as, where that can be chosen (only root can).
        ready: The check that tells when others may rely on it.
        order: Programs start in ascending order and stop in descending order.
        stop_signal: Asks it to stop.
        stop_wait_s: How long it may take to stop before it is killed.
        orphan_signal: What the kernel sends it when its supervisor dies without a word.
    """

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None
    user: str | None = None
    ready: ReadyCheck = always_ready
    order: int = 100
    stop_signal: signal.Signals = signal.SIGTERM
    stop_wait_s: int = 10
    orphan_signal: signal.Signals = signal.SIGKILL

    def __post_init__(self) -> None:
        """Refuse names that could not be a file's or a section's name."""
        if not self.name.replace("_", "").isalnum():
            raise ValueError(f"program name {self.name!r}: letters, digits and _ are allowed")
        if not self.argv:
            raise ValueError(f"program {self.name}: argv is empty")


def write_launch_file(program: Program, directory: Path, *, parent_pid: int | None = None) -> Path:
    """Write `<name>.launch.json`, which says how to start `program`, into `directory`.

    Command, environment and user travel in that file rather than on a command line or in a
    supervisor's configuration, so that no quoting rule can change them.

    Args:
        program: What to start.
        directory: Where the launch file goes; it may hold secrets and is made readable to the
            owner only.
        parent_pid: The process whose death ends the program; by default whoever starts it.
    """
    path = directory / f"{program.name}.launch.json"
    path.touch(mode=0o600)
    path.write_text(
        json.dumps(
            {
                "argv": list(program.argv),
                "environment": dict(program.environment),
                "directory": str(program.directory) if program.directory else None,
                "user": program.user,
                "orphan_signal": int(program.orphan_signal),
                "parent_pid": parent_pid,
            }
        ),
        encoding="utf-8",
    )
    return path


def launch_command(
    program: Program, directory: Path, *, parent_pid: int | None = None
) -> list[str]:
    """The command that starts `program`; its arguments are those of `write_launch_file`."""
    return [*LAUNCHER, str(write_launch_file(program, directory, parent_pid=parent_pid))]
