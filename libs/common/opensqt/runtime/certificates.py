"""Development certificates: an authority of one's own and a certificate for each service.

Production uses certificates of the cluster's authority with the same names; see `tls_files` for
what the names mean. Everything here may be run again at any time: what is valid is kept, what is
missing or about to expire is made anew.
"""

import contextlib
import datetime as dt
import fcntl
import ipaddress
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from opensqt.runtime.config_models import TlsConfig
from opensqt.runtime.tls_files import dns_name, spiffe_id

IDENTITIES: Final = (
    "market_data",
    "strategy",
    "state",
    "execution",
    "risk",
    "cli",
    "paper_exchange",
)
"""Everyone who takes part in a development setup."""

BINANCE_HOSTS: Final = (
    "fapi.binance.com",
    "fstream.binance.com",
    "ws-fapi.binance.com",
    "api.binance.com",
    "stream.binance.com",
    "ws-api.binance.com",
)
"""The host names under which the paper exchange answers, for clients that trust this authority."""

_EXTRA_HOSTS: Final = {"paper_exchange": BINANCE_HOSTS}
_CA_VALID: Final = dt.timedelta(days=3650)
_LEAF_VALID: Final = dt.timedelta(days=90)
_RENEW_BEFORE: Final = dt.timedelta(days=30)
_BACKDATE: Final = dt.timedelta(hours=1)  # clocks of other machines may be behind


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateInfo:
    """What a person wants to know of a certificate."""

    path: Path
    subject: str
    issuer: str
    uris: tuple[str, ...]
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    is_authority: bool
    not_before: dt.datetime
    not_after: dt.datetime
    sha256: str
    """Fingerprint, as hexadecimal digits."""

    def days_left(self, now: dt.datetime) -> int:
        """Whole days until it expires; negative once it has."""
        return (self.not_after - now).days


def tls_config_of(directory: Path, identity: str) -> TlsConfig:
    """Where `ensure_development_certificates` keeps the files of an identity."""
    return TlsConfig(
        ca=directory / "ca.pem",
        certificate=directory / f"{identity}.pem",
        key=directory / f"{identity}.key",
    )


def ensure_development_certificates(
    directory: Path,
    identities: Iterable[str] = IDENTITIES,
    *,
    now: dt.datetime | None = None,
) -> tuple[str, ...]:
    """Make what is missing or about to expire: ``ca.pem``, ``<identity>.pem``, ``<identity>.key``.

    Two processes may call it at once for the same directory.

    Args:
        directory: Made if missing, for its owner only.
        identities: Who needs a certificate.
        now: The time, in UTC; by default the machine's.

    Returns:
        The names of what was made anew, ``ca`` among them; empty when all was valid.
    """
    now = now or dt.datetime.now(dt.UTC)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    made: list[str] = []
    with _locked(directory / ".lock"):
        authority = _load_pair(directory, "ca")
        if authority is None or _due(authority[0], now):
            authority = _make_authority(now)
            _store_pair(directory, "ca", *authority)
            made.append("ca")
        for identity in identities:
            existing = _load_pair(directory, identity)
            if existing is not None and _is_good(existing[0], identity, authority[0], now):
                continue
            _store_pair(directory, identity, *_make_leaf(identity, *authority, now))
            made.append(identity)
    return tuple(made)


def inspect_certificate(path: Path) -> CertificateInfo:
    """Describe the first certificate in a PEM file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not a certificate in PEM.
    """
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    names = _alternative_names(certificate)
    return CertificateInfo(
        path=path,
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        uris=tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
        dns_names=tuple(names.get_values_for_type(x509.DNSName)),
        ip_addresses=tuple(str(ip) for ip in names.get_values_for_type(x509.IPAddress)),
        is_authority=_is_authority(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def inspect_directory(directory: Path) -> tuple[CertificateInfo, ...]:
    """Describe every ``*.pem`` of a directory, in the order of their names."""
    return tuple(inspect_certificate(path) for path in sorted(directory.glob("*.pem")))


_Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _make_authority(now: dt.datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("OpenSQT development CA")
    certificate = (
        _builder(name, name, key.public_key(), now, _CA_VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _make_leaf(
    identity: str, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, now: dt.datetime
) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        _builder(_name(identity), ca.subject, key.public_key(), now, _LEAF_VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.SubjectAlternativeName(_names_of(identity)), critical=False)
        .add_extension(_authority_key_identifier(ca_key), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return certificate, key


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    now: dt.datetime,
    valid: dt.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + valid)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _names_of(identity: str) -> list[x509.GeneralName]:
    return [
        x509.UniformResourceIdentifier(spiffe_id(identity)),
        x509.DNSName(dns_name(identity)),
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        *(x509.DNSName(host) for host in _EXTRA_HOSTS.get(identity, ())),
    ]


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_key_identifier(ca_key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _due(certificate: x509.Certificate, now: dt.datetime) -> bool:
    return certificate.not_valid_after_utc - now < _RENEW_BEFORE


def _is_good(
    certificate: x509.Certificate, identity: str, ca: x509.Certificate, now: dt.datetime
) -> bool:
    if _due(certificate, now) or list(_alternative_names(certificate)) != _names_of(identity):
        return False
    try:
        certificate.verify_directly_issued_by(ca)
    except Exception:  # any way of not being issued by this authority means: make it anew
        return False
    return True


def _load_pair(directory: Path, name: str) -> _Pair | None:
    """The certificate and its key; None when either is missing, damaged, or not the other's."""
    try:
        certificate = x509.load_pem_x509_certificate((directory / f"{name}.pem").read_bytes())
        key = load_pem_private_key((directory / f"{name}.key").read_bytes(), password=None)
    except (OSError, ValueError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return None
    return (certificate, key) if certificate.public_key() == key.public_key() else None


def _store_pair(
    directory: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _replace(directory / f"{name}.key", pem, mode=0o600)
    _replace(directory / f"{name}.pem", certificate.public_bytes(Encoding.PEM), mode=0o644)


def _replace(path: Path, content: bytes, *, mode: int) -> None:
    """Put the file in place at once, and never readable to more than `mode` says."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
