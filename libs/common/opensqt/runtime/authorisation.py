"""Who may call what: every method has a list of identities, and what has none is denied."""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.runtime.tls_files import TRUST_DOMAIN

HEALTH_SERVICE: Final = "grpc.health.v1.Health"
REFLECTION_SERVICE: Final = "grpc.reflection.v1alpha.ServerReflection"

ANYONE: Final = "*"
"""Every peer whose certificate our authority signed."""


class Allowlist:
    """Identities by method or by service.

    Health is open to every peer with a certificate, reflection to the ``cli``; both can be
    overridden.

    Args:
        rules: From ``package.Service/Method``, or ``package.Service`` for all its other methods, to
            the identities that may call it, such as ``("execution", "cli")``.
    """

    def __init__(self, rules: Mapping[str, Iterable[str]]) -> None:
        every: dict[str, Iterable[str]] = {
            HEALTH_SERVICE: (ANYONE,),
            REFLECTION_SERVICE: ("cli",),
            **rules,
        }
        for key, identities in every.items():
            assert not isinstance(identities, str), f"{key}: give a tuple of identities"
        self._rules = {key: frozenset(identities) for key, identities in every.items()}

    @property
    def rules(self) -> Mapping[str, frozenset[str]]:
        """The rules, those of health and reflection included."""
        return self._rules

    def allowed(self, method: str) -> frozenset[str]:
        """The identities that may call ``/package.Service/Method``; empty when nobody may."""
        name = method.removeprefix("/")
        rule = self._rules.get(name)
        if rule is None:
            rule = self._rules.get(name.partition("/")[0], frozenset())
        return rule

    def check(self, method: str, identity: str | None) -> None:
        """Let a call pass or refuse it.

        Raises:
            Refusal: IDENTITY_MISSING or IDENTITY_NOT_ALLOWED.
        """
        if identity is None:
            raise Refusal(
                RefusalReason.IDENTITY_MISSING,
                field="certificate",
                allowed=f"a client certificate with one URI spiffe://{TRUST_DOMAIN}/<service>",
            )
        allowed = self.allowed(method)
        if identity not in allowed and ANYONE not in allowed:
            raise Refusal(
                RefusalReason.IDENTITY_NOT_ALLOWED,
                field=method,
                value=identity,
                allowed=", ".join(sorted(allowed)) or "nobody",
            )

    def check_covers(self, methods: Iterable[str]) -> None:
        """Make sure that each method that is served has a rule, and each rule a method.

        Raises:
            ValueError: Naming the methods without rule and the rules without method.
        """
        served = {method.removeprefix("/") for method in methods}
        services = {method.partition("/")[0] for method in served}
        without_rule = sorted(method for method in served if not self.allowed(method))
        optional = {HEALTH_SERVICE, REFLECTION_SERVICE}
        without_method = sorted(set(self._rules) - served - services - optional)
        if without_rule or without_method:
            raise ValueError(
                f"the allowlist and what is served differ: methods without a rule {without_rule}, "
                f"rules without a method {without_method}"
            )


def peer_identity(context: Any) -> str | None:
    """The identity in the peer's verified certificate, or None.

    Args:
        context: The call's servicer context.
    """
    values = tuple(context.auth_context().get("peer_spiffe_id", ()))
    if len(values) != 1:
        return None
    uri = urlsplit(values[0].decode("utf-8", "replace"))
    name: str = uri.path.removeprefix("/")
    if uri.scheme != "spiffe" or uri.netloc != TRUST_DOMAIN or not name or "/" in name:
        return None
    return name
