"""A stack of programs: started in order, watched, restarted when they die, stopped together.

Whatever happens to the process that holds a stack, its programs do not outlive it: supervisord is
told by the kernel when its parent dies, and so is every program when supervisord does.
"""

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Self

from opensqt.embedded.log_lines import last_lines, last_refusal
from opensqt.embedded.program import Program, launch_command
from opensqt.embedded.supervision import (
    CONFIGURATION_FILE,
    USAGE_EXIT_STATUS,
    Phase,
    ProgramStatus,
    SupervisorClient,
    configuration,
    last_exit_status,
    log_path,
    supervisord_program,
)

SOCKET_PATH_BYTES_MAX = 90
"""Paths of unix sockets end at 104 bytes on some systems, and supervisord appends its pid."""
POLL_S = 0.05
CHECK_TIMEOUT_S = 5.0


class StackError(Exception):
    """A program did not become ready; the text says which, why, and where to read more.

    Args:
        text: For people.
        refused: The program itself says that its configuration is not usable.
    """

    def __init__(self, text: str, *, refused: bool = False) -> None:
        super().__init__(text)
        self.refused = refused


class Stack:
    """Runs programs under supervisord.

    Use it as an async context manager: what it started is gone when the context is left.

    Args:
        directory: For its own files; not shared with another stack.
        log_directory: For the programs' output.
    """

    def __init__(self, directory: Path, log_directory: Path) -> None:
        self._directory = directory.absolute()
        self._log_directory = log_directory.absolute()
        self._programs: dict[str, Program] = {}
        self._supervisord: subprocess.Popen[bytes] | None = None
        self._client: SupervisorClient | None = None
        self._socket_directory: Path | None = None

    async def __aenter__(self) -> Self:
        """Open it."""
        try:
            await self.open()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.close()

    async def open(self) -> None:
        """Start supervisord, with no program yet."""
        for directory in (self._directory, self._log_directory):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if len(os.fsencode(self.socket)) > SOCKET_PATH_BYTES_MAX:
            self._socket_directory = Path(tempfile.mkdtemp(prefix="opensqt-"))
        self._client = SupervisorClient(self.socket)
        self._write_configuration()
        supervisord = supervisord_program(self._directory, self._client.answers)
        with log_path(self._log_directory, "supervisord.start").open("ab") as output:
            self._supervisord = subprocess.Popen(  # noqa: ASYNC220, S603 - returns at once; our own argv
                launch_command(supervisord, self._directory, parent_pid=os.getpid()),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; we then stop the stack in order
            )
        await self._wait_for_supervisord(supervisord)

    async def start(
        self, *programs: Program, at_once: bool = False, timeout_s: float = 60.0
    ) -> None:
        """Add programs, start them, and return once all are ready.

        Args:
            programs: What to start.
            at_once: Start them all, for programs that wait for each other by themselves; else
                each order starts after the lower ones are ready.
            timeout_s: How long each order may take.

        Raises:
            StackError: One did not become ready; the others are left as they are.
        """
        await self.add(*programs)
        ordered = sorted(programs, key=lambda program: program.order)
        for _, group in groupby(ordered, key=lambda program: 0 if at_once else program.order):
            names = [program.name for program in group]
            for name in names:
                await self._supervisor.start(name)
            await self.wait_ready(names, timeout_s=timeout_s)

    async def add(self, *programs: Program) -> None:
        """Make programs known without starting them."""
        for program in programs:
            if program.name in self._programs:
                raise ValueError(f"program {program.name} is in this stack already")
            self._programs[program.name] = program
        self._write_configuration()
        await self._supervisor.add_programs()

    async def wait_ready(self, names: Iterable[str] = (), *, timeout_s: float = 60.0) -> None:
        """Return once the named programs (all, when none is named) run and are ready.

        Raises:
            StackError: One was not ready in time, or gave up.
        """
        deadline = time.monotonic() + timeout_s
        waiting = list(names) or list(self._programs)
        while True:
            ready = await asyncio.gather(*(self.is_ready(name) for name in waiting))
            waiting = [name for name, is_so in zip(waiting, ready, strict=True) if not is_so]
            if not waiting:
                return
            await self.refuse_hopeless(waiting)
            if time.monotonic() > deadline:
                problem = f"is not ready after {timeout_s:g} s"
                raise StackError(self._failure(waiting[0], problem))
            await asyncio.sleep(POLL_S)

    async def refuse_hopeless(self, names: Iterable[str] = ()) -> None:
        """Return while every named program (any, when none is named) may still come to run.

        Raises:
            StackError: One refused its configuration, or was started in vain too often.
        """
        chosen = set(names) or set(self._programs)
        for status in await self.status():
            if status.name not in chosen:
                continue
            ended = status.phase in (Phase.BACKOFF, Phase.EXITED, Phase.FATAL)
            log = log_path(self._log_directory, status.name)
            if ended and last_exit_status(self._log_directory, status.name) == USAGE_EXIT_STATUS:
                said = last_refusal(log)
                text = f"{status.name} refuses to start: {said}" if said else None
                problem = text or self._failure(status.name, "refuses to start")
                raise StackError(problem, refused=True)
            if status.phase is Phase.FATAL:
                raise StackError(self._failure(status.name, f"does not start: {status.text}"))

    async def is_ready(self, name: str) -> bool:
        """Whether a program's own check says that it can be used."""
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                return await self._programs[name].ready()
        except Exception:
            return False

    async def status(self) -> tuple[ProgramStatus, ...]:
        """Every program as supervisord sees it, in the order of starting."""
        return await self._supervisor.statuses()

    async def stop(self, *names: str) -> None:
        """Stop programs one after the other; they can be started again."""
        for name in names:
            await self._supervisor.stop(name)

    async def begin(self, name: str) -> None:
        """Start a program that is down; returns before it is ready."""
        await self._supervisor.start(name)

    async def restart(self, name: str, *, timeout_s: float = 60.0) -> None:
        """Stop a program if it runs, start it, and wait until it is ready.

        Raises:
            StackError: It did not become ready.
        """
        await self._supervisor.stop(name)
        await self._supervisor.start(name)
        await self.wait_ready([name], timeout_s=timeout_s)

    async def close(self) -> None:
        """Stop everything, the last one started first. Returns once nothing is left."""
        process, self._supervisord = self._supervisord, None
        if process is not None:
            # Asked for each by each it is quick; supervisord's own stopping takes a second for
            # every order. SIGTERM then ends supervisord, with whatever is left.
            with suppress(Exception):
                await self._stop_in_order()
            process.terminate()
            patience_s = 5 + sum(program.stop_wait_s for program in self._programs.values())
            try:
                await asyncio.to_thread(process.wait, patience_s)
            except subprocess.TimeoutExpired:
                process.kill()  # takes the programs with it
                await asyncio.to_thread(process.wait)
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._socket_directory is not None:
            shutil.rmtree(self._socket_directory, ignore_errors=True)

    async def _stop_in_order(self) -> None:
        ordered = sorted(self._programs.values(), key=lambda program: -program.order)
        for _, group in groupby(ordered, key=lambda program: program.order):
            names = {program.name for program in group}
            for name in names:
                await self._supervisor.ask_to_stop(name)
            while any(  # noqa: ASYNC110 - another process is asked
                status.pid for status in await self.status() if status.name in names
            ):
                await asyncio.sleep(POLL_S)

    @property
    def socket(self) -> Path:
        """Where supervisord takes calls; known once the stack is open."""
        return (self._socket_directory or self._directory) / "supervisord.sock"

    @property
    def _supervisor(self) -> SupervisorClient:
        if self._client is None:
            raise RuntimeError("this stack is not open")
        return self._client

    def _write_configuration(self) -> None:
        text = configuration(
            tuple(self._programs.values()),
            directory=self._directory,
            socket=self.socket,
            log_directory=self._log_directory,
        )
        (self._directory / CONFIGURATION_FILE).write_text(text, encoding="utf-8")

    async def _wait_for_supervisord(self, supervisord: Program) -> None:
        deadline = time.monotonic() + 30.0
        while True:
            try:
                if await supervisord.ready():
                    return
            except Exception as error:
                problem = error
            assert self._supervisord is not None
            if self._supervisord.poll() is not None or time.monotonic() > deadline:
                raise StackError(self._failure("supervisord.start", f"does not answer: {problem}"))
            await asyncio.sleep(POLL_S)

    def _failure(self, name: str, problem: str) -> str:
        path = log_path(self._log_directory, name)
        said = "".join(f"\n  | {line}" for line in last_lines(path))
        return f"{name} {problem}; its output, {path}, ends:{said or ' (nothing)'}"
