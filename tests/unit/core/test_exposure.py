"""What may be done to exposure, from how fresh the things are that a decision relies on."""

from dataclasses import replace
from typing import Any

import pytest

from opensqt.core.events import Gate, GateBeat
from opensqt.core.risk.exposure import Exposure, FreshnessBounds, Reliance, judge
from opensqt.core.risk.gate import GateView

S = 10**9
NOW = 1_000_000 * S
BOUNDS = FreshnessBounds()


def beat(age_s: float, *, open_: bool = True) -> GateView:
    gate = Gate(revision=1, open=open_, reason="news", changed_by="cli", changed_time_ns=0)
    return GateView(beat=GateBeat(gate=gate, beat_time_ns=NOW - int(age_s * S)))


FRESH = Reliance(
    since_ns=NOW - 3600 * S,
    gate=beat(1),
    stream_verified=True,
    stream_verified_ns=NOW - 1 * S,
    price_ns=NOW - S // 10,
)


@pytest.mark.parametrize(
    ("change", "exposure", "missing"),
    [
        ({}, Exposure.ADD, ()),
        ({"price_ns": NOW - 2 * S}, Exposure.ADD, ()),
        ({"price_ns": NOW - 3 * S}, Exposure.HOLD, ("price",)),
        ({"price_ns": NOW - 61 * S}, Exposure.WITHDRAW, ("price",)),
        ({"price_ns": 0}, Exposure.WITHDRAW, ("price",)),
        ({"stream_verified_ns": NOW - 5 * S}, Exposure.ADD, ()),
        ({"stream_verified_ns": NOW - 6 * S}, Exposure.HOLD, ("order stream",)),
        ({"stream_verified_ns": NOW - 16 * S}, Exposure.WITHDRAW, ("order stream",)),
        ({"stream_verified": False}, Exposure.HOLD, ("order stream",)),
        ({"gate": beat(5)}, Exposure.ADD, ()),
        ({"gate": beat(6)}, Exposure.HOLD, ("risk gate",)),
        ({"gate": beat(16)}, Exposure.WITHDRAW, ("risk gate",)),
        ({"gate": beat(0, open_=False)}, Exposure.WITHDRAW, ("risk gate",)),
        ({"gate": GateView()}, Exposure.WITHDRAW, ("risk gate",)),
        ({"price_ns": 0, "gate": beat(6)}, Exposure.WITHDRAW, ("price", "risk gate")),
    ],
)
def test_each_silence_has_its_consequence(
    change: dict[str, Any], exposure: Exposure, missing: tuple[str, ...]
) -> None:
    verdict = judge(replace(FRESH, **change), NOW, BOUNDS)
    assert (verdict.exposure, verdict.missing) == (exposure, missing)


def test_who_has_just_begun_to_listen_holds_still() -> None:
    verdict = judge(Reliance(since_ns=NOW), NOW, BOUNDS)
    assert verdict.exposure is Exposure.HOLD
    assert verdict.missing == ("price", "order stream", "risk gate")
