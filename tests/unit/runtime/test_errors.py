"""Refusals and statuses: one table, both ways."""

import re
from pathlib import Path

import grpc
import pytest
from google.rpc.status_pb2 import Status

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.market_maker.v1.error_reason_pb2 import ErrorReason
from opensqt.ports import DependencyError
from opensqt.runtime.errors import (
    DETAILS_KEY,
    STATUS_OF,
    details_of,
    domain_error_of,
    domain_errors,
    refusal_for,
    refusal_of,
    status_code_of,
)

CONTRACT = Path(__file__).parents[3] / "api/proto/opensqt/market_maker/v1/error_reason.proto"


def failure(code: grpc.StatusCode, trailing: tuple[tuple[str, bytes], ...]) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(
        code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), details="text"
    )


def test_every_reason_of_the_contract_has_a_code() -> None:
    contract = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()}  # noqa: SIM118 - not a mapping
    assert contract - {"UNSPECIFIED"} == {reason.value for reason in RefusalReason}
    assert set(STATUS_OF) == set(RefusalReason)


def test_the_codes_are_those_that_the_contract_promises() -> None:
    promised = re.findall(r"\b([A-Z_]+)[.:][^\n]*\n  ERROR_REASON_(\w+) =", CONTRACT.read_text())
    assert len(promised) == len(RefusalReason)
    for code, reason in promised:
        assert STATUS_OF[RefusalReason(reason)].name == code, reason


@pytest.mark.parametrize("reason", list(RefusalReason))
def test_a_refusal_survives_the_wire(reason: RefusalReason) -> None:
    refusal = Refusal(reason, field="actions[2].place.price", value="NaN", allowed="a decimal")
    sent = details_of(refusal)
    received = refusal_of(failure(status_code_of(refusal), sent))
    assert received is not None
    assert vars(received) == vars(refusal)
    status = Status.FromString(sent[0][1])
    assert status.code == status_code_of(refusal).value[0]
    assert status.message == str(refusal)


@pytest.mark.parametrize(
    "trailing", [(), ((DETAILS_KEY, b"\xff\xff"),), ((DETAILS_KEY, b""),), (("other-bin", b"x"),)]
)
def test_other_failures_carry_no_refusal(trailing: tuple[tuple[str, bytes], ...]) -> None:
    error = failure(grpc.StatusCode.UNAVAILABLE, trailing)
    assert refusal_of(error) is None
    assert isinstance(domain_error_of(error), DependencyError)


def test_a_service_that_cannot_serve_is_a_dependency_that_does_not_answer() -> None:
    for reason in (RefusalReason.DEPENDENCY, RefusalReason.DRAINING, RefusalReason.OVERLOADED):
        error = failure(grpc.StatusCode.UNAVAILABLE, details_of(Refusal(reason)))
        assert isinstance(domain_error_of(error), DependencyError)
    refusal = Refusal(RefusalReason.STALE_REVISION, value=3, allowed="5")
    with pytest.raises(Refusal) as raised, domain_errors():
        raise failure(grpc.StatusCode.ABORTED, details_of(refusal))
    assert raised.value.reason is RefusalReason.STALE_REVISION


def test_a_dependency_tells_no_secrets() -> None:
    refusal = refusal_for(DependencyError("no answer from postgresql://u:hunter2@db/x"))
    assert refusal.reason is RefusalReason.DEPENDENCY
    assert "hunter2" not in str(refusal)
