"""The one place where refusals become gRPC statuses, and statuses become refusals again.

A refusal travels as the status code of its reason, a sentence for people, and an `ErrorDetail` for
machines inside ``grpc-status-details-bin``, the trailing metadata that gRPC tools of every language
know how to read.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Final

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.market_maker.v1.error_reason_pb2 import ErrorDetail, ErrorReason
from opensqt.ports import DependencyError
from opensqt.runtime.redaction import Redactor

DETAILS_KEY: Final = "grpc-status-details-bin"
DEPENDENCY_TEXT_LENGTH: Final = 200

_PATTERNS_ONLY: Final = Redactor()

STATUS_OF: Final[Mapping[RefusalReason, grpc.StatusCode]] = {
    RefusalReason.FIELD_MISSING: grpc.StatusCode.INVALID_ARGUMENT,
    RefusalReason.NOT_A_DECIMAL: grpc.StatusCode.INVALID_ARGUMENT,
    RefusalReason.ENUM_UNSPECIFIED: grpc.StatusCode.INVALID_ARGUMENT,
    RefusalReason.VALUE_NOT_ALLOWED: grpc.StatusCode.INVALID_ARGUMENT,
    RefusalReason.INSTRUMENT_RULE: grpc.StatusCode.INVALID_ARGUMENT,
    RefusalReason.PAGE_TOKEN: grpc.StatusCode.INVALID_ARGUMENT,
    RefusalReason.STALE_REVISION: grpc.StatusCode.ABORTED,
    RefusalReason.GATE_REVISION: grpc.StatusCode.ABORTED,
    RefusalReason.ILLEGAL_TRANSITION: grpc.StatusCode.FAILED_PRECONDITION,
    RefusalReason.GATE_CLOSED: grpc.StatusCode.FAILED_PRECONDITION,
    RefusalReason.PRICE_STALE: grpc.StatusCode.FAILED_PRECONDITION,
    RefusalReason.STREAM_NOT_VERIFIED: grpc.StatusCode.FAILED_PRECONDITION,
    RefusalReason.BOT_NOT_TRADING: grpc.StatusCode.FAILED_PRECONDITION,
    RefusalReason.BOT_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    RefusalReason.ORDER_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    RefusalReason.BOT_DIFFERS: grpc.StatusCode.ALREADY_EXISTS,
    RefusalReason.REQUEST_ID_REUSED: grpc.StatusCode.ALREADY_EXISTS,
    RefusalReason.OVERLOADED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    RefusalReason.IDENTITY_NOT_ALLOWED: grpc.StatusCode.PERMISSION_DENIED,
    RefusalReason.IDENTITY_MISSING: grpc.StatusCode.UNAUTHENTICATED,
    RefusalReason.REVISION_COMPACTED: grpc.StatusCode.OUT_OF_RANGE,
    RefusalReason.DEPENDENCY: grpc.StatusCode.UNAVAILABLE,
    RefusalReason.DRAINING: grpc.StatusCode.UNAVAILABLE,
}
"""Every reason has its code; a test compares this table with the contract."""

_NOT_THE_REQUESTS_FAULT: Final = frozenset(
    {RefusalReason.DEPENDENCY, RefusalReason.DRAINING, RefusalReason.OVERLOADED}
)


def status_code_of(refusal: Refusal) -> grpc.StatusCode:
    """The gRPC status code of a refusal."""
    return STATUS_OF[refusal.reason]


def details_of(refusal: Refusal) -> tuple[tuple[str, bytes], ...]:
    """The trailing metadata that carries a refusal."""
    detail = ErrorDetail(
        reason=ErrorReason.Value(f"ERROR_REASON_{refusal.reason}"),
        field=refusal.field,
        value=refusal.value,
        allowed=refusal.allowed,
    )
    packed = AnyMessage()
    packed.Pack(detail)
    status = Status(code=_number(status_code_of(refusal)), message=str(refusal), details=[packed])
    return ((DETAILS_KEY, status.SerializeToString()),)


def refusal_of(error: grpc.aio.AioRpcError) -> Refusal | None:
    """The refusal that a failed call carries; None when it failed in another way.

    A reason that this version does not know counts as another way: the status code still says what
    kind of failure it was.
    """
    for key, value in error.trailing_metadata() or ():
        if key != DETAILS_KEY:
            continue
        try:
            status = Status.FromString(value if isinstance(value, bytes) else value.encode())
            for packed in status.details:
                detail = ErrorDetail()
                if packed.Unpack(detail):
                    name = ErrorReason.Name(detail.reason).removeprefix("ERROR_REASON_")
                    return Refusal(
                        RefusalReason(name),
                        field=detail.field,
                        value=detail.value,
                        allowed=detail.allowed,
                    )
        except (DecodeError, ValueError):
            return None
    return None


def domain_error_of(error: grpc.aio.AioRpcError) -> Refusal | DependencyError:
    """What a failed call means to its caller: a refusal, or a service that cannot serve now.

    After a `DependencyError` the outcome of a write is unknown. A refusal because the service
    drains, is overloaded or misses a dependency of its own is one as well: the request was fine.
    """
    refusal = refusal_of(error)
    if refusal is not None and refusal.reason not in _NOT_THE_REQUESTS_FAULT:
        return refusal
    return DependencyError(f"{error.code().name}: {error.details()}")


@contextlib.contextmanager
def domain_errors() -> Iterator[None]:
    """Around calls of other services: their failures come out as `domain_error_of` says."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise domain_error_of(error) from error


def refusal_for(error: DependencyError) -> Refusal:
    """The refusal that tells our caller that something we depend on does not answer."""
    told = _PATTERNS_ONLY.text(str(error))[:DEPENDENCY_TEXT_LENGTH]
    return Refusal(
        RefusalReason.DEPENDENCY, value=told, allowed="the same request, once it answers again"
    )


def _number(code: grpc.StatusCode) -> int:
    number: int = code.value[0]
    return number
