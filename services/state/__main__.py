"""Starts the state service: ``python -m services.state --config state.yaml``."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opensqt.adapters.nats import open_nats_bus
from opensqt.adapters.postgres.migrate import LEDGER, migrate
from opensqt.adapters.postgres.state_store import PostgresStateStore
from opensqt.market_maker.v1 import state_service_pb2_grpc as pb_grpc
from opensqt.ports import DependencyError
from opensqt.runtime.retries import until_it_answers
from opensqt.runtime.service import ServiceContext, run_service
from services.state.app import StateApp
from services.state.config import StateConfig
from services.state.servicer import ALLOWLIST, DESCRIPTOR, StateServicer


@asynccontextmanager
async def serve(config: StateConfig, context: ServiceContext) -> AsyncIterator[None]:
    """Own the slots until the process is told to stop."""
    await until_it_answers(
        "postgres", lambda: migrate(config.postgres, LEDGER), errors=(DependencyError,)
    )
    server = context.grpc_server(config, ALLOWLIST)
    async with (
        PostgresStateStore.open(config.postgres) as store,
        open_nats_bus(config.nats, name="state", metrics=context.metrics) as bus,
    ):
        app = StateApp(
            store=store,
            bus=bus,
            clock=context.clock,
            metrics=context.metrics,
            keep_revisions=config.keep_revisions,
        )
        context.readiness.add("postgres", store.ping)
        # Without NATS the ledger still commits: order updates wait, and changes are published late.
        server.add(
            pb_grpc.add_StateServiceServicer_to_server, StateServicer(app.ledger), DESCRIPTOR
        )
        stop = asyncio.Event()
        async with context.background_tasks() as tasks:
            running = tasks.start("ledger", app.run(stop), may_end=True)
            async with server:
                context.announce(grpc=server.port)
                yield
            stop.set()
            await running


if __name__ == "__main__":
    sys.exit(run_service("state", StateConfig, serve))
