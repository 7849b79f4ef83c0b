"""The state service on loopback, with real certificates, on a store in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from opensqt.market_maker.v1 import state_service_pb2_grpc as pb_grpc
from opensqt.runtime.certificates import ensure_development_certificates
from opensqt.runtime.clock import SystemClock
from opensqt.runtime.metrics import Metrics
from opensqt.testing.loopback import Loopback, Serving, serve_on_loopback
from opensqt.testing.memory_store import MemoryStore
from services.state.ledger import Ledger
from services.state.servicer import ALLOWLIST, DESCRIPTOR, StateServicer

IDENTITIES = ("state", "strategy", "execution", "market_data", "risk", "cli", "paper_exchange")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    ensure_development_certificates(directory, IDENTITIES)
    return directory


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def serving(certificates: Path) -> Serving:
    """Serves the ledger on a store."""

    @asynccontextmanager
    async def serve(store: MemoryStore) -> AsyncIterator[Loopback]:
        ledger = Ledger(store=store, clock=SystemClock(), metrics=Metrics())
        async with serve_on_loopback(
            pb_grpc.add_StateServiceServicer_to_server,
            StateServicer(ledger),
            DESCRIPTOR,
            identity="state",
            allowlist=ALLOWLIST,
            certificates=certificates,
        ) as loopback:
            yield loopback

    return serve


@pytest.fixture
async def service(serving: Serving, store: MemoryStore) -> AsyncIterator[Loopback]:
    async with serving(store) as loopback:
        yield loopback
