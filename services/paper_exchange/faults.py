"""What goes wrong on the way to the exchange and back, and how often.

The exchange itself never errs: an order is in its books or it is not. Faults sit between it and its
clients: answers are late or lost after the order took effect, events are delayed, dropped, doubled
or swapped, connections break. Every decision is drawn from one seeded generator.
"""

from enum import Enum
from random import Random
from typing import Annotated, Final, TypeVar

from pydantic import Field

from opensqt.runtime.config_models import ConfigModel

T = TypeVar("T")
Probability = Annotated[float, Field(ge=0, le=1)]


class StreamFaults(ConfigModel):
    """Faults of one kind of stream, per event."""

    delay: Probability = 0
    delay_ms_max: int = Field(default=50, ge=0, le=60_000)
    """A delayed event comes up to this much later, and holds up what follows it."""
    drop: Probability = 0
    duplicate: Probability = 0
    reorder: Probability = 0
    """The event comes after the one that follows it."""

    @property
    def any(self) -> bool:
        """Something can go wrong."""
        return bool(self.delay or self.drop or self.duplicate or self.reorder)


class Faults(ConfigModel):
    """All faults; the default is none."""

    latency_ms_min: int = Field(default=0, ge=0, le=60_000)
    latency_ms_max: int = Field(default=0, ge=0, le=60_000)
    """Every REST answer and WebSocket API answer takes this long, evenly drawn."""
    lost_answer: Probability = 0
    """An order or cancel takes effect, and its answer is lost."""
    lost_request: Probability = 0
    """An order or cancel never arrives, and the connection breaks."""
    unknown_503: Probability = 0
    """503 "Unknown error": half of the time the order took effect."""
    unavailable_503: Probability = 0
    """503 "Service Unavailable.": the order did not take effect."""
    internal_503: Probability = 0
    """503 "Internal error; unable to process your request": the order did not take effect."""
    query_lag_ms: int = Field(default=0, ge=0, le=60_000)
    """A new order is not found by queries for this long."""
    user: StreamFaults = StreamFaults()
    market: StreamFaults = StreamFaults()
    disconnect_every_s: float | None = Field(default=None, gt=0)
    """All WebSocket connections are cut that often."""


PRESETS: Final = {
    "none": Faults(),
    "mild": Faults(
        latency_ms_min=1,
        latency_ms_max=10,
        lost_answer=0.03,
        lost_request=0.01,
        unknown_503=0.01,
        unavailable_503=0.01,
        internal_503=0.01,
        user=StreamFaults(delay=0.1, drop=0.01, duplicate=0.05, reorder=0.03),
        market=StreamFaults(delay=0.001, drop=0.01, duplicate=0.01, reorder=0.01),
        disconnect_every_s=20,
    ),
    "rough": Faults(
        latency_ms_min=1,
        latency_ms_max=100,
        lost_answer=0.15,
        lost_request=0.05,
        unknown_503=0.05,
        unavailable_503=0.05,
        internal_503=0.05,
        query_lag_ms=300,
        user=StreamFaults(delay=0.2, delay_ms_max=300, drop=0.05, duplicate=0.15, reorder=0.1),
        market=StreamFaults(delay=0.01, delay_ms_max=300, drop=0.05, duplicate=0.05, reorder=0.05),
        disconnect_every_s=7,
    ),
}


class AnswerFault(Enum):
    """What becomes of one request that trades."""

    NONE = "none"
    LOST_REQUEST = "lost request"
    LOST_ANSWER = "lost answer"
    UNKNOWN_503 = "Unknown error, please check your request or try again later."
    UNAVAILABLE_503 = "Service Unavailable."
    INTERNAL_503 = "Internal error; unable to process your request. Please try again."


class LostAnswer(Enum):
    """How an answer is lost after the request took effect."""

    CLOSED = "the connection closes"
    GATEWAY_TIMEOUT = "504 with a page of HTML"
    BACKEND_TIMEOUT = "408 with code -1007"
    TRUNCATED = "200 with half of the body"
    EMPTY = "200 with no body"


class EventFault(Enum):
    """What becomes of one event."""

    NONE = "none"
    DELAY = "delay"
    DROP = "drop"
    DUPLICATE = "duplicate"
    REORDER = "reorder"


class FaultInjector:
    """Draws the faults.

    Args:
        faults: How often what happens; may be exchanged at any time.
        rng: A seeded generator, used by nothing else.
    """

    def __init__(self, faults: Faults, rng: Random) -> None:
        self.faults = faults
        self._rng = rng

    def latency_s(self) -> float:
        """How long the next answer takes."""
        low, high = self.faults.latency_ms_min, self.faults.latency_ms_max
        return self._rng.uniform(low, max(low, high)) / 1000 if high else 0.0

    def answer(self) -> AnswerFault:
        """What becomes of a request that places or cancels."""
        faults = self.faults
        return self._draw(
            (
                (faults.lost_request, AnswerFault.LOST_REQUEST),
                (faults.lost_answer, AnswerFault.LOST_ANSWER),
                (faults.unknown_503, AnswerFault.UNKNOWN_503),
                (faults.unavailable_503, AnswerFault.UNAVAILABLE_503),
                (faults.internal_503, AnswerFault.INTERNAL_503),
            ),
            AnswerFault.NONE,
        )

    def takes_effect(self, fault: AnswerFault) -> bool:
        """Whether a request under this fault reaches the books."""
        if fault is AnswerFault.UNKNOWN_503:
            return self._rng.random() < 0.5
        return fault in (AnswerFault.NONE, AnswerFault.LOST_ANSWER)

    def lost_answer(self) -> LostAnswer:
        """How an answer gets lost."""
        return self._rng.choice(tuple(LostAnswer))

    def event(self, faults: StreamFaults) -> EventFault:
        """What becomes of an event of a stream."""
        return self._draw(
            (
                (faults.drop, EventFault.DROP),
                (faults.duplicate, EventFault.DUPLICATE),
                (faults.reorder, EventFault.REORDER),
                (faults.delay, EventFault.DELAY),
            ),
            EventFault.NONE,
        )

    def delay_s(self, faults: StreamFaults) -> float:
        """How long a delayed event is delayed."""
        return self._rng.uniform(0, faults.delay_ms_max) / 1000

    def _draw(self, chances: tuple[tuple[float, T], ...], otherwise: T) -> T:
        drawn = self._rng.random()
        for chance, outcome in chances:
            drawn -= chance
            if drawn < 0:
                return outcome
        return otherwise
