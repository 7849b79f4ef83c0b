"""The stage: a whole OpenSQT trading on a generated market, and ways to break each part of it."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from chaos.books import Ours, Theirs, read_ours, read_theirs
from opensqt.adapters.grpc.position_manager import GrpcPositionManager
from opensqt.embedded.free_ports import free_ports
from opensqt.embedded.paper.exchange_control import ExchangeControl
from opensqt.embedded.paper.run import PaperStack, running
from opensqt.embedded.paper.settings import PORT_NAMES, SERVICES, PaperSettings
from opensqt.embedded.run_directory import Run, RunRoot, remove_databases
from opensqt.embedded.supervision import Phase
from opensqt.market_maker.v1.execution_service_pb2 import GetExecutionStatusRequest
from opensqt.market_maker.v1.execution_service_pb2_grpc import ExecutionServiceStub
from opensqt.market_maker.v1.strategy_service_pb2 import PauseBotRequest, ResumeBotRequest
from opensqt.market_maker.v1.strategy_service_pb2_grpc import StrategyServiceStub
from opensqt.runtime.bot_config import BotConfig
from opensqt.runtime.certificates import tls_config_of
from opensqt.runtime.config_models import PeerConfig
from opensqt.runtime.crash_points import CRASH_FILE_VARIABLE, CrashPoint
from opensqt.runtime.grpc_channel import ServiceChannel, open_channel

ROOT: Final = Path(".run/chaos")
BOT: Final = "chaos"
ACCOUNT: Final = "paper"
SYMBOL: Final = "BTCUSDT"
POLL_S: Final = 0.1
CALL_S: Final = 5.0
STATEFUL: Final = ("state", "risk", "execution")
"""Services with a database of their own."""

OF_PROCESS: Final = {
    "placing": "execution",
    "canceling": "execution",
    "settling": "execution",
    "applying": "state",
    "publishing": "state",
    "telling": "market_data",
    "deciding": "strategy",
}
"""Whose a crash point is, by its first word."""


def bot() -> BotConfig:
    """A tight grid: the market crosses a level about every second."""
    return BotConfig.model_validate(
        {
            "bot_id": BOT,
            "account": ACCOUNT,
            "symbol": SYMBOL,
            "grid": {
                "direction": "LONG",
                "interval": Decimal(10),
                "buy_levels": 8,
                "sell_levels": 8,
                "quantity": Decimal("0.004"),
                "max_position": Decimal("0.2"),
            },
        }
    )


def market(seed: int) -> dict[str, object]:
    """An endless market around one price, as the paper exchange's configuration names it."""
    return {"kind": "generator", "seed": seed, "trades_per_s": 25, "volatility": 0.00008}


