"""Programs under supervision: started in order, restarted when they die, gone in the end."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from opensqt.embedded.free_ports import free_ports
from opensqt.embedded.nats_server import NatsServer
from opensqt.embedded.postgres_server import PostgresServer
from opensqt.embedded.program import Program
from opensqt.embedded.stack import Stack, StackError
from opensqt.embedded.supervision import Phase

pytestmark = pytest.mark.integration

SLEEPER = (sys.executable, "-I", "-S", "-c", "import time; print('up', flush=True); time.sleep(99)")


@pytest.fixture
def odd_path(tmp_path: Path) -> Path:
    """A directory whose name breaks whatever does not quote."""
    path = tmp_path / "50% of ;all # 'paths'"
    path.mkdir()
    return path


async def eventually(is_so: Callable[[], bool], *, within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def pid_of(stack: Stack, name: str) -> int:
    return next(status.pid for status in await stack.status() if status.name == name)


async def test_a_stack_starts_what_it_is_given_and_leaves_nothing(odd_path: Path) -> None:
    async with Stack(odd_path / "supervisor", odd_path / "log") as stack:
        await stack.start(Program(name="sleeper", argv=SLEEPER, order=2))
        await stack.start(Program(name="later", argv=SLEEPER))
        pids = [await pid_of(stack, name) for name in ("sleeper", "later")]
        assert all(psutil.pid_exists(pid) for pid in pids)
        await eventually(lambda: (odd_path / "log" / "sleeper.log").read_text() == "up\n")
    assert not any(psutil.pid_exists(pid) for pid in pids)


async def test_what_dies_is_started_again(tmp_path: Path) -> None:
    async with Stack(tmp_path / "supervisor", tmp_path / "log") as stack:
        await stack.start(Program(name="sleeper", argv=SLEEPER))
        before = await pid_of(stack, "sleeper")
        os.kill(before, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while await pid_of(stack, "sleeper") in (0, before):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


async def test_what_is_stopped_stays_stopped_until_it_is_restarted(tmp_path: Path) -> None:
    async with Stack(tmp_path / "supervisor", tmp_path / "log") as stack:
        await stack.start(Program(name="sleeper", argv=SLEEPER))
        await stack.stop("sleeper")
        (status,) = await stack.status()
        assert (status.phase, status.pid) == (Phase.STOPPED, 0)
        await stack.restart("sleeper")
        assert await pid_of(stack, "sleeper")


async def test_a_refused_configuration_is_told_at_once_with_its_reason(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    argv = ("/bin/sh", "-c", "echo 'grid.interval = -1: must be positive'; exit 2")
    async with Stack(tmp_path / "supervisor", tmp_path / "log") as stack:
        began = time.monotonic()
        with pytest.raises(StackError, match=r"refuses to start[^$]*grid.interval = -1") as raised:
            await stack.start(Program(name="strategy", argv=argv, ready=never))
    assert raised.value.refused
    assert time.monotonic() - began < 10


async def test_a_long_path_is_no_obstacle(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    async with Stack(deep / "supervisor", deep / "log") as stack:
        await stack.start(Program(name="sleeper", argv=SLEEPER))
        outside = stack.socket.parent
    assert not outside.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children")
@pytest.mark.parametrize("victim", ["holder", "supervisord"])
async def test_nothing_outlives_a_killed_run(tmp_path: Path, victim: str) -> None:
    holder = subprocess.Popen(  # noqa: ASYNC220 - returns at once
        [
            sys.executable,
            "-c",
            textwrap.dedent(f"""
                import asyncio
                from pathlib import Path
                from opensqt.embedded.program import Program
                from opensqt.embedded.stack import Stack

                async def main():
                    here = Path({str(tmp_path)!r})
                    async with Stack(here / "supervisor", here / "log") as stack:
                        await stack.start(Program(name="sleeper", argv={SLEEPER!r}))
                        print(stack._supervisord.pid, (await stack.status())[0].pid, flush=True)
                        await asyncio.sleep(99)

                asyncio.run(main())
            """),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        line = await asyncio.to_thread(holder.stdout.readline)
        supervisord, sleeper = map(int, line.split())
        os.kill(holder.pid if victim == "holder" else supervisord, signal.SIGKILL)
        await eventually(lambda: not psutil.pid_exists(sleeper))
        if victim == "holder":
            await eventually(lambda: not psutil.pid_exists(supervisord))
    finally:
        holder.kill()
        holder.wait()


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[PostgresServer]:
    (port,) = free_ports(1)
    server = PostgresServer.create(tmp_path / "postgres", port=port)
    yield server
    shutil.rmtree(server.directory)  # may lie elsewhere


async def test_servers_come_back_with_what_they_had(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    (port,) = free_ports(1)
    nats = NatsServer(directory=tmp_path / "nats", port=port, password="x y")
    async with Stack(tmp_path / "supervisor", tmp_path / "log") as stack:
        await stack.start(nats.program(), postgres.program())
        url = await postgres.add_database("state")
        async with await psycopg.AsyncConnection.connect(url) as session:
            await session.execute("CREATE TABLE slot AS SELECT 61800.10::numeric AS price")
        for status in await stack.status():
            os.kill(status.pid, signal.SIGKILL)
        await asyncio.sleep(0.2)
        await stack.wait_ready()
        async with await psycopg.AsyncConnection.connect(url) as session:
            answer = await session.execute("SELECT price::text FROM slot")
            assert await answer.fetchone() == ("61800.10",)


async def test_an_owner_reaches_its_own_database_only(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    async with Stack(tmp_path / "supervisor", tmp_path / "log") as stack:
        await stack.start(postgres.program())
        state = await postgres.add_database("state")
        await postgres.add_database("risk")
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            await psycopg.AsyncConnection.connect(state.removesuffix("state") + "risk")
        with pytest.raises(psycopg.OperationalError, match="password"):
            await psycopg.AsyncConnection.connect(state.replace("state:", "state:x"))
