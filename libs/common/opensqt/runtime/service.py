"""The main function of every process: configuration, telemetry, serving, and an orderly end.

A service's ``__main__`` is::

    @asynccontextmanager
    async def serve(config: StateConfig, context: ServiceContext) -> AsyncIterator[None]:
        async with Store.open(config.postgres) as store, context.grpc_server(...) as server:
            context.announce(grpc=server.port)
            yield  # until the process is told to stop

    if __name__ == "__main__":
        sys.exit(run_service("state", StateConfig, serve))

Leaving the context drains. Exit codes: 0 stopped as asked; 1 crashed, or could not drain in time;
2 the configuration is not usable (nothing was started).
"""

import argparse
import asyncio
import contextlib
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final, TypeVar

import orjson
import structlog
import uvloop

from opensqt.runtime.authorisation import Allowlist
from opensqt.runtime.clock import SystemClock
from opensqt.runtime.config import ConfigError, config_schema, load_config, refuse
from opensqt.runtime.config_models import ProcessConfig, ServiceConfig
from opensqt.runtime.config_shape import secret_values
from opensqt.runtime.crash_points import CRASH_FILE_VARIABLE, arm_from_environment
from opensqt.runtime.grpc_server import GrpcServer
from opensqt.runtime.health import Readiness
from opensqt.runtime.logs import set_up_logging
from opensqt.runtime.metrics import Metrics
from opensqt.runtime.observability import ObservabilityServer
from opensqt.runtime.redaction import Redactor
from opensqt.runtime.tasks import BackgroundTasks
from opensqt.runtime.tls_files import TlsFileError
from opensqt.runtime.tracing import set_up_tracing

EXIT_OK: Final = 0
EXIT_CRASHED: Final = 1
EXIT_BAD_CONFIG: Final = 2

_DRAIN_MARGIN_S: Final = 5.0
"""Added to the drain's own bound before the process gives up waiting for it."""

_log = structlog.get_logger(__name__)

ConfigT = TypeVar("ConfigT", bound=ProcessConfig)
Serve = Callable[[ConfigT, "ServiceContext"], AbstractAsyncContextManager[None]]
"""Opens everything and yields once it serves; closes everything afterwards."""


class ServiceContext:
    """What the main function hands to a service's composition root."""

    def __init__(self, name: str, *, redactor: Redactor | None = None) -> None:
        self.name = name
        self.clock = SystemClock()
        self.metrics = Metrics(process=True)
        self.readiness = Readiness()
        self.redactor = redactor or Redactor()
        self.ports: dict[str, int] = {}
        self.failure: BaseException | None = None
        self._stop = asyncio.Event()
        self._on_fail: Callable[[], object] = lambda: None

    def announce(self, **ports: int) -> None:
        """Tell on which ports the service listens; they go into the ready file and the log."""
        self.ports.update(ports)

    def stop(self) -> None:
        """Ask the process to drain and end."""
        self._stop.set()

    def fail(self, error: BaseException) -> None:
        """Ask the process to drain and end with `EXIT_CRASHED`."""
        self.failure = self.failure or error
        self._stop.set()
        self._on_fail()

    def background_tasks(self) -> BackgroundTasks:
        """Tasks whose crash stops the process; a context manager."""
        return BackgroundTasks(on_crash=self.fail)

    def grpc_server(self, config: ServiceConfig, allowlist: Allowlist) -> GrpcServer:
        """A server with this process's readiness and metrics; add services, then enter it."""
        return GrpcServer(
            config.server,
            config.tls,
            allowlist=allowlist,
            readiness=self.readiness,
            metrics=self.metrics,
            drain_timeout_s=config.drain_timeout_s,
        )

    async def stopped(self) -> None:
        """Wait until `stop` or `fail` was called."""
        await self._stop.wait()

    def when_failing(self, callback: Callable[[], object]) -> None:
        """Call `callback` at a failure as well; for the main function."""
        self._on_fail = callback


