"""A gRPC server with mutual TLS, an allowlist, health, reflection and a graceful end."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import grpc
import grpc.aio
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from opensqt.runtime.authorisation import HEALTH_SERVICE, REFLECTION_SERVICE, Allowlist
from opensqt.runtime.config_models import ServerConfig, TlsConfig
from opensqt.runtime.grpc_calls import CallInterceptor, OpenStreams
from opensqt.runtime.health import Readiness
from opensqt.runtime.metrics import Metrics
from opensqt.runtime.tls_files import TlsFiles

_log = structlog.get_logger(__name__)

ServicerT = TypeVar("ServicerT")

_MESSAGE_BYTES_MAX: Final = 4 << 20
_CONNECTION_GRACE_S: Final = 60
"""How long calls on a connection that has reached its age may take to end."""
_NOTICE_S: Final = 0.05
"""Time for the health watchers to hear of the draining before anything is refused."""


class GrpcServer:
    """Serves until its context is left, then drains.

    Args:
        config: Address and bounds.
        tls: Our identity, and the authorities of the clients.
        allowlist: Who may call what; must cover what is served exactly.
        readiness: Drives the health service.
        metrics: Where calls are counted.
        drain_timeout_s: How long calls in flight may take to end.

    Raises:
        TlsFileError: The files of `tls` cannot be used.
    """

    def __init__(
        self,
        config: ServerConfig,
        tls: TlsConfig,
        *,
        allowlist: Allowlist,
        readiness: Readiness,
        metrics: Metrics,
        drain_timeout_s: float = 10.0,
    ) -> None:
        self._config = config
        self._allowlist = allowlist
        self._readiness = readiness
        self._drain_timeout_s = drain_timeout_s
        self._files = TlsFiles(tls)
        self._streams = OpenStreams()
        self._methods: list[str] = []
        self._services: list[str] = []
        self._health = health_aio.HealthServicer()
        self._server = grpc.aio.server(
            interceptors=(
                CallInterceptor(
                    allowlist=allowlist,
                    metrics=metrics,
                    unary_timeout_s=config.unary_timeout_s,
                    streams=self._streams,
                ),
            ),
            options=_options(config),
            maximum_concurrent_rpcs=config.max_concurrent_calls,
        )
        self._port = 0
        metrics.gauge(
            "tls_certificate_expiry_seconds", "When our certificate expires, in Unix time."
        ).set_function(self._expiry_s)

    @property
    def port(self) -> int:
        """The port that is listened on; known once the server has started."""
        assert self._port, "the server has not started"
        return self._port

    @property
    def address(self) -> str:
        """Host and port that are listened on."""
        return f"{self._config.host}:{self.port}"

    def add(
        self,
        add_to_server: Callable[[ServicerT, grpc.aio.Server], None],
        servicer: ServicerT,
        descriptor: ServiceDescriptor,
    ) -> None:
        """Serve a service.

        Args:
            add_to_server: The generated ``add_…Servicer_to_server``.
            servicer: What answers.
            descriptor: ``…_pb2.DESCRIPTOR.services_by_name["…Service"]``.
        """
        add_to_server(servicer, self._server)
        self._services.append(descriptor.full_name)
        self._methods += [f"{descriptor.full_name}/{method.name}" for method in descriptor.methods]

    async def __aenter__(self) -> Self:
        """Start listening.

        Raises:
            ValueError: The allowlist does not cover what is served, or names what is not.
            OSError: The address cannot be listened on.
        """
        self._allowlist.check_covers(self._methods)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (*self._services, HEALTH_SERVICE, REFLECTION_SERVICE), self._server
        )
        await self._readiness.listen(self._show_health)
        self._port = self._listen()
        await self._server.start()
        _log.info("grpc_listening", address=self.address, services=self._services)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drain: say so, end the streams, let the calls in flight end, then stop."""
        await self._readiness.drain()
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(_NOTICE_S)
        self._streams.close()
        await self._server.stop(self._drain_timeout_s)
        _log.info("grpc_stopped")

    def _expiry_s(self) -> float:
        return self._files.material.not_after.timestamp()

    def _listen(self) -> int:
        address = f"{self._config.host}:{self._config.port}"
        initial = _server_certificates(self._files)

        def renewed() -> grpc.ServerCertificateConfiguration | None:
            # gRPC asks at every handshake, from a thread of its own.
            return _server_certificates(self._files) if self._files.reload() else None

        credentials = grpc.dynamic_ssl_server_credentials(
            initial,
            renewed,  # type: ignore[arg-type]  # None is documented: no change
            require_client_authentication=True,
        )
        try:
            port = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}: {error}") from None
        if port == 0:
            raise OSError(f"cannot listen on {address}")
        return port

    async def _show_health(self) -> None:
        serving = health_pb2.HealthCheckResponse.SERVING
        status = serving if self._readiness.ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in ("", *self._services):
            await self._health.set(service, status)


def _server_certificates(files: TlsFiles) -> grpc.ServerCertificateConfiguration:
    material = files.material
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.certificate)], root_certificates=material.ca
    )


def _options(config: ServerConfig) -> list[tuple[str, Any]]:
    return [
        # Two runs on one machine must not share a port by accident.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX),
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.max_connection_age_ms", config.max_connection_age_s * 1000),
        ("grpc.max_connection_age_grace_ms", _CONNECTION_GRACE_S * 1000),
    ]
