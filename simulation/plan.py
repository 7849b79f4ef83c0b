"""What will happen in a run: drawn from a seed up front, so that a story can be made shorter.

Leaving a fault out of a plan leaves everything else as it was: every part of the world draws its
randomness from a stream of its own, seeded by the seed and the part's name.
"""

import random
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from opensqt.core.grid.book import Direction
from opensqt.runtime.crash_points import CrashPoint


class Part(StrEnum):
    """What runs as a process of its own, and can die."""

    MARKET_DATA = "market_data"
    STRATEGY = "strategy"
    STATE = "state"
    EXECUTION = "execution"
    RISK = "risk"


class Link(StrEnum):
    """What messages travel over."""

    BUS = "bus"
    """Between every part and the bus."""
    CALLS = "calls"
    """Between the parts and the state service, both ways."""
    ORDERS = "orders"
    """Requests to place and cancel, and their answers."""
    LOOK_UPS = "look-ups"
    STREAM = "stream"
    """The account's event stream."""


class FaultKind(StrEnum):
    """What goes wrong."""

    KILL = "kill"
    """`part` dies between two steps, and is started again after `length_ms`."""
    KILL_AT_POINT = "kill at point"
    """`part` dies the next time it reaches `point`, and is started again after `length_ms`."""
    STALL = "stall"
    """`part` does nothing for `length_ms`, as a process that is not scheduled."""
    LOSE = "lose"
    """Messages over `link` are lost with probability `chance`."""
    DELAY = "delay"
    """Messages over `link` are late by up to `value` milliseconds with probability `chance`."""
    REPEAT = "repeat"
    """Messages over `link` come twice with probability `chance`."""
    LOSE_ANSWERS = "lose answers"
    """Requests over `link` take effect, and their answers are lost with probability `chance`."""
    BUS_DOWN = "bus down"
    """The bus dies: what is not stored is gone, and nobody reaches it for `length_ms`."""
    BUS_WIPED = "bus wiped"
    """As BUS_DOWN, and what was stored is gone too."""
    STORE_DOWN = "store down"
    """The database dies: commits under way may or may not have taken place."""
    STORE_WIPED = "store wiped"
    """As STORE_DOWN, and its volume is gone: the ledger starts from nothing."""
    EXCHANGE_DOWN = "exchange down"
    """Nobody reaches the exchange; requests under way are cut off."""
    EXCHANGE_REFUSES = "exchange refuses"
    """Requests to place are refused as unavailable: maintenance, cancel-only mode."""
    RATE_LIMIT = "rate limit"
    """Requests are refused with 429 and a time to be silent."""
    STREAM_DROP = "stream drop"
    """The account stream breaks and reconnects after `length_ms`; what happens between is lost."""
    STREAM_SILENT = "stream silent"
    """The account stream says nothing more, and does not break: an expired listen key."""
    STALE_READS = "stale reads"
    """Look-ups show the books as they were up to `value` milliseconds ago."""
    SKEW = "skew"
    """The clock of `part` is off by `value` milliseconds."""
    MANUAL_ORDER = "manual order"
    """Somebody places an order by hand on the same account."""
    OTHER_BOT_ORDER = "other bot's order"
    """A bot that is not ours places an order whose id decodes as one of ours does."""
    FORCED = "forced"
    """The exchange closes `chance` of the position: liquidation, or deleveraging."""
    SELF_TRADE = "self-trade"
    """The exchange expires one of our resting orders: self-trade prevention."""
    CANCELED_BY_EXCHANGE = "canceled by exchange"
    """The exchange cancels all open orders: its dead-man's switch, or a delisting."""
    PRICE_JUMP = "price jump"
    """The market jumps by `value` intervals."""
    GATE_TRIP = "gate trip"
    """A person trips the risk gate, and resets it after `length_ms`."""
    SECOND_EXECUTOR = "second executor"
    """Another execution process of the same account runs beside the first for `length_ms`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong, from `at_ms` on for `length_ms`."""

    kind: FaultKind
    at_ms: int
    """Virtual milliseconds since the start of the run."""
    length_ms: int = 0
    part: Part | None = None
    link: Link | None = None
    point: CrashPoint | None = None
    chance: float = 1.0
    value: int = 0

    def __str__(self) -> str:
        """For a story: what, where, when."""
        where = " ".join(str(x) for x in (self.part, self.link, self.point) if x is not None)
        how = f" {self.chance:.0%}" if self.chance < 1 else ""
        much = f" {self.value}" if self.value else ""
        last = f" for {self.length_ms} ms" if self.length_ms else ""
        return f"{self.kind} {where}{how}{much}{last}".replace("  ", " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run before it happens."""

    seed: int
    direction: Direction = Direction.LONG
    interval: Decimal = Decimal(10)
    quantity: Decimal = Decimal("0.02")
    levels: int = 4
    length_ms: int = 30_000
    """For so long things go wrong; then everything is mended and must come to rest."""
    faults: tuple[Fault, ...] = field(default=())

    def stream(self, name: str) -> random.Random:
        """Randomness of its own for one part of the world."""
        return random.Random(f"{self.seed}/{name}")
