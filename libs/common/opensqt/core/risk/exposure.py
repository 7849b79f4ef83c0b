"""What a decision may do to exposure, from how fresh the things are that it relies on.

Between "add" and "withdraw" there is "hold": when something falls silent, nothing is opened from
that moment on, but what rests on the exchange keeps its place in the queue for a while, since most
silences are a restart or a reconnection of a second or two.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from opensqt.core.risk.gate import BEAT_AGE_MAX_NS, GateView

NS_PER_S: Final = 1_000_000_000


class Exposure(IntEnum):
    """What may be done; the larger, the less."""

    ADD = 0
    """Open, move and close."""
    HOLD = 1
    """Open nothing; leave what rests where it is; close."""
    WITHDRAW = 2
    """Cancel what would open; close."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessBounds:
    """How old the things may be that a decision relies on."""

    price_ns: int = 2 * NS_PER_S
    """Nothing is opened on an older price."""
    price_silence_ns: int = 60 * NS_PER_S
    """A market that says nothing for so long is one that we cannot see."""
    stream_ns: int = 5 * NS_PER_S
    """An older beat of the order stream counts as none."""
    grace_ns: int = 10 * NS_PER_S
    """How long gate and order stream may be silent, beyond their bounds, before we withdraw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliance:
    """What is known of the things that a decision relies on. Times in nanoseconds since 1970."""

    since_ns: int
    """When we began to listen: what was never heard of is as old as that."""
    gate: GateView = field(default_factory=GateView)
    stream_verified: bool = False
    stream_verified_ns: int = 0
    """The latest beat that said so; 0: none did."""
    price_ns: int = 0
    """When the latest price was received; 0: none was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What may be done, and what stands against more."""

    exposure: Exposure
    missing: tuple[str, ...] = ()
    """Of "price", "order stream" and "risk gate", those that do not let exposure be added."""


def judge(known: Reliance, now_ns: int, bounds: FreshnessBounds) -> Verdict:
    """Judge what may be done to exposure at `now_ns`."""
    by_name = {
        "price": price_exposure(
            known.price_ns, since_ns=known.since_ns, now_ns=now_ns, bounds=bounds
        ),
        "order stream": _stream(known, now_ns, bounds),
        "risk gate": _gate(known, now_ns, bounds),
    }
    missing = tuple(name for name, exposure in by_name.items() if exposure is not Exposure.ADD)
    return Verdict(exposure=max(by_name.values()), missing=missing)


def price_exposure(
    price_ns: int, *, since_ns: int, now_ns: int, bounds: FreshnessBounds
) -> Exposure:
    """What may be done to exposure as far as the price's age goes; arguments as in `Reliance`."""
    by_age = _by_age(now_ns - (price_ns or since_ns), bounds.price_ns, bounds.price_silence_ns)
    return by_age if price_ns else max(by_age, Exposure.HOLD)


def _stream(known: Reliance, now_ns: int, bounds: FreshnessBounds) -> Exposure:
    age_ns = now_ns - (known.stream_verified_ns or known.since_ns)
    by_age = _by_age(age_ns, bounds.stream_ns, bounds.stream_ns + bounds.grace_ns)
    return by_age if known.stream_verified else max(by_age, Exposure.HOLD)


def _gate(known: Reliance, now_ns: int, bounds: FreshnessBounds) -> Exposure:
    beat = known.gate.beat
    if beat is not None and not beat.gate.open:
        return Exposure.WITHDRAW
    age_ns = now_ns - (known.since_ns if beat is None else beat.beat_time_ns)
    by_age = _by_age(age_ns, BEAT_AGE_MAX_NS, BEAT_AGE_MAX_NS + bounds.grace_ns)
    return by_age if beat is not None else max(by_age, Exposure.HOLD)


def _by_age(age_ns: int, fresh_ns: int, silence_ns: int) -> Exposure:
    if age_ns <= fresh_ns:
        return Exposure.ADD
    return Exposure.HOLD if age_ns <= silence_ns else Exposure.WITHDRAW