def run_service(
    name: str,
    config_model: type[ConfigT],
    serve: Serve[ConfigT],
    *,
    argv: Sequence[str] | None = None,
) -> int:
    """Run a process from its arguments to its exit code.

    Args:
        name: The service, which is also its identity.
        config_model: What its configuration looks like.
        serve: Its composition root.
        argv: Command-line arguments; by default those of the process.

    Returns:
        The exit code.
    """
    options = _parser(name).parse_args(argv)
    if options.schema:
        print(orjson.dumps(config_schema(config_model), option=orjson.OPT_INDENT_2).decode())  # noqa: T201 - what was asked for
        return EXIT_OK
    try:
        config = load_config(config_model, options.config)
    except ConfigError as error:
        print(f"{name}: {error}", file=sys.stderr)  # noqa: T201 - there is no logging yet
        return EXIT_BAD_CONFIG
    if options.check:
        print(f"{name}: {options.config or 'the environment'} is usable")  # noqa: T201 - what was asked for
        return EXIT_OK
    redactor = Redactor(secret_values(config))
    set_up_logging(name, config.telemetry, redactor)
    if arm_from_environment(name):
        _log.warning("crash_points_armed", file=os.environ[CRASH_FILE_VARIABLE])
    try:
        provider = set_up_tracing(name, config.telemetry)
    except OSError as error:
        problem = refuse("telemetry.trace_file", config.telemetry.trace_file, str(error))
        _log.error("configuration_not_usable", problem=str(problem))
        return EXIT_BAD_CONFIG
    try:
        # libuv's loop: the same behaviour, and less time between a tick and its order.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(name, config, serve, redactor, options.ready_file))
    finally:
        provider.shutdown()


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m services.{name}",
        description=f"OpenSQT's {name} service.",
        epilog="Exit codes: 0 stopped as asked, 1 crashed, 2 the configuration is not usable.",
    )
    parser.add_argument("--config", type=Path, help="YAML file; the environment overrides it")
    parser.add_argument("--check", action="store_true", help="check the configuration and exit")
    parser.add_argument("--schema", action="store_true", help="print its JSON schema and exit")
    parser.add_argument(
        "--ready-file", type=Path, help="where to write pid and ports (JSON) once it serves"
    )
    return parser


async def _run(
    name: str,
    config: ConfigT,
    serve: Serve[ConfigT],
    redactor: Redactor,
    ready_file: Path | None,
) -> int:
    context = ServiceContext(name, redactor=redactor)
    main = asyncio.current_task()
    assert main is not None
    opened = False

    def interrupt() -> None:
        """Stop a start that is under way; a process that serves stops by itself."""
        if not opened:
            main.cancel()

    def on_signal(number: signal.Signals) -> None:
        _log.info("stopping", signal=number.name)
        context.stop()
        interrupt()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    context.when_failing(interrupt)
    drain = asyncio.timeout(None)
    try:
        async with drain, _observed(config, context), serve(config, context):
            await context.readiness.check()
            opened = True
            # What lives now lives for ever: collecting garbage need not look at it again, which
            # shortens the pauses between a tick and its orders.
            gc.collect()
            gc.freeze()
            _announce_ready(context, ready_file)
            async with context.background_tasks() as tasks:
                tasks.start("readiness", context.readiness.watch())
                await context.stopped()
            drain.reschedule(loop.time() + config.drain_timeout_s + _DRAIN_MARGIN_S)
            await context.readiness.drain()
    except asyncio.CancelledError:
        if context.failure is None:
            _log.info("stopped_while_starting")
            return EXIT_OK
    except (ConfigError, TlsFileError) as error:
        _log.error("configuration_not_usable", problem=str(error))
        return EXIT_BAD_CONFIG
    except Exception as error:
        _log.exception("crashed" if not drain.expired() else "drain_timed_out")
        context.failure = context.failure or error
    finally:
        _withdraw_ready(ready_file)
    if context.failure is not None:
        _log.error("stopped", failure=repr(context.failure))
        return EXIT_CRASHED
    _log.info("stopped")
    return EXIT_OK


@contextlib.asynccontextmanager
async def _observed(config: ProcessConfig, context: ServiceContext) -> AsyncIterator[None]:
    server = ObservabilityServer(
        host=config.telemetry.metrics_host,
        port=config.telemetry.metrics_port,
        metrics=context.metrics,
        readiness=context.readiness,
    )
    try:
        await server.__aenter__()
    except OSError as error:
        where = f"{config.telemetry.metrics_host}:{config.telemetry.metrics_port}"
        raise refuse(
            "telemetry.metrics_port", where, f"a free address ({error.strerror})"
        ) from None
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_exit(server.__aexit__)
        context.announce(metrics=server.port)
        yield


def _announce_ready(context: ServiceContext, ready_file: Path | None) -> None:
    _log.info("serving", ports=context.ports, pid=os.getpid())
    if ready_file is None:
        return
    content = orjson.dumps({"service": context.name, "pid": os.getpid(), "ports": context.ports})
    temporary = ready_file.with_name(f".{ready_file.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(ready_file)


def _withdraw_ready(ready_file: Path | None) -> None:
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)
