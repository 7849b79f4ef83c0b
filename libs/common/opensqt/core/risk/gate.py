"""The gate's beat, and what it allows: no fresh beat, no new exposure."""

from dataclasses import dataclass
from typing import Final

from opensqt.core.events import GateBeat

BEAT_INTERVAL_NS: Final = 1_000_000_000
"""The risk service beats once a second."""

BEAT_AGE_MAX_NS: Final = 5 * BEAT_INTERVAL_NS
"""Older than this, the gate counts as closed: whoever could close it may be gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateView:
    """What a process knows of the gate: the latest beat, or nothing yet."""

    beat: GateBeat | None = None

    def after(self, beat: GateBeat) -> "GateView":
        """The view after `beat`; a beat of an older revision or time is ignored."""
        known = self.beat
        if known is not None and (beat.gate.revision, beat.beat_time_ns) < (
            known.gate.revision,
            known.beat_time_ns,
        ):
            return self
        return GateView(beat=beat)

    def closed_because(self, now_ns: int) -> str:
        """Why exposure may not be added at `now_ns`; empty when it may."""
        if self.beat is None:
            return "no beat of the risk gate has been heard"
        age_ns = now_ns - self.beat.beat_time_ns
        if age_ns > BEAT_AGE_MAX_NS:
            return f"the risk gate's last beat is {age_ns / 1e9:.1f} s old"
        if not self.beat.gate.open:
            return f"the risk gate is closed: {self.beat.gate.reason}"
        return ""
