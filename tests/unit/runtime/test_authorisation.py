"""The allowlist: what has no rule is denied."""

from typing import Any

import pytest

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.runtime.authorisation import Allowlist, peer_identity

RULES = {"pkg.State": ("execution", "strategy"), "pkg.State/Reset": ("cli",)}


@pytest.mark.parametrize(
    ("method", "identity", "refused"),
    [
        ("/pkg.State/Get", "execution", None),
        ("/pkg.State/Get", "cli", RefusalReason.IDENTITY_NOT_ALLOWED),
        ("/pkg.State/Reset", "cli", None),
        ("/pkg.State/Reset", "execution", RefusalReason.IDENTITY_NOT_ALLOWED),
        ("/pkg.State/Get", None, RefusalReason.IDENTITY_MISSING),
        ("/pkg.Other/Get", "execution", RefusalReason.IDENTITY_NOT_ALLOWED),
        ("/grpc.health.v1.Health/Check", "anybody", None),
        ("/grpc.health.v1.Health/Check", None, RefusalReason.IDENTITY_MISSING),
        ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "cli", None),
        (
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            "state",
            RefusalReason.IDENTITY_NOT_ALLOWED,
        ),
    ],
)
def test_who_may_call_what(
    method: str, identity: str | None, refused: RefusalReason | None
) -> None:
    allowlist = Allowlist(RULES)
    if refused is None:
        allowlist.check(method, identity)
        return
    with pytest.raises(Refusal) as refusal:
        allowlist.check(method, identity)
    assert refusal.value.reason is refused


def test_the_refusal_says_who_may() -> None:
    with pytest.raises(Refusal, match="allowed: execution, strategy"):
        Allowlist(RULES).check("/pkg.State/Get", "risk")
    with pytest.raises(Refusal, match="allowed: nobody"):
        Allowlist(RULES).check("/pkg.Other/Get", "risk")


def test_rules_and_methods_belong_together() -> None:
    allowlist = Allowlist(RULES)
    allowlist.check_covers(["pkg.State/Get", "pkg.State/Reset"])
    with pytest.raises(ValueError, match=r"without a rule \['pkg.Risk/Trip'\]"):
        allowlist.check_covers(["pkg.State/Get", "pkg.State/Reset", "pkg.Risk/Trip"])
    with pytest.raises(ValueError, match=r"without a method \['pkg.State/Reset'\]"):
        allowlist.check_covers(["pkg.State/Get"])


class Call:
    def __init__(self, **context: tuple[bytes, ...]) -> None:
        self._context = context

    def auth_context(self) -> dict[str, Any]:
        return dict(self._context)


@pytest.mark.parametrize(
    ("values", "identity"),
    [
        ((b"spiffe://opensqt/market_data",), "market_data"),
        ((), None),
        ((b"spiffe://opensqt/a", b"spiffe://opensqt/b"), None),
        ((b"spiffe://elsewhere/state",), None),
        ((b"https://opensqt/state",), None),
        ((b"spiffe://opensqt/",), None),
        ((b"spiffe://opensqt/a/b",), None),
    ],
)
def test_the_identity_of_a_peer(values: tuple[bytes, ...], identity: str | None) -> None:
    assert peer_identity(Call(peer_spiffe_id=values)) == identity
