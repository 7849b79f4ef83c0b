"""What the benchmarks play on: real servers, certificates, and processes that end with the run."""

import asyncio
import json
import secrets
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from opensqt.embedded.free_ports import free_ports
from opensqt.embedded.nats_server import USER, NatsServer
from opensqt.embedded.postgres_server import PostgresServer
from opensqt.embedded.program import Program
from opensqt.embedded.stack import Stack
from opensqt.runtime.certificates import ensure_development_certificates, tls_config_of

PROJECT = Path(__file__).resolve().parent.parent


@dataclass(slots=True, kw_only=True)
class Stage:
    """Servers that run, and a stack to add processes to."""

    directory: Path
    stack: Stack
    nats: NatsServer
    postgres: PostgresServer
    http: aiohttp.ClientSession
    _ports: list[int] = field(default_factory=list)

    def tls(self, identity: str) -> dict[str, str]:
        """The files of an identity."""
        files = tls_config_of(self.directory / "certificates", identity)
        return {"ca": str(files.ca), "certificate": str(files.certificate), "key": str(files.key)}

    @property
    def nats_options(self) -> dict[str, Any]:
        """How a client connects to NATS."""
        return {"servers": self.nats.url, "user": USER, "password": self.nats.password}

    def port(self) -> int:
        """A port that nobody else on this stage was given."""
        while True:
            (port,) = free_ports(1)
            if port not in self._ports:
                self._ports.append(port)
                return port

    async def run(self, name: str, module: str, config: Mapping[str, Any]) -> None:
        """Start a process of the benchmarks and wait until it says that it is ready."""
        await self.stack.start(self.program(name, module, config))

    def program(
        self, name: str, module: str, config: Mapping[str, Any], *, order: int = 100
    ) -> Program:
        """A process of the benchmarks: it reads its configuration, and writes a ready file."""
        path = self.directory / f"{name}.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(config), encoding="utf-8")
        ready = self.directory / f"{name}.ready"
        ready.unlink(missing_ok=True)

        async def is_ready() -> bool:
            return ready.exists()

        return Program(
            name=name,
            argv=(sys.executable, "-m", module, str(path), str(ready)),
            directory=PROJECT,
            ready=is_ready,
            order=order,
        )

    async def pid(self, name: str) -> int:
        """The process that runs under this name now."""
        return next(s.pid for s in await self.stack.status() if s.name == name)


@asynccontextmanager
async def open_stage() -> AsyncIterator[Stage]:
    """Start NATS and PostgreSQL as `opensqt up` does, durable; all of it is gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="opensqt-bench-"))
    ensure_development_certificates(directory / "certificates")
    nats_port, postgres_port = free_ports(2)
    nats = NatsServer(
        directory=directory / "nats", port=nats_port, password=secrets.token_urlsafe(18)
    )
    postgres = await asyncio.to_thread(
        PostgresServer.create, directory / "postgres", port=postgres_port
    )
    try:
        async with (
            aiohttp.ClientSession() as http,
            Stack(directory / "stack", directory / "logs") as stack,
        ):
            await stack.start(nats.program(), postgres.program())
            yield Stage(directory=directory, stack=stack, nats=nats, postgres=postgres, http=http)
    finally:
        for path in (postgres.directory, directory):
            shutil.rmtree(path, ignore_errors=True)


async def wait_until(check: Any, *, timeout_s: float = 30.0, what: str = "") -> None:
    """Poll an async check until it holds.

    Raises:
        TimeoutError: It did not, in time.
    """
    try:
        async with asyncio.timeout(timeout_s):
            while not await check():
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise TimeoutError(f"not within {timeout_s:g} s: {what}") from None
