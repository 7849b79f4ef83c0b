"""Starts the market data service: ``python -m services.market_data --config FILE``."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opensqt.adapters.ccxt import open_binance_usdm
from opensqt.adapters.grpc.position_manager import GrpcPositionManager
from opensqt.adapters.nats import open_nats_bus
from opensqt.market_maker.v1 import market_data_service_pb2_grpc as pb_grpc
from opensqt.runtime.grpc_channel import open_channel
from opensqt.runtime.service import ServiceContext, run_service
from services.market_data.app import MarketDataApp
from services.market_data.config import MarketDataConfig
from services.market_data.servicer import ALLOWLIST, DESCRIPTOR, MarketDataServicer


@asynccontextmanager
async def serve(config: MarketDataConfig, context: ServiceContext) -> AsyncIterator[None]:
    """Follow the exchange until the process is told to stop."""
    server = context.grpc_server(config, ALLOWLIST)
    async with (
        open_channel(config.state, identity="state", tls=config.tls) as channel,
        open_nats_bus(config.nats, name="market_data", metrics=context.metrics) as bus,
        open_binance_usdm(
            config.exchange,
            account=config.account,
            clock=context.clock,
            metrics=context.metrics,
        ) as feed,
    ):
        app = MarketDataApp(
            account=config.account,
            symbols=config.symbols,
            feed=feed,
            positions=GrpcPositionManager(channel, timeout_s=config.state.timeout_s),
            bus=bus,
            clock=context.clock,
            metrics=context.metrics,
            config=config.monitors,
        )
        await app.prepare()
        context.readiness.add("nats", bus.ping)
        context.readiness.add("exchange", feed.ping)
        server.add(
            pb_grpc.add_MarketDataServiceServicer_to_server, MarketDataServicer(app), DESCRIPTOR
        )
        stop = asyncio.Event()
        async with context.background_tasks() as tasks:
            running = tasks.start("monitors", app.run(stop), may_end=True)
            async with server:
                context.announce(grpc=server.port)
                yield
            stop.set()
            await running


if __name__ == "__main__":
    sys.exit(run_service("market_data", MarketDataConfig, serve))
