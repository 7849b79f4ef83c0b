"""Who gets in: certificates, identities, and what a refusal says."""

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

import grpc
import pytest

from opensqt.core.errors import RefusalReason
from opensqt.market_maker.v1.state_service_pb2 import GetGridRequest
from opensqt.market_maker.v1.state_service_pb2_grpc import StateServiceStub
from opensqt.runtime.certificates import ensure_development_certificates, tls_config_of
from opensqt.runtime.config_models import PeerConfig, TlsConfig
from opensqt.runtime.errors import refusal_of
from opensqt.runtime.grpc_channel import open_channel
from opensqt.testing.loopback import Loopback, Serving

pytestmark = pytest.mark.integration

NAME_OVERRIDE = (("grpc.ssl_target_name_override", "state.opensqt.internal"),)


def stub_of(served: Loopback, who: str, **options: Any) -> StateServiceStub:
    return StateServiceStub(served.channel(who, **options))


async def fails(stub: StateServiceStub) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await stub.GetGrid(GetGridRequest(), timeout=3)
    return failed.value


async def test_an_allowed_identity_is_served(serving: Serving) -> None:
    async with serving() as served:
        await stub_of(served, "execution").GetGrid(GetGridRequest())
        assert served.servicer.identity == "execution"


async def test_no_certificate_is_refused(serving: Serving) -> None:
    async with serving() as served:
        credentials = grpc.ssl_channel_credentials((served.certificates / "ca.pem").read_bytes())
        async with grpc.aio.secure_channel(
            served.server.address, credentials, options=NAME_OVERRIDE
        ) as channel:
            error = await fails(StateServiceStub(channel))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert not served.servicer.entered.is_set()


@pytest.mark.invariant(60)
async def test_plaintext_is_refused(serving: Serving) -> None:
    async with serving() as served:
        async with grpc.aio.insecure_channel(served.server.address) as channel:
            error = await fails(StateServiceStub(channel))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert not served.servicer.entered.is_set()


async def test_another_authority_is_refused(serving: Serving, tmp_path: Path) -> None:
    ensure_development_certificates(tmp_path, ("execution",))
    async with serving() as served:
        # It trusts our authority, so that only its own certificate is at fault.
        tls = tls_config_of(tmp_path, "execution").model_copy(
            update={"ca": served.certificates / "ca.pem"}
        )
        peer = PeerConfig(target=served.server.address)
        async with open_channel(peer, identity="state", tls=tls) as channel:
            error = await fails(StateServiceStub(channel))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert not served.servicer.entered.is_set()


async def test_a_server_of_another_authority_is_refused(serving: Serving, tmp_path: Path) -> None:
    ensure_development_certificates(tmp_path, ("state",))
    # It trusts our authority, so the client would be let in.
    tls = tls_config_of(tmp_path, "state")
    async with serving() as ours:
        tls = tls.model_copy(update={"ca": ours.certificates / "ca.pem"})
    async with serving(tls=tls) as served:
        assert (await fails(stub_of(served, "execution"))).code() is grpc.StatusCode.UNAVAILABLE
        assert not served.servicer.entered.is_set()


@pytest.mark.invariant(60)
async def test_a_server_with_another_identity_is_refused(serving: Serving) -> None:
    async with serving() as served:
        assert (
            await fails(stub_of(served, "execution", server="risk"))
        ).code() is grpc.StatusCode.UNAVAILABLE
        assert not served.servicer.entered.is_set()


@pytest.mark.invariant(60)
async def test_the_wrong_identity_is_denied(serving: Serving) -> None:
    async with serving() as served:
        error = await fails(stub_of(served, "market_data"))
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        refusal = refusal_of(error)
        assert refusal is not None
        assert refusal.reason is RefusalReason.IDENTITY_NOT_ALLOWED
        assert refusal.field == "/opensqt.market_maker.v1.StateService/GetGrid"
        assert refusal.value == "market_data"
        assert refusal.allowed == "execution, strategy"
        assert not served.servicer.entered.is_set()


async def test_a_certificate_without_identity_is_denied(
    serving: Serving, stranger: TlsConfig
) -> None:
    async with serving() as served:
        peer = PeerConfig(target=served.server.address)
        async with open_channel(peer, identity="state", tls=stranger) as channel:
            error = await fails(StateServiceStub(channel))
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        refusal = refusal_of(error)
        assert refusal is not None
        assert refusal.reason is RefusalReason.IDENTITY_MISSING


async def test_a_method_that_is_not_served(serving: Serving) -> None:
    async with serving() as served:
        call = served.channel("execution").unary_unary(
            "/opensqt.market_maker.v1.StateService/Guess"
        )
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await call(b"")
        assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED


def renew(directory: Path) -> None:
    for suffix in ("key", "pem"):
        (directory / f"state.{suffix}").unlink()
    assert ensure_development_certificates(directory, ("state",)) == ("state",)


async def test_a_renewed_certificate_serves_new_connections(
    serving: Serving, tmp_path: Path
) -> None:
    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    ensure_development_certificates(tmp_path, ("state", "execution"), now=yesterday)
    async with serving(tls=tls_config_of(tmp_path, "state")) as served:
        served.certificates = tmp_path
        old = stub_of(served, "execution")
        await old.GetGrid(GetGridRequest())
        before = served.metrics.render()
        renew(tmp_path)
        await old.GetGrid(GetGridRequest())  # its connection lives on
        new = stub_of(served, "execution")
        await new.GetGrid(GetGridRequest())  # a new handshake, a new certificate
        served.channels[0].renew()
        await old.GetGrid(GetGridRequest())
        assert expiry(served.metrics.render()) > expiry(before)


def expiry(metrics: bytes) -> float:
    name = b"opensqt_tls_certificate_expiry_seconds "
    (line,) = (line for line in metrics.splitlines() if line.startswith(name))
    return float(line.removeprefix(name))


@pytest.mark.invariant(60)
@pytest.mark.parametrize("whose", ["state", "execution"])
async def test_a_certificate_that_has_expired_makes_no_new_connection(
    serving: Serving, tmp_path: Path, whose: str
) -> None:
    ensure_development_certificates(tmp_path, ("state", "execution"))
    for suffix in ("key", "pem"):
        (tmp_path / f"{whose}.{suffix}").unlink()
    nearly = dt.datetime.now(dt.UTC) - dt.timedelta(days=90) + dt.timedelta(seconds=4)
    ensure_development_certificates(tmp_path, (whose,), now=nearly)
    async with serving(tls=tls_config_of(tmp_path, "state")) as served:
        served.certificates = tmp_path
        stub = stub_of(served, "execution")
        await stub.GetGrid(GetGridRequest())
        served.servicer.entered.clear()
        await asyncio.sleep(5)
        served.channels[0].renew()
        assert (await fails(stub)).code() is grpc.StatusCode.UNAVAILABLE
        assert not served.servicer.entered.is_set()
