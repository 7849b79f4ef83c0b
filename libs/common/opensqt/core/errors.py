"""Refusals: what the domain says no to, and what would have been allowed.

A refusal carries its facts as fields, so that one place (`runtime/errors.py`) can turn any of them
into a gRPC status with a machine-readable reason, and a person reads a whole sentence.
"""

from enum import StrEnum


class RefusalReason(StrEnum):
    """Why a request is refused; the names are those of `ErrorReason` in the contract."""

    FIELD_MISSING = "FIELD_MISSING"
    NOT_A_DECIMAL = "NOT_A_DECIMAL"
    ENUM_UNSPECIFIED = "ENUM_UNSPECIFIED"
    VALUE_NOT_ALLOWED = "VALUE_NOT_ALLOWED"
    INSTRUMENT_RULE = "INSTRUMENT_RULE"
    STALE_REVISION = "STALE_REVISION"
    ILLEGAL_TRANSITION = "ILLEGAL_TRANSITION"
    BOT_UNKNOWN = "BOT_UNKNOWN"
    ORDER_UNKNOWN = "ORDER_UNKNOWN"
    BOT_DIFFERS = "BOT_DIFFERS"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    GATE_CLOSED = "GATE_CLOSED"
    PRICE_STALE = "PRICE_STALE"
    STREAM_NOT_VERIFIED = "STREAM_NOT_VERIFIED"
    OVERLOADED = "OVERLOADED"
    IDENTITY_NOT_ALLOWED = "IDENTITY_NOT_ALLOWED"
    IDENTITY_MISSING = "IDENTITY_MISSING"
    REVISION_COMPACTED = "REVISION_COMPACTED"
    PAGE_TOKEN = "PAGE_TOKEN"  # noqa: S105  # a reason, not a password
    GATE_REVISION = "GATE_REVISION"
    DEPENDENCY = "DEPENDENCY"
    DRAINING = "DRAINING"
    BOT_NOT_TRADING = "BOT_NOT_TRADING"


class Refusal(Exception):  # noqa: N818  # a noun of the domain, not a fault
    """A request that is refused and has changed nothing."""

    def __init__(
        self, reason: RefusalReason, *, field: str = "", value: object = "", allowed: str = ""
    ) -> None:
        """State the refusal.

        Args:
            reason: Why, for machines.
            field: Path of the field to blame, such as ``actions[2].place.price``.
            value: The value given; never a secret.
            allowed: What would have been allowed, for a person.
        """
        self.reason = reason
        self.field = field
        self.value = str(value)
        self.allowed = allowed
        where = f" {field}" if field else ""
        given = f" {self.value!r}" if self.value else ""
        rest = f"; allowed: {allowed}" if allowed else ""
        super().__init__(f"{reason}:{where}{given}{rest}")
