"""Development certificates: kept while valid, renewed in time, never readable to others."""

import datetime as dt
import os
import ssl
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from opensqt.runtime.certificates import (
    BINANCE_HOSTS,
    IDENTITIES,
    ensure_development_certificates,
    inspect_certificate,
    inspect_directory,
    tls_config_of,
)
from opensqt.runtime.tls_files import (
    TlsFileError,
    TlsFiles,
    client_ssl_context,
    dns_name,
    read_tls,
    server_ssl_context,
    spiffe_id,
)

NOW = dt.datetime.now(dt.UTC)


def test_everyone_gets_a_certificate_once(tmp_path: Path) -> None:
    directory = tmp_path / "certs"
    assert ensure_development_certificates(directory) == ("ca", *IDENTITIES)
    assert ensure_development_certificates(directory) == ()
    assert {info.path.stem for info in inspect_directory(directory)} == {"ca", *IDENTITIES}


def test_names(tmp_path: Path) -> None:
    ensure_development_certificates(tmp_path, ("market_data", "paper_exchange"))
    info = inspect_certificate(tmp_path / "market_data.pem")
    assert info.uris == (spiffe_id("market_data"),) == ("spiffe://opensqt/market_data",)
    assert info.dns_names == ("market-data.opensqt.internal", "localhost")
    assert info.dns_names[0] == dns_name("market_data")
    assert info.ip_addresses == ("127.0.0.1",)
    assert (info.subject, info.issuer) == ("CN=market_data", "CN=OpenSQT development CA")
    assert not info.is_authority
    assert info.days_left(NOW) in (89, 90)
    assert inspect_certificate(tmp_path / "ca.pem").is_authority
    paper = inspect_certificate(tmp_path / "paper_exchange.pem")
    assert set(BINANCE_HOSTS) < set(paper.dns_names)


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        ensure_development_certificates(tmp_path / "certs", ("state",))
    finally:
        os.umask(before)
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "certs").iterdir()
    }
    assert modes["ca.key"] == modes["state.key"] == 0o600
    assert stat.S_IMODE((tmp_path / "certs").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("damage", "made"),
    [
        (lambda d: (d / "state.key").unlink(), ("state",)),
        (lambda d: (d / "state.pem").write_text("x"), ("state",)),
        (lambda d: (d / "state.key").write_bytes((d / "risk.key").read_bytes()), ("state",)),
        (lambda d: (d / "state.pem").write_bytes((d / "risk.pem").read_bytes()), ("state",)),
        (lambda d: (d / "ca.key").unlink(), ("ca", "state", "risk")),
    ],
)
def test_what_is_damaged_is_made_anew(
    tmp_path: Path, damage: Callable[[Path], object], made: tuple[str, ...]
) -> None:
    ensure_development_certificates(tmp_path, ("state", "risk"))
    damage(tmp_path)
    assert ensure_development_certificates(tmp_path, ("state", "risk")) == made
    for identity in ("state", "risk"):
        read_tls(tls_config_of(tmp_path, identity))


def test_what_is_about_to_expire_is_renewed(tmp_path: Path) -> None:
    ensure_development_certificates(tmp_path, ("state",), now=NOW)
    later = NOW + dt.timedelta(days=59)
    assert ensure_development_certificates(tmp_path, ("state",), now=later) == ()
    later = NOW + dt.timedelta(days=61)
    assert ensure_development_certificates(tmp_path, ("state",), now=later) == ("state",)


@pytest.mark.invariant(60)
def test_an_expired_certificate_is_refused(tmp_path: Path) -> None:
    ensure_development_certificates(tmp_path, ("state",), now=NOW - dt.timedelta(days=91))
    with pytest.raises(TlsFileError, match=r"state\.pem expired at .* renew it"):
        read_tls(tls_config_of(tmp_path, "state"))


def test_files_that_do_not_serve_are_named(tmp_path: Path) -> None:
    config = tls_config_of(tmp_path, "state")
    with pytest.raises(TlsFileError, match=r"ca\.pem cannot be read: No such file"):
        read_tls(config)
    ensure_development_certificates(tmp_path, ("state", "risk"))
    config.key.write_bytes(tls_config_of(tmp_path, "risk").key.read_bytes())
    with pytest.raises(TlsFileError, match=r"state\.key is not the key of .*state\.pem"):
        read_tls(config)
    config.key.write_text("x")
    with pytest.raises(TlsFileError, match="not PEM as expected"):
        read_tls(config)


def test_a_renewal_is_read_once_it_is_whole(tmp_path: Path) -> None:
    ensure_development_certificates(tmp_path, ("state",))
    other = tmp_path / "other"
    ensure_development_certificates(other, ("state",))
    config = tls_config_of(tmp_path, "state")
    files = TlsFiles(config)
    first = files.material
    assert not files.reload()
    config.key.write_bytes((other / "state.key").read_bytes())
    assert not files.reload()  # only half of it is there
    assert files.material is first
    config.certificate.write_bytes((other / "state.pem").read_bytes())
    assert files.reload()
    assert files.material != first
    assert not files.reload()


def test_the_key_is_not_shown(tmp_path: Path) -> None:
    ensure_development_certificates(tmp_path, ("state",))
    assert "PRIVATE" not in repr(read_tls(tls_config_of(tmp_path, "state")))


def test_contexts_for_other_protocols(tmp_path: Path) -> None:
    ensure_development_certificates(tmp_path, ("state",))
    config = tls_config_of(tmp_path, "state")
    client = client_ssl_context(config)
    assert client.verify_mode is ssl.CERT_REQUIRED
    assert client.check_hostname
    assert len(client.get_ca_certs()) == 1  # ours, and none of the system's
    assert server_ssl_context(config, client_certificates=True).verify_mode is ssl.CERT_REQUIRED
    assert server_ssl_context(config, client_certificates=False).verify_mode is ssl.CERT_NONE
