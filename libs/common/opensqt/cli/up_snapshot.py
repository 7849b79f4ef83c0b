"""What a trader wants to see of a paper run, read from the services once a second."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import aiohttp
import grpc

from opensqt.cli.connection import Services
from opensqt.cli.messages import Row, as_row
from opensqt.cli.system import read_system
from opensqt.core.numbers import ZERO, parse_decimal
from opensqt.embedded.paper.exchange_control import ExchangeControl
from opensqt.embedded.stack import Stack
from opensqt.embedded.supervision import ProgramStatus
from opensqt.market_maker.v1.state_service_pb2 import GetGridRequest
from opensqt.market_maker.v1.strategy_service_pb2 import GetBotStatusRequest

ANSWER_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One look at a run. What could not be read is None; what was read before stays away.

    Attributes:
        price: The last one that the strategy saw.
        phase: What the strategy is doing.
        waiting_for: What the strategy waits for before it trades.
        slots: Every used slot, as `slots` shows them.
        totals: Fills, realised profit and fees of the grid.
        position: What the slots hold together, in base.
        unrealised: Of that at the price, in quote.
        open_orders: Orders that rest on the exchange, as the slots know them.
        services: Health of every service.
        processes: Every process, as the supervisor sees it.
        gate: The risk gate.
        market_elapsed_s: How far the recording is, in its own time.
        market_ended: Whether it is over.
        notes: What has happened since the last look.
    """

    price: Decimal | None
    phase: str | None
    waiting_for: tuple[str, ...]
    slots: tuple[Row, ...]
    totals: Row | None
    position: Decimal
    unrealised: Decimal | None
    open_orders: int
    services: tuple[Row, ...]
    processes: tuple[ProgramStatus, ...]
    gate: Row | None
    market_elapsed_s: float
    market_ended: bool
    notes: tuple[str, ...]


class Watcher:
    """Looks at a run.

    Args:
        services: The run's services.
        control: The paper exchange's control endpoint, for the progress of the market.
        stack: The run's processes.
        bot_id: The bot.
    """

    def __init__(
        self, services: Services, control: ExchangeControl, stack: Stack, bot_id: str
    ) -> None:
        self._services = services
        self._control = control
        self._stack = stack
        self._bot_id = bot_id
        self._pids: dict[str, int] = {}

    async def waiting_for(self) -> tuple[str, ...] | None:
        """What the strategy waits for; None when it does not answer."""
        strategy = await self._services.strategy()
        request = GetBotStatusRequest(bot_id=self._bot_id)
        try:
            answer = await strategy.GetBotStatus(request, timeout=ANSWER_TIMEOUT_S)
        except grpc.aio.AioRpcError:
            return None
        return tuple(answer.status.waiting_for)

    async def look(self) -> Snapshot:
        """Read everything once."""
        system, grid, market, processes = await asyncio.gather(
            read_system(self._services), self._grid(), self._market(), self._stack.status()
        )
        bots = [bot for bot in system["bots"] or () if bot["bot"] == self._bot_id]
        strategy = (bots[0]["strategy"] if bots else None) or {}
        text = strategy.get("last_price")
        price = parse_decimal(text) if text else None
        slots = tuple(grid["slots"]) if grid else ()
        held = [slot for slot in slots if slot["position_status"] == "FILLED"]
        return Snapshot(
            price=price,
            phase=strategy.get("phase"),
            waiting_for=tuple(strategy.get("waiting_for", ())),
            slots=slots,
            totals=grid["totals"] if grid else None,
            position=sum((parse_decimal(slot["position_qty"]) for slot in held), ZERO),
            unrealised=unrealised(held, price) if price is not None else None,
            open_orders=sum(slot["slot_status"] == "LOCKED" for slot in slots),
            services=tuple(system["services"]),
            processes=processes,
            gate=system["gate"],
            market_elapsed_s=market.get("elapsed_s", 0.0),
            market_ended=market.get("ended", False),
            notes=self._notes(processes),
        )

    async def _grid(self) -> Row | None:
        state = await self._services.state()
        request = GetGridRequest(bot_id=self._bot_id)
        try:
            return as_row((await state.GetGrid(request, timeout=ANSWER_TIMEOUT_S)).grid)
        except grpc.aio.AioRpcError:
            return None

    async def _market(self) -> Mapping[str, Any]:
        try:
            market: Mapping[str, Any] = (await self._control.status())["market"]
        except (aiohttp.ClientError, TimeoutError):
            return {}
        return market

    def _notes(self, processes: tuple[ProgramStatus, ...]) -> tuple[str, ...]:
        notes = []
        for process in processes:
            before = self._pids.get(process.name, 0)
            if process.pid and before and process.pid != before:
                notes.append(f"{process.name} died and was started again")
            if process.pid:
                self._pids[process.name] = process.pid
        return tuple(notes)


def unrealised(held: list[Row], price: Decimal) -> Decimal:
    """Profit of what the slots hold at `price`, before fees, in quote."""
    return sum(
        (
            parse_decimal(slot["position_qty"]) * (price - parse_decimal(slot["entry_price"]))
            for slot in held
            if slot["entry_price"] is not None
        ),
        ZERO,
    )
