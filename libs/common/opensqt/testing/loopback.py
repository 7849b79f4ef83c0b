"""A gRPC service on loopback, with real certificates, for tests of servicers and clients."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor

from opensqt.runtime.authorisation import Allowlist
from opensqt.runtime.certificates import tls_config_of
from opensqt.runtime.config_models import PeerConfig, ServerConfig, TlsConfig
from opensqt.runtime.grpc_channel import ServiceChannel, open_channel
from opensqt.runtime.grpc_server import GrpcServer
from opensqt.runtime.health import Readiness
from opensqt.runtime.metrics import Metrics


@dataclass(slots=True, kw_only=True)
class Loopback:
    """A service that is being served, and the way to it."""

    server: GrpcServer
    servicer: Any
    readiness: Readiness
    metrics: Metrics
    identity: str
    certificates: Path
    """Directory of the certificates that clients use."""
    channels: list[ServiceChannel] = field(default_factory=list)

    def channel(self, who: str, *, server: str = "", timeout_s: float = 5.0) -> ServiceChannel:
        """A channel as one of the identities; it is closed with the server.

        Args:
            who: The caller's identity.
            server: Who is expected to answer; by default the service itself.
            timeout_s: Deadline of calls that set none.
        """
        channel = open_channel(
            PeerConfig(target=self.server.address, timeout_s=timeout_s),
            identity=server or self.identity,
            tls=tls_config_of(self.certificates, who),
        )
        self.channels.append(channel)
        return channel


Serving = Callable[..., AbstractAsyncContextManager[Loopback]]
"""A fixture that serves something with the options that it is given."""


@asynccontextmanager
async def serve_on_loopback(
    add_to_server: Callable[[Any, Any], None],
    servicer: Any,
    descriptor: ServiceDescriptor,
    *,
    identity: str,
    allowlist: Allowlist,
    certificates: Path,
    tls: TlsConfig | None = None,
    config: ServerConfig | None = None,
    drain_timeout_s: float = 5.0,
) -> AsyncIterator[Loopback]:
    """Serve one service on a free port until the context is left.

    Args:
        add_to_server: The generated ``add_…Servicer_to_server``.
        servicer: What answers.
        descriptor: The service's descriptor.
        identity: Who serves, such as ``state``.
        allowlist: Who may call what.
        certificates: Where `ensure_development_certificates` put them.
        tls: Another certificate to serve with.
        config: Bounds; the port is free by default.
        drain_timeout_s: How long calls in flight may take at the end.
    """
    readiness, metrics = Readiness(), Metrics()
    server = GrpcServer(
        config or ServerConfig(),
        tls or tls_config_of(certificates, identity),
        allowlist=allowlist,
        readiness=readiness,
        metrics=metrics,
        drain_timeout_s=drain_timeout_s,
    )
    server.add(add_to_server, servicer, descriptor)
    loopback = Loopback(
        server=server,
        servicer=servicer,
        readiness=readiness,
        metrics=metrics,
        identity=identity,
        certificates=certificates,
    )
    try:
        async with server:
            await readiness.check()
            yield loopback
    finally:
        for channel in loopback.channels:
            await channel.close()
