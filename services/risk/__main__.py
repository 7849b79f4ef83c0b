"""Starts the risk service: ``python -m services.risk --config risk.yaml``."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opensqt.adapters.nats import open_nats_bus
from opensqt.adapters.postgres.gate_store import PostgresGateStore
from opensqt.adapters.postgres.migrate import GATE, migrate
from opensqt.adapters.postgres.pool import Database
from opensqt.market_maker.v1 import risk_service_pb2_grpc as pb_grpc
from opensqt.ports import DependencyError
from opensqt.runtime.retries import until_it_answers
from opensqt.runtime.service import ServiceContext, run_service
from services.risk.app import RiskApp
from services.risk.config import RiskConfig
from services.risk.servicer import ALLOWLIST, DESCRIPTOR, RiskServicer


@asynccontextmanager
async def serve(config: RiskConfig, context: ServiceContext) -> AsyncIterator[None]:
    """Hold the gate until the process is told to stop."""
    await until_it_answers(
        "postgres", lambda: migrate(config.postgres, GATE), errors=(DependencyError,)
    )
    server = context.grpc_server(config, ALLOWLIST)
    async with (
        Database(config.postgres, name="risk") as database,
        open_nats_bus(config.nats, name="risk", metrics=context.metrics) as bus,
    ):
        store = PostgresGateStore(database)
        app = RiskApp(
            account=config.account,
            store=store,
            bus=bus,
            clock=context.clock,
            metrics=context.metrics,
        )
        # The store is no part of readiness: a gate that cannot be stored must still be closable.
        context.readiness.add("nats", bus.ping)
        server.add(pb_grpc.add_RiskServiceServicer_to_server, RiskServicer(app), DESCRIPTOR)
        stop = asyncio.Event()
        async with context.background_tasks() as tasks:
            running = tasks.start("gate", app.run(stop), may_end=True)
            async with server:
                context.announce(grpc=server.port)
                yield
            stop.set()
            await running


if __name__ == "__main__":
    sys.exit(run_service("risk", RiskConfig, serve))
