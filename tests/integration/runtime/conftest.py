"""Certificates, and a server whose answers the tests choose."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.market_maker.v1 import state_service_pb2, state_service_pb2_grpc
from opensqt.ports import DependencyError
from opensqt.runtime.authorisation import Allowlist, peer_identity
from opensqt.runtime.certificates import ensure_development_certificates, tls_config_of
from opensqt.runtime.config_models import ServerConfig, TlsConfig
from opensqt.runtime.tracing import current_trace_id
from opensqt.testing.loopback import Loopback, Serving, serve_on_loopback

STATE = state_service_pb2.DESCRIPTOR.services_by_name["StateService"]
ALLOWLIST = Allowlist({STATE.full_name: ("execution", "strategy")})


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    ensure_development_certificates(directory)
    return directory


@pytest.fixture(scope="session")
def stranger(certificates: Path) -> TlsConfig:
    """A certificate of our authority that names no service."""
    ca = x509.load_pem_x509_certificate((certificates / "ca.pem").read_bytes())
    ca_key = load_pem_private_key((certificates / "ca.key").read_bytes(), password=None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "execution")]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=60))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    config = tls_config_of(certificates, "stranger")
    config.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    config.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return config


class Servicer(state_service_pb2_grpc.StateServiceServicer):
    """Answers GetGrid as its bot id says; WatchGrid until it is ended."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.release = asyncio.Event()
        self.identity: str | None = None
        self.trace_id: str | None = None
        self.stream_ended = asyncio.Event()

    async def GetGrid(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self.identity = peer_identity(context)
        self.trace_id = current_trace_id()
        self.entered.set()
        match request.bot_id:
            case "refused":
                raise Refusal(
                    RefusalReason.BOT_UNKNOWN, field="bot_id", value="refused", allowed="btc"
                )
            case "broken":
                raise RuntimeError("hunter2")
            case "without database":
                raise DependencyError("PostgreSQL does not answer")
            case "slow":
                await self.release.wait()
            case "times out by itself":
                raise TimeoutError
        return state_service_pb2.GetGridResponse()

    async def WatchGrid(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802 - gRPC's name
        try:
            yield state_service_pb2.WatchGridResponse(checkpoint_revision=1)
            if request.bot_id == "refused":
                raise Refusal(RefusalReason.REVISION_COMPACTED, value=3, allowed="0")
            await self.release.wait()
            yield state_service_pb2.WatchGridResponse(checkpoint_revision=2)
        finally:
            self.stream_ended.set()


@pytest.fixture
def serving(certificates: Path) -> Serving:
    def serve(
        tls: TlsConfig | None = None, drain_timeout_s: float = 5, **config: Any
    ) -> AbstractAsyncContextManager[Loopback]:
        return serve_on_loopback(
            state_service_pb2_grpc.add_StateServiceServicer_to_server,
            Servicer(),
            STATE,
            identity="state",
            allowlist=ALLOWLIST,
            certificates=certificates,
            tls=tls,
            config=ServerConfig(**config),
            drain_timeout_s=drain_timeout_s,
        )

    return serve
