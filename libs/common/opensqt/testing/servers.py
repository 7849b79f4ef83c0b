"""Real NATS and PostgreSQL servers for tests, out of their wheels.

Nothing survives the test run, however it ends: the servers die with the process that started
them, and their files lie in the directory that the caller gives.
"""

import asyncio
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from opensqt.embedded.free_ports import free_ports
from opensqt.embedded.nats_server import NatsServer
from opensqt.embedded.postgres_server import PostgresServer
from opensqt.embedded.program import Program, ReadyCheck, launch_command

START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsEndpoint:
    """A running NATS server with JetStream.

    Attributes:
        url: For clients, with credentials where it needs them.
    """

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresEndpoint:
    """A running PostgreSQL server, whose superuser is `postgres`."""

    host: str
    port: int
    password: str

    def dsn(self, database: str = "postgres") -> str:
        """The superuser's URL of a database."""
        return f"postgresql://postgres:{self.password}@{self.host}:{self.port}/{database}"

    async def answers(self) -> bool:
        """Whether it answers a query."""
        async with await psycopg.AsyncConnection.connect(self.dsn(), connect_timeout=3) as session:
            await session.execute("SELECT 1")
        return True

    @contextmanager
    def fresh_database(self) -> Iterator[str]:
        """Create an empty database; yields its URL, and drops it in the end, whoever uses it."""
        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield self.dsn(name)
        finally:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            with psycopg.connect(self.dsn(), autocommit=True) as connection:
                connection.execute(drop)


@contextmanager
def running(program: Program, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `program` for as long as the context is open, having waited until it is ready.

    Its output goes to a file named after it in `directory`.

    Raises:
        RuntimeError: It ended, or was not ready in time; a note has the end of its output.
    """
    output = directory / f"{program.name}.log"
    with output.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - the program is the caller's
            launch_command(program, directory, parent_pid=os.getpid()),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the tests, which then stop their servers
        )
    try:
        try:
            wait_until_ready(program.ready, still_runs=lambda: process.poll() is None)
        except RuntimeError as error:
            error.add_note(
                f"output of {program.name}:\n{output.read_text(errors='replace')[-2000:]}"
            )
            raise
        yield process
    finally:
        process.send_signal(program.stop_signal)
        try:
            process.wait(program.stop_wait_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_ready(ready: ReadyCheck, *, still_runs: Callable[[], bool] = lambda: True) -> None:
    """Wait until `ready` says yes, for tests that have no event loop yet.

    Raises:
        RuntimeError: It did not in time, or whatever it asks no longer runs.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    last_answer = "no"
    while time.monotonic() < deadline and still_runs():
        try:
            if asyncio.run(_ask(ready)):
                return
        except Exception as error:
            last_answer = repr(error)
        time.sleep(0.05)
    raise RuntimeError(f"not ready; the last answer was: {last_answer}")


async def _ask(ready: ReadyCheck) -> bool:
    return await ready()


@contextmanager
def nats_from_wheel(directory: Path) -> Iterator[NatsEndpoint]:
    """Run a NATS server with JetStream below `directory`."""
    (port,) = free_ports(1)
    server = NatsServer(directory=directory, port=port, durable=False)
    with running(server.program(), directory):
        yield NatsEndpoint(url=server.url)


@contextmanager
def postgres_from_wheel(directory: Path) -> Iterator[PostgresEndpoint]:
    """Run a PostgreSQL server below `directory`, without syncing to disk."""
    (port,) = free_ports(1)
    server = PostgresServer.create(directory / "postgres", port=port, durable=False)
    try:
        with running(server.program(), directory):
            yield PostgresEndpoint(host="127.0.0.1", port=port, password=server.password)
    finally:
        shutil.rmtree(server.directory, ignore_errors=True)
