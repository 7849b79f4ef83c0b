"""The database of DBOS goes away and comes back; whoever asks meanwhile is told so at once."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from opensqt.ports import DependencyError
from opensqt.runtime.clock import SystemClock
from opensqt.runtime.config_models import PostgresConfig
from services.execution import durable as durable_module
from services.execution.config import SettlementConfig
from services.execution.durable import DurableSettlement
from tests.unit.execution.settlement_contract import Rounds, task, until_idle

pytestmark = pytest.mark.integration


class Wire:
    """A TCP connection to PostgreSQL that can be cut.

    It has a thread of its own, since DBOS blocks the event loop while it starts.
    """

    def __init__(self, dsn: str) -> None:
        url = urlsplit(dsn)
        assert url.hostname
        assert url.port
        self._far = (url.hostname, url.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.is_cut = False
        near = f"{url.username}:{url.password}@127.0.0.1:{self._listener.getsockname()[1]}"
        self.dsn = url._replace(netloc=near).geturl()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self.is_cut = True
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self.is_cut:
                    near.close()
                    continue
                far = socket.create_connection(self._far)
                self._open += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=_copy, args=ends, daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def wire(database: str) -> Iterator[Wire]:
    wire = Wire(database)
    yield wire
    wire.close()


@pytest.mark.invariant(27)
async def test_an_outage_is_told_and_got_over(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable_module, "ANSWER_TIMEOUT_S", 0.5)
    monkeypatch.setattr(durable_module, "BEGINNING_MAX", 2)
    rounds = Rounds(0.5, None)
    settlement = DurableSettlement(
        rounds,
        config=SettlementConfig(
            postgres=PostgresConfig(dsn=SecretStr(wire.dsn), connect_timeout_s=2)
        ),
        account="main",
        clock=SystemClock(),
    )
    async with settlement:
        assert await settlement.see_to(task(1))
        await asyncio.sleep(0.2)
        wire.cut()
        for number in (2, 3):
            with pytest.raises(DependencyError, match="in time"):
                await settlement.see_to(task(number))
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        with pytest.raises(DependencyError, match="does not answer"):
            await settlement.see_to(task(4))
        assert loop.time() - started_s < 0.1
        with pytest.raises(DependencyError):
            await settlement.pending()
        # Nobody else's work is held up by the threads that wait.
        assert await asyncio.to_thread(lambda: "done") == "done"

        wire.is_cut = False
        async with asyncio.timeout(60):
            while not all(rounds.of[task(number).client_oids] >= 2 for number in (1, 2, 3)):
                await asyncio.sleep(0.1)
        await until_idle(settlement, timeout_s=60)
        assert await settlement.see_to(task(4))
        await until_idle(settlement)
