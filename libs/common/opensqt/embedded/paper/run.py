"""Starts everything that a paper run consists of, in order, and takes it down again."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from opensqt.embedded.nats_server import NatsServer
from opensqt.embedded.paper.configurations import write_configurations
from opensqt.embedded.paper.exchange_control import ExchangeControl
from opensqt.embedded.paper.programs import service_program
from opensqt.embedded.paper.settings import SERVICES, PaperSettings
from opensqt.embedded.postgres_server import PostgresServer
from opensqt.embedded.run_directory import Run, databases
from opensqt.embedded.stack import Stack
from opensqt.runtime.certificates import ensure_development_certificates

DATABASES = ("state", "risk", "execution")
"""Services with a database, each with its own owner."""

START_TIMEOUT_S = 120.0

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperStack:
    """Everything that runs.

    Attributes:
        stack: All processes.
        nats: The NATS server.
        postgres: The PostgreSQL server.
        databases: The URL of each service's own database.
    """

    stack: Stack
    nats: NatsServer
    postgres: PostgresServer
    databases: Mapping[str, str] = field(repr=False)


@asynccontextmanager
async def running(settings: PaperSettings, run: Run, tell: Tell) -> AsyncIterator[PaperStack]:
    """Everything up and ready, the market not yet begun; all of it down when the context is left.

    Args:
        settings: What to run.
        run: Its directory.
        tell: Takes lines on how far the start is.

    Raises:
        StackError: A process did not become ready.
        PostgresServerError: PostgreSQL cannot run here.
    """
    ensure_development_certificates(settings.certificates)
    nats_directory, postgres_directory = databases(run.path)
    nats = NatsServer(
        directory=nats_directory, port=settings.ports["nats"], password=settings.nats_password
    )
    async with Stack(run.path / "supervisor", run.logs) as stack:
        replace(run, supervisor_socket=str(stack.socket)).write()
        tell("starting NATS and PostgreSQL")
        postgres = await asyncio.to_thread(
            PostgresServer.create, postgres_directory, port=settings.ports["postgres"]
        )
        if postgres.directory != postgres_directory:
            postgres_directory.symlink_to(postgres.directory)
        await stack.start(nats.program(), postgres.program())
        urls = {name: await postgres.add_database(name) for name in DATABASES}
        configurations = write_configurations(settings, urls)
        tell(f"starting the paper exchange and {', '.join(SERVICES)}")
        await stack.start(
            *(
                service_program(name, settings, configuration, run.path)
                for name, configuration in configurations.items()
            ),
            at_once=True,  # they wait for each other, and share what cores there are
            timeout_s=START_TIMEOUT_S,
        )
        yield PaperStack(stack=stack, nats=nats, postgres=postgres, databases=urls)


async def begin_market(control: ExchangeControl, settings: PaperSettings) -> None:
    """Let the exchange's market begin, with the faults that were asked for."""
    if settings.faults != "none":
        await control.set_faults(settings.faults)
    await control.start_market()
