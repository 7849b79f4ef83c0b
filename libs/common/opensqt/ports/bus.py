"""Events between the services, as ports: topics, how they are delivered, and the bus."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Generic, Protocol, TypeVar

from opensqt.core.actions import ActionBatch
from opensqt.core.events import (
    Candle,
    FundingUpdate,
    GateBeat,
    OrderUpdate,
    PositionCheck,
    PositionUpdate,
    PriceChange,
    StreamStatus,
)
from opensqt.core.grid.book import GridChange

E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True)


class Delivery(Enum):
    """How a topic's events reach their consumers."""

    LATEST = "latest"
    """Fire and forget; a slow consumer sees the latest event only, an older one is worthless."""
    LAST_VALUE = "last value"
    """As LATEST, and a new consumer first gets the last event of each key."""
    AT_MOST_ONCE = "at most once"
    """Fire and forget, every event in order; a lost one is made good by its sender."""
    DURABLE = "durable"
    """Stored before `publish` returns, delivered until acknowledged, deduplicated by message id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic(Generic[E]):
    """A kind of event on the bus; a key tells its events apart (a symbol, an account, a bot)."""

    name: str
    event: type[E]
    delivery: Delivery


PRICES: Final = Topic(name="price", event=PriceChange, delivery=Delivery.LATEST)
"""By symbol."""
ORDER_UPDATES: Final = Topic(name="order", event=OrderUpdate, delivery=Delivery.DURABLE)
"""By account."""
FUNDING: Final = Topic(name="funding", event=FundingUpdate, delivery=Delivery.LAST_VALUE)
"""By symbol."""
POSITIONS: Final = Topic(name="position", event=PositionUpdate, delivery=Delivery.LAST_VALUE)
"""By account."""
CANDLES: Final = Topic(name="candle", event=Candle, delivery=Delivery.LAST_VALUE)
"""By symbol; closed candles only."""
STREAM_STATUS: Final = Topic(name="stream", event=StreamStatus, delivery=Delivery.LATEST)
"""By account."""
GATE: Final = Topic(name="gate", event=GateBeat, delivery=Delivery.LAST_VALUE)
"""By account."""
ACTIONS: Final = Topic(name="actions", event=ActionBatch, delivery=Delivery.AT_MOST_ONCE)
"""By account; a batch that is lost is decided again, one that comes twice does nothing twice."""
GRID_CHANGES: Final = Topic(name="grid", event=GridChange, delivery=Delivery.DURABLE)
"""By bot; the state service's outbox."""
POSITION_CHECKS: Final = Topic(
    name="position-check", event=PositionCheck, delivery=Delivery.LAST_VALUE
)
"""By account and symbol, joined by a colon."""
TOPICS: Final[tuple[Topic[Any], ...]] = (
    PRICES,
    ORDER_UPDATES,
    FUNDING,
    POSITIONS,
    CANDLES,
    STREAM_STATUS,
    GATE,
    ACTIONS,
    GRID_CHANGES,
    POSITION_CHECKS,
)


class Received(Protocol[E_co]):
    """One event that came over the bus."""

    @property
    def event(self) -> E_co:
        """The event."""
        ...

    @property
    def trace(self) -> Mapping[str, str]:
        """Trace context headers (W3C traceparent) that travelled with it."""
        ...

    async def ack(self) -> None:
        """Say that its effect is committed. Only DURABLE topics need it."""
        ...


class EventBus(Protocol):
    """Carries events between the services (NATS in production)."""

    async def publish(self, topic: Topic[E], key: str, event: E, *, message_id: str = "") -> None:
        """Send an event; of a DURABLE topic, return once it is stored.

        Raises:
            DependencyError: A DURABLE event may or may not be stored: publish it again with the
                same `message_id`.
        """
        ...

    def subscribe(
        self, topic: Topic[E], key: str = "*", *, durable: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[Received[E]]]:
        """Receive a topic's events; the iterator ends when the context is left.

        Args:
            topic: The kind of events.
            key: Only events of this key; ``*`` for all.
            durable: Name of the consumer of a DURABLE topic: its position outlives the process.
        """
        ...
