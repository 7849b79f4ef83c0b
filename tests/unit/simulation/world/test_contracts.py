"""What stands for the bus, the database, the calls and the settlement keeps their contracts."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from opensqt.ports import EventBus, GateStore, PositionManager, StateStore
from opensqt.testing.contracts.event_bus import EventBusContract
from opensqt.testing.contracts.gate_store import GateStoreContract
from opensqt.testing.contracts.position_manager import PositionManagerContract
from opensqt.testing.contracts.state_store import StateStoreContract
from opensqt.testing.grids import NOW_NS
from services.execution.settlement import Round, Settlement
from services.state.ledger import Ledger
from simulation.broker import Broker
from simulation.bus import Bus
from simulation.calls import Caller, Server
from simulation.database import Database
from simulation.loop import Process, SimulationLoop
from simulation.network import Network
from simulation.quiet import NO_METRICS
from simulation.remotes import RemotePositions
from simulation.settlement import Journal, JournaledSettlement
from simulation.store import Gates, Store
from tests.unit.execution.settlement_contract import SettlementContract


class StoppedClock:
    def now_ns(self) -> int:
        return NOW_NS


def the_loop() -> SimulationLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulationLoop)
    return loop


def network() -> Network:
    return Network(the_loop(), random.Random(2))


def database() -> Database:
    return Database(the_loop(), random.Random(3))


class TestBus(EventBusContract):
    @pytest.fixture
    async def bus(self) -> EventBus:
        broker = Broker(the_loop(), network(), random.Random(4))
        return Bus(broker, Process(the_loop(), "client"))

    async def settle(self) -> None:
        await asyncio.sleep(0.1)


class TestStore(StateStoreContract):
    @asynccontextmanager
    async def opened(self) -> AsyncIterator[StateStore]:
        yield Store(database(), Process(the_loop(), "client"))


class TestGates(GateStoreContract):
    @pytest.fixture
    async def store(self) -> GateStore:
        return Gates(database(), Process(the_loop(), "client"))


class TestRemotePositions(PositionManagerContract):
    @asynccontextmanager
    async def opened(self) -> AsyncIterator[PositionManager]:
        state = Process(the_loop(), "state")
        server = Server("state")
        server.process = state
        server.target = Ledger(
            store=Store(database(), state), clock=StoppedClock(), metrics=NO_METRICS
        )
        caller = Caller(Process(the_loop(), "caller"), server, network(), random.Random(5))
        yield RemotePositions(caller)


class TestSettlement(SettlementContract):
    def open(self, work: Round) -> AbstractAsyncContextManager[Settlement]:
        process = Process(the_loop(), "execution")
        return JournaledSettlement(Journal(), database(), process, work)
