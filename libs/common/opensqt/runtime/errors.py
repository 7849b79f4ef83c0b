"""The one place where refusals become gRPC statuses, and statuses become refusals again.

A refusal travels as the status code of its reason, a sentence for people, and an `ErrorDetail` for
machines inside ``grpc-status-details-bin``, the trailing metadata that gRPC tools of every language
know how to read.
"""

from collections.abc import Mapping
from typing import Final

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.market_maker.v1.error_reason_pb2 import ErrorDetail, ErrorReason

DETAILS_KEY: Final = "grpc-status-details-bin"

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


def _number(code: grpc.StatusCode) -> int:
    number: int = code.value[0]
    return number
