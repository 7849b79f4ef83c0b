"""The gate's history: every change has the next revision, and the latest one is the gate.

Decides what a request to trip or to reset makes of the gate. Keeping the history is a store's work.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.events import Gate

REASON_LENGTH_MAX: Final = 256
REQUEST_ID_LENGTH_MAX: Final = 128
HOLDER: Final = "risk"
"""Who changes the gate when nobody asked: the risk service itself."""

NOT_LOADED: Final = Gate(
    revision=0,
    open=False,
    reason="the risk service has not read its store yet",
    changed_by=HOLDER,
    changed_time_ns=0,
)
"""What is known of the gate before its history is read: nothing, so it is closed."""


class GateAction(StrEnum):
    """What was done to the gate."""

    CREATED = "CREATED"
    TRIPPED = "TRIPPED"
    RESET = "RESET"
    ADOPTED = "ADOPTED"
    """Taken from a beat on the bus: the change had been announced and not stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateChange:
    """One change, with the gate after it."""

    gate: Gate
    action: GateAction
    request_id: str = ""
    """The request that asked for it; empty when nobody asked."""
    argument: str = ""
    """What the request said: the reason of a trip, the expected revision of a reset."""


def created(now_ns: int) -> GateChange:
    """The first change of a gate that has no history: it is open."""
    gate = Gate(revision=1, open=True, reason="", changed_by=HOLDER, changed_time_ns=now_ns)
    return GateChange(gate=gate, action=GateAction.CREATED)


def tripped(gate: Gate, *, request_id: str, reason: str, by: str, now_ns: int) -> GateChange:
    """Close the gate; one that is closed gets the new reason.

    That counts as a change: whoever wants to reset the gate must have seen every reason.

    Raises:
        Refusal: FIELD_MISSING or VALUE_NOT_ALLOWED.
    """
    _check_request_id(request_id)
    reason = reason.strip()
    if not reason:
        raise Refusal(
            RefusalReason.FIELD_MISSING, field="reason", allowed="why the gate is closed, in words"
        )
    if len(reason) > REASON_LENGTH_MAX:
        raise Refusal(
            RefusalReason.VALUE_NOT_ALLOWED,
            field="reason",
            value=f"{len(reason)} characters",
            allowed=f"at most {REASON_LENGTH_MAX}",
        )
    after = Gate(
        revision=gate.revision + 1, open=False, reason=reason, changed_by=by, changed_time_ns=now_ns
    )
    return GateChange(gate=after, action=GateAction.TRIPPED, request_id=request_id, argument=reason)


def reset(
    gate: Gate, *, request_id: str, expected_revision: int, by: str, now_ns: int
) -> GateChange:
    """Open the gate, if it is the one that the caller has seen.

    Raises:
        Refusal: FIELD_MISSING or VALUE_NOT_ALLOWED; GATE_REVISION when it has changed since.
    """
    _check_request_id(request_id)
    check_revision(gate, expected_revision)
    after = Gate(
        revision=gate.revision + 1, open=True, reason="", changed_by=by, changed_time_ns=now_ns
    )
    return GateChange(
        gate=after,
        action=GateAction.RESET,
        request_id=request_id,
        argument=str(expected_revision),
    )


def adopted(gate: Gate, heard: Gate) -> GateChange | None:
    """What a gate heard on the bus makes of ours; None when it tells nothing new.

    A trip that was announced and not stored must outlive the crash of the process that announced
    it, so a closed gate as new as ours, or newer, closes ours. An open one never opens it. Where
    the bus is ahead of our history (it was restored from a backup), ours takes the next number:
    whoever heard the newer one would not listen to an older.
    """
    if heard.revision < gate.revision or heard == gate:
        return None
    if gate.open and not heard.open:
        after = replace(heard, revision=max(heard.revision, gate.revision + 1))
    elif heard.revision > gate.revision:
        after = replace(gate, revision=heard.revision + 1)
    else:
        return None
    return GateChange(gate=after, action=GateAction.ADOPTED)


def rebased(change: GateChange, revision: int) -> GateChange:
    """The same change as the next one after `revision`, for one that somebody else overtook."""
    return replace(change, gate=replace(change.gate, revision=revision + 1))


def repeated(known: GateChange, *, action: GateAction, argument: str) -> Gate:
    """The answer that a request got, for the same request once more.

    Raises:
        Refusal: REQUEST_ID_REUSED when the request asks for something else.
    """
    if (known.action, known.argument) != (action, argument):
        raise Refusal(
            RefusalReason.REQUEST_ID_REUSED,
            field="request_id",
            value=known.request_id,
            allowed=f"a new id; this one was used for {known.action} ({known.argument})",
        )
    return known.gate


def check_revision(gate: Gate, expected: int) -> None:
    """Refuse a caller that has seen another gate.

    Raises:
        Refusal: GATE_REVISION.
    """
    if gate.revision != expected:
        raise Refusal(
            RefusalReason.GATE_REVISION,
            field="expected_revision",
            value=expected,
            allowed=f"{gate.revision}, having read its reason: {gate.reason or 'it is open'}",
        )


def _check_request_id(request_id: str) -> None:
    if not request_id:
        raise Refusal(
            RefusalReason.FIELD_MISSING,
            field="request_id",
            allowed="any text that is new with every request, and the same when it is repeated",
        )
    if len(request_id) > REQUEST_ID_LENGTH_MAX:
        raise Refusal(
            RefusalReason.VALUE_NOT_ALLOWED,
            field="request_id",
            value=f"{len(request_id)} characters",
            allowed=f"at most {REQUEST_ID_LENGTH_MAX}",
        )
