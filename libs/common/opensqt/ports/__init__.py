"""Ports: what the services need from the world, as protocols.

A composition root takes these, so that the same code runs on a real exchange, NATS, PostgreSQL and
gRPC, and on fakes in one process under virtual time. Nothing here does anything.

Sleeping is `asyncio.sleep` everywhere: a virtual-time event loop replaces it. Reading the time is
the `Clock`'s.
"""

from opensqt.ports.bus import (
    ACTIONS,
    CANDLES,
    FUNDING,
    GATE,
    GRID_CHANGES,
    ORDER_UPDATES,
    POSITION_CHECKS,
    POSITIONS,
    PRICES,
    STREAM_STATUS,
    TOPICS,
    Delivery,
    EventBus,
    Received,
    Topic,
)
from opensqt.ports.checkpoints import BotCheckpoint, CheckpointError, CheckpointStore
from opensqt.ports.clock import Clock
from opensqt.ports.engine import Engine
from opensqt.ports.errors import DependencyError
from opensqt.ports.exchange import (
    AccountChecks,
    AccountEvent,
    AccountFeed,
    CancelAnswer,
    CancelOutcome,
    Exchange,
    LimitUse,
    MarketEvent,
    MarketFeed,
    OrderGateway,
    OrderSide,
    StreamDown,
    StreamUp,
)
from opensqt.ports.market_data import MarketData
from opensqt.ports.positions import Checkpoint, Page, PositionManager, Quarantined, WatchEvent
from opensqt.ports.stores import NOTHING_MORE, GateStore, StateStore, Wanted

__all__ = [
    "ACTIONS",
    "CANDLES",
    "FUNDING",
    "GATE",
    "GRID_CHANGES",
    "NOTHING_MORE",
    "ORDER_UPDATES",
    "POSITIONS",
    "POSITION_CHECKS",
    "PRICES",
    "STREAM_STATUS",
    "TOPICS",
    "AccountChecks",
    "AccountEvent",
    "AccountFeed",
    "BotCheckpoint",
    "CancelAnswer",
    "CancelOutcome",
    "Checkpoint",
    "CheckpointError",
    "CheckpointStore",
    "Clock",
    "Delivery",
    "DependencyError",
    "Engine",
    "EventBus",
    "Exchange",
    "GateStore",
    "LimitUse",
    "MarketData",
    "MarketEvent",
    "MarketFeed",
    "OrderGateway",
    "OrderSide",
    "Page",
    "PositionManager",
    "Quarantined",
    "Received",
    "StateStore",
    "StreamDown",
    "StreamUp",
    "Topic",
    "Wanted",
    "WatchEvent",
]
