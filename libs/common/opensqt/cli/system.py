"""How a whole system stands, asked from its services: what `status` prints and `up` shows live."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import grpc
import psutil
from grpc_health.v1 import health_pb2

from opensqt.cli.bots import grids
from opensqt.cli.connection import Services
from opensqt.cli.messages import Row, as_row
from opensqt.embedded.supervision import SupervisorClient
from opensqt.market_maker.v1.execution_service_pb2 import GetExecutionStatusRequest
from opensqt.market_maker.v1.risk_service_pb2 import GetGateRequest
from opensqt.market_maker.v1.strategy_service_pb2 import GetBotStatusRequest

ANSWER_TIMEOUT_S = 2.0


async def read_system(services: Services) -> Row:
    """Health of every service, the gate, the execution, and every bot.

    What does not answer is None, or says why beside its name; the rest is told all the same.
    """
    healths, gate, execution, bots = await asyncio.gather(
        read_services(services),
        read_gate(services),
        _or_none(_execution(services)),
        _or_none(_bots(services)),
    )
    return {"services": healths, "gate": gate, "execution": execution, "bots": bots}


async def read_services(services: Services) -> list[Row]:
    """Health of every service, as its own health service tells it."""
    return await asyncio.gather(*(_health(services, name) for name in services.names()))


async def read_gate(services: Services) -> Row | None:
    """The risk gate; None when its holder does not answer."""
    found: Row | None = await _or_none(_gate(services))
    return found


async def read_processes(socket: str) -> list[Row]:
    """Every process of a run here: phase, age and memory."""
    client = SupervisorClient(Path(socket))
    try:
        return [
            {
                "name": status.name,
                "phase": status.phase.value,
                "pid": status.pid,
                "uptime_s": status.uptime_s,
                "memory_mb": _memory_mb(status.pid),
            }
            for status in await client.statuses()
        ]
    finally:
        client.close()


async def _health(services: Services, name: str) -> Row:
    try:
        stub = await services.health(name)
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=ANSWER_TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        return {"name": name, "ready": False, "problem": error.code().name}
    ready = answer.status == health_pb2.HealthCheckResponse.SERVING
    return {"name": name, "ready": ready, "problem": None if ready else "NOT_SERVING"}


async def _gate(services: Services) -> Row:
    risk = await services.risk()
    return as_row((await risk.GetGate(GetGateRequest(), timeout=ANSWER_TIMEOUT_S)).gate)


async def _execution(services: Services) -> Row:
    execution = await services.execution()
    request = GetExecutionStatusRequest()
    return as_row(await execution.GetExecutionStatus(request, timeout=ANSWER_TIMEOUT_S))


async def _bots(services: Services) -> list[Row]:
    strategy = await services.strategy()
    found = []
    async for grid in grids(services):
        request = GetBotStatusRequest(bot_id=grid.identity.bot_id)
        row = as_row(grid)
        status = await _or_none(strategy.GetBotStatus(request, timeout=ANSWER_TIMEOUT_S))
        found.append(
            {
                "bot": grid.identity.bot_id,
                "symbol": grid.identity.symbol,
                "direction": row["identity"]["direction"],
                "revision": grid.revision,
                "standing": row["standing"],
                "standing_reason": row["standing_reason"],
                "strategy": as_row(status.status) if status is not None else None,
                "totals": row["totals"],
            }
        )
    return found


async def _or_none(answer: Awaitable[Any]) -> Any:
    try:
        return await answer
    except grpc.aio.AioRpcError:
        return None


def _memory_mb(pid: int) -> float | None:
    try:
        return round(psutil.Process(pid).memory_info().rss / 1e6, 1) if pid else None
    except psutil.Error:
        return None
