"""How long things may take for an engine that talks to an exchange itself."""

from dataclasses import dataclass, field
from typing import Final

from opensqt.core.settle import Fence

NS_PER_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SimpleTiming:
    """Bounds of a `SimpleEngine`; the defaults are the execution service's."""

    placing_ns: int = 3 * NS_PER_S
    """After this the exchange refuses a request that is still on its way."""
    answer_s: float = 5.0
    """How long an answer is awaited before the outcome counts as unknown."""
    fence: Fence = field(
        default_factory=lambda: Fence(clock_skew_ns=NS_PER_S, visibility_ns=2 * NS_PER_S)
    )
    """From when on the absence of an order is proof."""
    checkpoint_ns: int = 5 * NS_PER_S
    """How old changes may get that are no intents, before they are saved."""

    @property
    def quiet_ns(self) -> int:
        """So long after a crash nothing that was sent before it can come to light any more."""
        return self.placing_ns + self.fence.clock_skew_ns + self.fence.visibility_ns


AT_ONCE: Final = SimpleTiming(placing_ns=0, fence=Fence(clock_skew_ns=0, visibility_ns=0))
"""For an exchange in the same process: a request arrives in the moment in which it is sent."""
