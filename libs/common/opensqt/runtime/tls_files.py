"""The TLS files of one identity: read together, checked together, read again when they change."""

import datetime as dt
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from opensqt.runtime.config_models import TlsConfig

TRUST_DOMAIN: Final = "opensqt"
DNS_DOMAIN: Final = "opensqt.internal"

_log = structlog.get_logger(__name__)


class TlsFileError(Exception):
    """TLS files that cannot be used: which, why, and what to do."""


def spiffe_id(identity: str) -> str:
    """The URI by which a service is authorised: ``spiffe://opensqt/state``."""
    return f"spiffe://{TRUST_DOMAIN}/{identity}"


def dns_name(identity: str) -> str:
    """The host name by which a client checks that it reached this service, wherever it runs.

    gRPC's clients in Python verify host names and not URIs, so the identity is in both.
    """
    return f"{identity.replace('_', '-')}.{DNS_DOMAIN}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsMaterial:
    """What the files of a `TlsConfig` hold, in PEM."""

    ca: bytes
    certificate: bytes
    key: bytes = field(repr=False)
    not_after: dt.datetime
    """When `certificate` expires, in UTC."""


def read_tls(config: TlsConfig) -> TlsMaterial:
    """Read the files, and check that they are a pair that is not expired.

    Raises:
        TlsFileError: Missing, malformed, not a pair, or expired.
    """
    ca, certificate, key = (_read(path) for path in (config.ca, config.certificate, config.key))
    try:
        leaf = x509.load_pem_x509_certificate(certificate)
        x509.load_pem_x509_certificates(ca)
        private = load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise TlsFileError(
            f"{config.certificate}, {config.key} or {config.ca} is not PEM as expected: {error}"
        ) from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*form) != private.public_key().public_bytes(*form):
        raise TlsFileError(f"{config.key} is not the key of {config.certificate}")
    if leaf.not_valid_after_utc <= dt.datetime.now(dt.UTC):
        raise TlsFileError(
            f"{config.certificate} expired at {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; "
            "renew it (development certificates: `opensqt certs`)"
        )
    return TlsMaterial(ca=ca, certificate=certificate, key=key, not_after=leaf.not_valid_after_utc)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsFileError(f"{path} cannot be read: {error.strerror}") from None


class TlsFiles:
    """Follows the files of one identity.

    Args:
        config: The files.

    Raises:
        TlsFileError: When they cannot be used now; later failures keep what was read before.
    """

    def __init__(self, config: TlsConfig) -> None:
        self._config = config
        self._stamp = self._read_stamp()
        self.material = read_tls(config)

    def reload(self) -> bool:
        """Read the files again if they changed.

        Returns:
            Whether `material` is new. A half-written renewal is left for the next time.
        """
        stamp = self._read_stamp()
        if stamp == self._stamp:
            return False
        try:
            material = read_tls(self._config)
        except TlsFileError as error:
            _log.warning("tls_files_not_usable", problem=str(error))
            return False
        self._stamp = stamp
        if material == self.material:
            return False
        self.material = material
        _log.info("tls_files_reloaded", not_after=material.not_after.isoformat())
        return True

    def _read_stamp(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(
            _stamp(path) for path in (self._config.ca, self._config.certificate, self._config.key)
        )


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def client_ssl_context(config: TlsConfig) -> ssl.SSLContext:
    """For clients that are not gRPC, such as NATS: our certificate, and only our authorities."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(config.ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(config.certificate, config.key)
    return context


def server_ssl_context(config: TlsConfig, *, client_certificates: bool) -> ssl.SSLContext:
    """For servers that are not gRPC, such as the paper exchange's REST and WebSocket."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(config.ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(config.certificate, config.key)
    context.verify_mode = ssl.CERT_REQUIRED if client_certificates else ssl.CERT_NONE
    return context
