"""The connection to the NATS servers: it comes back by itself, for ever."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import nats
import structlog
from nats.aio.client import Client

from opensqt.runtime.config_models import NatsConfig
from opensqt.runtime.tls_files import client_ssl_context

PING_INTERVAL_S: Final = 5
PINGS_UNANSWERED_MAX: Final = 2
RECONNECT_WAIT_S: Final = 0.5
CONNECT_TIMEOUT_S: Final = 3

_log = structlog.get_logger(__name__)


async def connect(
    config: NatsConfig, *, name: str, on_reconnected: Callable[[], Awaitable[None]]
) -> Client:
    """Connect; waits for servers that are not up yet.

    Args:
        config: The servers.
        name: What the servers call this connection.
        on_reconnected: Called after each reconnection.
    """

    async def reconnected() -> None:
        _log.info("nats_reconnected", name=name)
        await on_reconnected()

    async def disconnected() -> None:
        _log.warning("nats_disconnected", name=name)

    async def failed(error: Exception) -> None:
        _log.warning("nats_error", name=name, error=repr(error))

    options: dict[str, Any] = {}
    if config.tls is not None:
        options["tls"] = client_ssl_context(config.tls)
    if config.user is not None:
        options["user"] = config.user
        options["password"] = config.password.get_secret_value() if config.password else ""
    return await nats.connect(
        [server.strip() for server in config.url.split(",")],
        name=name,
        error_cb=failed,
        disconnected_cb=disconnected,
        reconnected_cb=reconnected,
        max_reconnect_attempts=-1,
        reconnect_time_wait=RECONNECT_WAIT_S,
        connect_timeout=CONNECT_TIMEOUT_S,
        ping_interval=PING_INTERVAL_S,
        max_outstanding_pings=PINGS_UNANSWERED_MAX,
        **options,
    )
