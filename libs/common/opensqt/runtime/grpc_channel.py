"""A gRPC channel to another of our services: mutual TLS, its identity checked, trace attached.

Used like any `grpc.aio.Channel`: ``StateServiceStub(open_channel(...))``.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, Self

import grpc
import grpc.aio

from opensqt.runtime.config_models import PeerConfig, TlsConfig
from opensqt.runtime.tls_files import TlsFiles, dns_name
from opensqt.runtime.tracing import inject

_FILE_CHECK_INTERVAL_S: Final = 5.0
_ANSWER_BYTES_MAX: Final = 64 << 20
"""gRPC's own 4 MiB would refuse the snapshot of a grid with some 15,000 slots."""
_OLD_CHANNEL_GRACE_S: Final = 60.0
"""How long calls on a replaced channel may take to end; a stream is resumed by its owner."""


def open_channel(peer: PeerConfig, *, identity: str, tls: TlsConfig) -> "ServiceChannel":
    """Connect to a service, lazily.

    Args:
        peer: Where it answers.
        identity: Who must answer there, such as ``state``: a server with another certificate of
            the same authority is refused.
        tls: Our own identity.

    Raises:
        TlsFileError: The files of `tls` cannot be used.
    """
    return ServiceChannel(peer, identity=identity, tls=tls)


class ServiceChannel(grpc.aio.Channel):
    """Calls through the channel that belongs to the current certificate.

    gRPC's clients cannot reload their certificate, so when the files change a new channel takes
    over, and the old one is closed once its calls have ended. A call with one answer gets the
    peer's default deadline when it has none; a stream has no deadline unless given.
    """

    def __init__(self, peer: PeerConfig, *, identity: str, tls: TlsConfig) -> None:
        self._peer = peer
        self._server_name = dns_name(identity)
        self._files = TlsFiles(tls)
        self._next_check_s = time.monotonic() + _FILE_CHECK_INTERVAL_S
        self._closing: set[asyncio.Task[None]] = set()
        self.generation = 0
        self._inner = self._open()

    def current(self) -> grpc.aio.Channel:
        """The channel of the current certificate."""
        now_s = time.monotonic()
        if now_s >= self._next_check_s:
            self._next_check_s = now_s + _FILE_CHECK_INTERVAL_S
            if self._files.reload():
                self.renew()
        return self._inner

    def renew(self) -> None:
        """Replace the channel by one with the certificate that was read last."""
        closing = asyncio.ensure_future(self._inner.close(_OLD_CHANNEL_GRACE_S))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        self._inner = self._open()
        self.generation += 1

    @property
    def timeout_s(self) -> float:
        """Deadline of a call with one answer, when the caller sets none."""
        return self._peer.timeout_s

    async def __aenter__(self) -> Self:
        """Open the context."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close the channel; calls in flight are cancelled."""
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """Close the channel, after up to `grace` seconds for the calls in flight."""
        await self._inner.close(grace)
        for closing in self._closing:
            closing.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002 - gRPC's signature
        """The connectivity of the current channel."""
        return self.current().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the current channel's connectivity differs."""
        await self.current().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the peer has been reached; the readiness ping of a dependency."""
        await self.current().channel_ready()

    def unary_unary(self, method: str, *args: Any, **options: Any) -> Any:
        """A call with one request and one answer."""
        return _Call(self, lambda channel: channel.unary_unary(method, *args, **options), True)

    def unary_stream(self, method: str, *args: Any, **options: Any) -> Any:
        """A call with one request and a stream of answers."""
        return _Call(self, lambda channel: channel.unary_stream(method, *args, **options), False)

    def stream_unary(self, method: str, *args: Any, **options: Any) -> Any:
        """A call with a stream of requests and one answer."""
        return _Call(self, lambda channel: channel.stream_unary(method, *args, **options), True)

    def stream_stream(self, method: str, *args: Any, **options: Any) -> Any:
        """A call with streams both ways."""
        return _Call(self, lambda channel: channel.stream_stream(method, *args, **options), False)

    def _open(self) -> grpc.aio.Channel:
        material = self._files.material
        credentials = grpc.ssl_channel_credentials(
            root_certificates=material.ca,
            private_key=material.key,
            certificate_chain=material.certificate,
        )
        options = [
            # The name in the certificate says who answers; where it runs does not matter.
            ("grpc.ssl_target_name_override", self._server_name),
            ("grpc.default_authority", self._server_name),
            ("grpc.use_local_subchannel_pool", 1),  # a renewed channel must not share connections
            ("grpc.enable_http_proxy", 0),
            ("grpc.max_receive_message_length", _ANSWER_BYTES_MAX),
            ("grpc.keepalive_time_ms", 20_000),
            ("grpc.keepalive_timeout_ms", 5_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
            # A service that was restarted is found again quickly.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1_000),
        ]
        return grpc.aio.secure_channel(self._peer.target, credentials, options=options)


class _Call:
    """One method of a stub, bound to whichever channel is current."""

    def __init__(
        self,
        channel: ServiceChannel,
        bind: Callable[[grpc.aio.Channel], Any],
        has_deadline: bool,  # noqa: FBT001
    ) -> None:
        self._channel = channel
        self._bind = bind
        self._timeout_s = channel.timeout_s if has_deadline else None
        self._generation = -1
        self._bound: Any = None

    def __call__(
        self,
        request: Any = None,
        *,
        timeout: float | None = None,
        metadata: Iterable[tuple[str, str | bytes]] | None = None,
        **options: Any,
    ) -> Any:
        inner = self._channel.current()
        if self._generation != self._channel.generation:
            self._bound = self._bind(inner)
            self._generation = self._channel.generation
        headers: dict[str, str] = {}
        inject(headers)
        sent = (*headers.items(), *(metadata or ()))
        return self._bound(
            request,
            timeout=self._timeout_s if timeout is None else timeout,
            metadata=sent,
            **options,
        )
