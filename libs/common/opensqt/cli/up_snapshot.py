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
from opensqt.cli.system import read_gate, read_services
from opensqt.core.numbers import ZERO, parse_decimal
from opensqt.embedded.paper.exchange_control import ExchangeControl
from opensqt.embedded.stack import Stack
from opensqt.embedded.supervision import ProgramStatus
from opensqt.market_maker.v1.state_service_pb2 import GetGridRequest
from opensqt.market_maker.v1.strategy_service_pb2 import GetBotStatusRequest

ANSWER_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One look at a run. What could not be read now is None, never zero.

    Attributes:
        price: The last one that the strategy saw.
        phase: What the strategy is doing; None when it does not answer.
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
        restarted: Processes that died and were started again since the last look.
    """

    price: Decimal | None
    phase: str | None
    waiting_for: tuple[str, ...]
    slots: tuple[Row, ...]
    totals: Row | None
    position: Decimal | None
    unrealised: Decimal | None
    open_orders: int | None
    services: tuple[Row, ...]
    processes: tuple[ProgramStatus, ...]
    gate: Row | None
    market_elapsed_s: float
    market_ended: bool
    restarted: tuple[str, ...]


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
        status = await self._strategy()
        return tuple(status["waiting_for"]) if status is not None else None

    async def look(self) -> Snapshot:
        """Read everything once."""
        services, gate, strategy, grid, market, processes = await asyncio.gather(
            read_services(self._services),
            read_gate(self._services),
            self._strategy(),
            self._grid(),
            self._market(),
            self._stack.status(),
        )
        text = strategy["last_price"] if strategy else None
        price = parse_decimal(text) if text else None
        slots = tuple(grid["slots"]) if grid else ()
        held = [slot for slot in slots if slot["position_status"] == "FILLED"]
        return Snapshot(
            price=price,
            phase=strategy["phase"] if strategy else None,
            waiting_for=tuple(strategy["waiting_for"]) if strategy else (),
            slots=slots,
            totals=grid["totals"] if grid else None,
            position=position(held) if grid else None,
            unrealised=unrealised(held, price) if grid and price is not None else None,
            open_orders=sum(s["slot_status"] == "LOCKED" for s in slots) if grid else None,
            services=tuple(services),
            processes=processes,
            gate=gate,
            market_elapsed_s=market.get("elapsed_s", 0.0),
            market_ended=market.get("ended", False),
            restarted=self._restarted(processes),
        )

    async def _strategy(self) -> Row | None:
        strategy = await self._services.strategy()
        request = GetBotStatusRequest(bot_id=self._bot_id)
        try:
            return as_row((await strategy.GetBotStatus(request, timeout=ANSWER_TIMEOUT_S)).status)
        except grpc.aio.AioRpcError:
            return None

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

    def _restarted(self, processes: tuple[ProgramStatus, ...]) -> tuple[str, ...]:
        names = []
        for process in processes:
            before = self._pids.get(process.name, 0)
            if process.pid and before and process.pid != before:
                names.append(process.name)
            if process.pid:
                self._pids[process.name] = process.pid
        return tuple(names)


def position(held: list[Row]) -> Decimal:
    """What the slots hold together, in base; negative is short."""
    return sum((parse_decimal(slot["position_qty"]) for slot in held), ZERO)


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