@dataclass(slots=True, kw_only=True)
class Stage:
    """What a fault may break, and what a run asks.

    Attributes:
        run: The stack's directory, with its logs.
        parts: The stack and its servers.
        control: The paper exchange's control endpoint.
    """

    run: Run
    parts: PaperStack
    control: ExchangeControl
    _positions: GrpcPositionManager
    _strategy: ServiceChannel
    _execution: ServiceChannel
    _killed: dict[str, int] = field(default_factory=dict)
    """The latest pid of each process that was killed here."""
    notes: list[str] = field(default_factory=list)
    """What a fault has to say about itself."""

    # --- breaking ------------------------------------------------------------------------------

    async def pid(self, name: str) -> int:
        """Of a process; 0 when it does not run."""
        return next(s.pid for s in await self.parts.stack.status() if s.name == name)

    async def kill(self, name: str) -> None:
        """Kill a process with -9; its supervisor starts it again."""
        pid = await self.pid(name)
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self._killed[name] = pid

    async def stall(self, name: str, seconds: float) -> None:
        """Stop a process where it is, and let it go on later, as a machine that swaps does."""
        pid = await self.pid(name)
        if not pid:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    async def down(self, name: str) -> None:
        """Kill a process with -9 and keep it down until `up`."""
        await self.kill(name)
        while True:
            # A supervisor that is just about to start it again does not hear a first asking.
            await self.parts.stack.stop(name)
            (status,) = [s for s in await self.parts.stack.status() if s.name == name]
            if status.phase in (Phase.STOPPED, Phase.FATAL):
                return
            await asyncio.sleep(POLL_S)

    async def up(self, *names: str) -> None:
        """Start processes that are down; returns before they are ready."""
        for name in names:
            await self.parts.stack.begin(name)

    def arm(self, point: CrashPoint, passes: int) -> None:
        """Have the process of a crash point die at that pass through it."""
        process = OF_PROCESS[point.value.partition(".")[0]]
        temporary = self._crash_file.with_suffix(".part")
        temporary.write_text(f"{process} {point.value} {passes}\n", encoding="utf-8")
        temporary.replace(self._crash_file)

    def disarm(self) -> None:
        """Take back what `arm` ordered, if it has not happened."""
        self._crash_file.unlink(missing_ok=True)

    def armed(self) -> bool:
        """Whether what `arm` ordered has not happened yet."""
        return self._crash_file.exists()

    async def wipe_postgres(self) -> None:
        """Lose PostgreSQL's volume, and every process that stands on it; begin with nothing."""
        await asyncio.gather(*(self.kill(name) for name in ("postgres", *STATEFUL)))
        for name in ("postgres", *STATEFUL):
            await self.down(name)
        postgres = self.parts.postgres
        await asyncio.to_thread(postgres.wipe)
        await self.parts.stack.restart("postgres")
        for name, url in self.parts.databases.items():
            password = unquote(urlsplit(url).password or "")
            await postgres.add_database(name, password=password)
        await self.up(*STATEFUL)

    async def wipe_nats(self) -> None:
        """Lose NATS's volume."""
        await self.down("nats")
        await asyncio.to_thread(shutil.rmtree, self.parts.nats.store)
        await self.up("nats")

    def note(self, text: str) -> None:
        """Say more about what was done."""
        self.notes.append(text)

    # --- asking --------------------------------------------------------------------------------

    async def whole(self) -> bool:
        """Every process runs and is ready, and none is one that was killed."""
        for status in await self.parts.stack.status():
            if not status.pid or self._killed.get(status.name) == status.pid:
                return False
        names = [status.name for status in await self.parts.stack.status()]
        return all(await asyncio.gather(*(self.parts.stack.is_ready(name) for name in names)))

    async def unready(self) -> tuple[str, ...]:
        """Processes that do not run, or are not ready."""
        statuses = await self.parts.stack.status()
        ready = await asyncio.gather(*(self.parts.stack.is_ready(s.name) for s in statuses))
        return tuple(s.name for s, is_so in zip(statuses, ready, strict=True) if not is_so)

    async def given_up(self) -> tuple[str, ...]:
        """Processes that their supervisor does not start any more."""
        return tuple(
            f"{status.name} ({status.text})"
            for status in await self.parts.stack.status()
            if status.phase is Phase.FATAL
        )

    async def orders_taken(self) -> int:
        """How many orders the exchange has taken, ever."""
        orders: int = (await self.control.status())["orders"][ACCOUNT]
        return orders

    async def requests_under_way(self) -> int:
        """Requests of the execution service that have no answer yet."""
        stub = ExecutionServiceStub(self._execution)
        status = await stub.GetExecutionStatus(GetExecutionStatusRequest(), timeout=CALL_S)
        return int(status.in_flight)

    async def hold(self) -> None:
        """Hold the market and the strategy, so that both sides' books come to rest."""
        await self.control.pause_market()
        stub = StrategyServiceStub(self._strategy)
        await stub.PauseBot(PauseBotRequest(bot_id=BOT), timeout=CALL_S)

    async def go_on(self) -> None:
        """Let the market and the strategy go on."""
        stub = StrategyServiceStub(self._strategy)
        await stub.ResumeBot(ResumeBotRequest(bot_id=BOT), timeout=CALL_S)
        await self.control.start_market()

    async def ours(self) -> Ours:
        """The ledger's books."""
        return await read_ours(self._positions, BOT)

    async def theirs(self) -> Theirs:
        """The exchange's books."""
        return read_theirs(await self.control.all_books(), ACCOUNT, SYMBOL)

    @property
    def _crash_file(self) -> Path:
        return crash_file(self.run)


def crash_file(run: Run) -> Path:
    """The file that tells a process of a run to die."""
    return run.path / "crash"


@asynccontextmanager
async def open_stage(seed: int, directory: Path = ROOT) -> AsyncIterator[Stage]:
    """Start everything and let the market begin; all of it is gone when the context is left.

    Args:
        seed: Of the market.
        directory: Where the stages lie; their logs stay there.

    Raises:
        StackError: A process did not become ready.
    """
    root = RunRoot(directory)
    ports = dict(zip(PORT_NAMES, free_ports(len(PORT_NAMES)), strict=True))
    run = root.create(ports)
    settings = PaperSettings(
        bot=bot(),
        source=market(seed),
        speed=1.0,
        faults="none",
        ports=ports,
        certificates=root.certificates,
        directory=run.path,
        environment={CRASH_FILE_VARIABLE: str(crash_file(run))},
    )
    try:
        async with AsyncExitStack() as opened:
            parts = await opened.enter_async_context(running(settings, run, lambda _: None))
            control = await opened.enter_async_context(
                ExchangeControl(ports["paper_exchange_control"])
            )
            tls = tls_config_of(root.certificates, "cli")
            channels = {
                name: await opened.enter_async_context(
                    open_channel(PeerConfig(target=settings.address(name)), identity=name, tls=tls)
                )
                for name in SERVICES
            }
            await control.start_market()
            yield Stage(
                run=run,
                parts=parts,
                control=control,
                _positions=GrpcPositionManager(channels["state"], timeout_s=CALL_S),
                _strategy=channels["strategy"],
                _execution=channels["execution"],
            )
    finally:
        remove_databases(run.path)
