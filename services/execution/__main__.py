"""Starts the execution service: ``python -m services.execution --config execution.yaml``."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from opensqt.adapters.ccxt import open_binance_usdm
from opensqt.adapters.grpc.position_manager import GrpcPositionManager
from opensqt.adapters.nats import open_nats_bus
from opensqt.market_maker.v1 import execution_service_pb2_grpc as pb_grpc
from opensqt.runtime.grpc_channel import open_channel
from opensqt.runtime.service import ServiceContext, run_service
from services.execution.app import ExecutionApp
from services.execution.config import ExecutionConfig
from services.execution.durable import DurableSettlement
from services.execution.servicer import ALLOWLIST, DESCRIPTOR, ExecutionServicer
from services.execution.settlement import Round
from services.execution.start_checks import check_account

START_WAIT_S: Final = 2.0
"""The process says that it serves once it has started, or after this: the state may be slower."""


@asynccontextmanager
async def serve(config: ExecutionConfig, context: ServiceContext) -> AsyncIterator[None]:
    """Carry out batches until the process is told to stop."""

    def settlement(work: Round) -> DurableSettlement:
        durable = DurableSettlement(
            work, config=config.settlement, account=config.account, clock=context.clock
        )
        context.readiness.add("settlement", durable.ping)
        return durable

    server = context.grpc_server(config, ALLOWLIST)
    async with (
        open_channel(config.state, identity="state", tls=config.tls) as channel,
        open_nats_bus(config.nats, name="execution", metrics=context.metrics) as bus,
        open_binance_usdm(
            config.exchange,
            account=config.account,
            clock=context.clock,
            metrics=context.metrics,
        ) as venue,
    ):
        await check_account(venue)
        app = ExecutionApp(
            account=config.account,
            venue=venue,
            positions=GrpcPositionManager(channel, timeout_s=config.state.timeout_s),
            bus=bus,
            clock=context.clock,
            settlement=settlement,
            metrics=context.metrics,
            limits=config.rate_limits,
            timing=config.timing,
            drain_timeout_s=config.drain_timeout_s,
            limits_used=lambda: venue.limits_used,
        )
        context.readiness.add("nats", bus.ping)
        context.readiness.add("exchange", venue.ping)
        context.readiness.add("start", app.check_started)
        server.add(
            pb_grpc.add_ExecutionServiceServicer_to_server, ExecutionServicer(app), DESCRIPTOR
        )
        stop = asyncio.Event()
        async with context.background_tasks() as tasks:
            running = tasks.start("execution", app.run(stop), may_end=True)
            async with server:
                context.announce(grpc=server.port)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(START_WAIT_S):
                        await app.started()
                yield
                # No batch is taken while the calls in flight end.
                stop.set()
            await running


if __name__ == "__main__":
    sys.exit(run_service("execution", ExecutionConfig, serve))
