"""Starts the strategy service: ``python -m services.strategy --config strategy.yaml``."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opensqt.adapters.grpc.market_data import GrpcMarketData
from opensqt.adapters.grpc.position_manager import GrpcPositionManager
from opensqt.adapters.nats import open_nats_bus
from opensqt.market_maker.v1 import strategy_service_pb2_grpc as pb_grpc
from opensqt.runtime.grpc_channel import open_channel
from opensqt.runtime.service import ServiceContext, run_service
from services.strategy.app import StrategyApp
from services.strategy.config import StrategyConfig
from services.strategy.servicer import ALLOWLIST, DESCRIPTOR, StrategyServicer


@asynccontextmanager
async def serve(config: StrategyConfig, context: ServiceContext) -> AsyncIterator[None]:
    """Run the bots until the process is told to stop; deciding ends first."""
    server = context.grpc_server(config, ALLOWLIST)
    async with (
        open_channel(config.state, identity="state", tls=config.tls) as state,
        open_channel(config.market_data, identity="market_data", tls=config.tls) as market_data,
        open_nats_bus(config.nats, name="strategy", metrics=context.metrics) as bus,
    ):
        app = StrategyApp(
            config.bots,
            bounds=config.freshness.to_core(),
            positions=GrpcPositionManager(state, timeout_s=config.state.timeout_s),
            market_data=GrpcMarketData(market_data, timeout_s=config.market_data.timeout_s),
            bus=bus,
            clock=context.clock,
            metrics=context.metrics,
        )
        await app.prepare()
        context.readiness.add("nats", bus.ping)
        context.readiness.add("state", state.channel_ready)
        server.add(pb_grpc.add_StrategyServiceServicer_to_server, StrategyServicer(app), DESCRIPTOR)
        stop = asyncio.Event()
        async with context.background_tasks() as tasks, server:
            running = tasks.start("bots", app.run(stop), may_end=True)
            context.announce(grpc=server.port)
            yield
            stop.set()
            await running


if __name__ == "__main__":
    sys.exit(run_service("strategy", StrategyConfig, serve))
