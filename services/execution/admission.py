"""Admission: which actions of a batch may go out now. Pure.

Cancels and closing orders always pass; what opens a position passes through the risk gate and on a
fresh price only. An action that is refused is left out of the batch: the strategy sees in the state
that it was not committed, and decides again.
"""

from dataclasses import dataclass, replace

from opensqt.core.actions import Action, ActionBatch, Place
from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.instrument import Instrument, InstrumentRuleError
from opensqt.core.orders import Purpose
from opensqt.core.risk.gate import GateView


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What of a batch may go out, and why the rest may not."""

    batch: ActionBatch
    refused: tuple[Refusal, ...]


def opens(action: Action) -> bool:
    """Whether an action adds exposure."""
    return isinstance(action, Place) and action.purpose is Purpose.OPEN


def admit(
    batch: ActionBatch,
    *,
    gate: GateView,
    instrument: Instrument,
    now_ns: int,
    price_age_ns_max: int,
) -> Admission:
    """Leave out of a batch what may not be placed now.

    Args:
        batch: The decision.
        gate: What is known of the risk gate.
        instrument: The rules of the market that it trades.
        now_ns: The time.
        price_age_ns_max: Nothing is opened on an older price.
    """
    closed = gate.closed_because(now_ns)
    age_ns = now_ns - batch.price_time_ns
    kept: list[Action] = []
    refused: list[Refusal] = []
    for index, action in enumerate(batch.actions):
        field = f"batch.actions[{index}]"
        refusal = None
        if opens(action) and closed:
            refusal = Refusal(
                RefusalReason.GATE_CLOSED, field=field, value=closed, allowed="cancels and exits"
            )
        elif opens(action) and age_ns > price_age_ns_max:
            refusal = Refusal(
                RefusalReason.PRICE_STALE,
                field="batch.price_time",
                value=f"{age_ns / 1e9:.3f} s old",
                allowed=f"at most {price_age_ns_max / 1e9:.3f} s",
            )
        elif isinstance(action, Place):
            refusal = _rule_broken(action, instrument, f"{field}.place")
        if refusal is None:
            kept.append(action)
        else:
            refused.append(refusal)
    return Admission(batch=replace(batch, actions=tuple(kept)), refused=tuple(refused))


def _rule_broken(place: Place, instrument: Instrument, field: str) -> Refusal | None:
    try:
        instrument.check_order(
            price=place.price, quantity=place.quantity, reduce_only=place.reduce_only
        )
    except InstrumentRuleError as error:
        return Refusal(RefusalReason.INSTRUMENT_RULE, field=field, allowed=str(error))
    return None
