"""How the command line reaches the services: which run, which addresses, as whom.

A run of `opensqt up` writes `cli.yaml` into its directory, and commands find it there. Services
elsewhere are reached through a file of the same form: --connection FILE or OPENSQT_CONNECTION.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import grpc
import typer
from grpc_health.v1 import health_pb2_grpc

from opensqt.cli.exit_codes import ExitCode
from opensqt.cli.output import CommandError
from opensqt.core.errors import Refusal
from opensqt.embedded.run_directory import Run, RunRoot
from opensqt.market_maker.v1.execution_service_pb2_grpc import ExecutionServiceStub
from opensqt.market_maker.v1.risk_service_pb2_grpc import RiskServiceStub
from opensqt.market_maker.v1.state_service_pb2_grpc import StateServiceStub
from opensqt.market_maker.v1.strategy_service_pb2_grpc import StrategyServiceStub
from opensqt.runtime.config import ConfigError, load_config
from opensqt.runtime.config_models import ConfigModel, PeerConfig, TlsConfig
from opensqt.runtime.errors import refusal_of
from opensqt.runtime.grpc_channel import ServiceChannel, open_channel
from opensqt.runtime.tls_files import TlsFileError

if TYPE_CHECKING:  # these exist in the stub files only
    from opensqt.market_maker.v1.execution_service_pb2_grpc import ExecutionServiceAsyncStub
    from opensqt.market_maker.v1.risk_service_pb2_grpc import RiskServiceAsyncStub
    from opensqt.market_maker.v1.state_service_pb2_grpc import StateServiceAsyncStub
    from opensqt.market_maker.v1.strategy_service_pb2_grpc import StrategyServiceAsyncStub

RUN_ROOT = ".run"
SERVICES = ("market_data", "strategy", "state", "execution", "risk")
"""Those that serve gRPC."""

ConnectionOption = Annotated[
    Path | None,
    typer.Option(
        "--connection",
        envvar="OPENSQT_CONNECTION",
        help="File that says where the services are; by default that of the newest run here.",
    ),
]
RunOption = Annotated[
    str | None, typer.Option("--run", help="Name of a run here, when several are running.")
]
BotOption = Annotated[
    str | None, typer.Option("--bot", help="Which bot; may be left out when there is one only.")
]

T = TypeVar("T")


class ConnectionConfig(ConfigModel):
    """Where the services are, and who asks."""

    tls: TlsConfig
    """The identity of the command line, `cli`."""
    state: PeerConfig | None = None
    strategy: PeerConfig | None = None
    execution: PeerConfig | None = None
    risk: PeerConfig | None = None
    market_data: PeerConfig | None = None


def find_run(name: str | None, root: Path = Path(RUN_ROOT)) -> Run:
    """The run that a command is about: the named one, else the newest that is running.

    Raises:
        CommandError: There is none.
    """
    running = RunRoot(root).running()
    chosen = [run for run in running if name in (None, run.name)]
    if not chosen:
        known = ", ".join(run.name for run in running) or "none"
        raise CommandError(
            f"no run {name or 'of opensqt up'} is running here (running: {known}); "
            "start one: make run",
            ExitCode.UNREACHABLE,
        )
    return chosen[0]


def find_connection(connection: Path | None, run: str | None) -> ConnectionConfig:
    """Read where the services are.

    Raises:
        CommandError: Nothing says so, or the file is not usable.
    """
    path = connection or find_run(run).connection_path
    if not path.exists() and connection is None:
        raise CommandError(f"{path.parent.name} has not started yet", ExitCode.UNREACHABLE)
    try:
        return load_config(ConnectionConfig, path, env_prefix="OPENSQT_CLI_")
    except ConfigError as error:
        raise CommandError(str(error), ExitCode.USAGE) from error


class Services:
    """The services, as those who may call them see them; channels open when first used.

    Args:
        config: Where they are.
        stack: Closes the channels.
    """

    def __init__(self, config: ConnectionConfig, stack: AsyncExitStack) -> None:
        self._config = config
        self._stack = stack
        self._channels: dict[str, ServiceChannel] = {}

    async def state(self) -> "StateServiceAsyncStub":
        """The owner of the slots."""
        return StateServiceStub(await self._channel("state"))

    async def strategy(self) -> "StrategyServiceAsyncStub":
        """What decides."""
        return StrategyServiceStub(await self._channel("strategy"))

    async def execution(self) -> "ExecutionServiceAsyncStub":
        """What trades."""
        return ExecutionServiceStub(await self._channel("execution"))

    async def risk(self) -> "RiskServiceAsyncStub":
        """The holder of the gate."""
        return RiskServiceStub(await self._channel("risk"))

    async def health(self, service: str) -> Any:
        """The standard health service of one of them."""
        return health_pb2_grpc.HealthStub(await self._channel(service))

    def names(self) -> tuple[str, ...]:
        """The services that the connection tells of."""
        return tuple(name for name in SERVICES if getattr(self._config, name) is not None)

    async def _channel(self, service: str) -> ServiceChannel:
        if service not in self._channels:
            peer: PeerConfig | None = getattr(self._config, service)
            if peer is None:
                raise CommandError(f"the connection says no {service}", ExitCode.USAGE)
            try:
                channel = open_channel(peer, identity=service, tls=self._config.tls)
            except TlsFileError as error:
                raise CommandError(str(error), ExitCode.USAGE) from error
            self._channels[service] = await self._stack.enter_async_context(channel)
        return self._channels[service]


def ask(
    connection: Path | None, run: str | None, question: Callable[[Services], Awaitable[T]]
) -> T:
    """Run `question` with the services' stubs; what goes wrong becomes a `CommandError`."""
    config = find_connection(connection, run)

    async def asking() -> T:
        async with AsyncExitStack() as stack:
            return await question(Services(config, stack))

    try:
        return asyncio.run(asking())
    except grpc.aio.AioRpcError as error:
        raise command_error(error) from error


def command_error(error: grpc.aio.AioRpcError) -> CommandError:
    """What a failed call means to the one who typed the command."""
    refusal: Refusal | None = refusal_of(error)
    unreachable = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    if error.code() in unreachable:
        return CommandError(f"no answer: {error.details()}", ExitCode.UNREACHABLE)
    if refusal is not None:
        return CommandError(
            f"refused: {refusal}",
            ExitCode.REFUSED,
            reason=str(refusal.reason),
            field=refusal.field,
            value=refusal.value,
            allowed=refusal.allowed,
        )
    return CommandError(f"{error.code().name}: {error.details()}", ExitCode.FAILURE)
