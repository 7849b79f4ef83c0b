"""The person who watches over the bot: trips the risk gate, opens it, and resumes what halted."""

import asyncio
import random
from functools import partial
from typing import Final

from opensqt.core.errors import Refusal
from opensqt.ports import DependencyError
from services.risk.app import RiskApp
from simulation.calls import Caller, Server
from simulation.loop import SimulationLoop
from simulation.network import Network
from simulation.remotes import RemotePositions

RETRY_S: Final = 1.0


class Person:
    """Somebody with the command line.

    Args:
        loop: Tells the time.
        risk: The risk service.
        state: The state service.
        network: The way there.
        chance: Decides what is noticed of a failure.
    """

    def __init__(
        self,
        loop: SimulationLoop,
        *,
        risk: Server,
        state: Server,
        network: Network,
        chance: random.Random,
    ) -> None:
        self._loop = loop
        self._caller = Caller(loop.world, risk, network, chance)
        self._positions = RemotePositions(Caller(loop.world, state, network, chance))
        self._wants_closed = 0
        self._requests = 0

    def trip(self) -> None:
        """Close the gate."""
        self._wants_closed += 1
        self._loop.world.spawn(self._trip())

    def reset(self) -> None:
        """Open the gate, unless there is another reason to have it closed."""
        self._wants_closed -= 1
        if not self._wants_closed:
            self._loop.world.spawn(self.open_gate())

    async def resume(self, bot_id: str) -> None:
        """Have looked at why a bot halted, and let it trade again."""
        while True:
            try:
                await self._positions.resume_grid(bot_id, by="person")
            except DependencyError:
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def open_gate(self) -> None:
        """Open the gate, whatever closed it, unless it shall be closed."""
        while not self._wants_closed:
            try:
                revision = await self._caller.call("gate", _closed_gate)
                if revision is None:
                    return
                await self._caller.call("reset", partial(_reset, self._request_id(), revision))
            except (DependencyError, Refusal):
                await asyncio.sleep(RETRY_S)

    async def _trip(self) -> None:
        request_id = self._request_id()
        while self._wants_closed:
            try:
                await self._caller.call(
                    "trip",
                    lambda risk: risk.trip(request_id=request_id, reason="by hand", by="person"),
                )
            except (DependencyError, Refusal):
                await asyncio.sleep(RETRY_S)
            else:
                return

    def _request_id(self) -> str:
        self._requests += 1
        return f"person-{self._requests}"


async def _closed_gate(risk: RiskApp) -> int | None:
    """The revision of the gate, if it is closed."""
    gate = risk.gate()
    return None if gate.open else gate.revision


async def _reset(request_id: str, revision: int, risk: RiskApp) -> None:
    await risk.reset(request_id=request_id, expected_revision=revision, by="person")
