"""What the referee has seen so far, and how late things may be."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from opensqt.core.actions import ActionBatch, Place
from opensqt.core.events import Gate
from opensqt.core.exchange.account import Account
from opensqt.core.exchange.orders import Order as ExchangeOrder
from opensqt.core.grid.book import GridBook
from opensqt.core.identifiers import GridOrderId, parse_order_id
from opensqt.core.numbers import ZERO
from opensqt.core.orders import Execution, Order, Purpose, Side
from opensqt.core.risk.gate import BEAT_AGE_MAX_NS
from opensqt.testing.virtual_time import START_NS
from services.execution.config import TimingConfig
from simulation.observer import WorldView
from simulation.plan import FaultKind, Plan

_TIMING: Final = TimingConfig()

FORCED_PREFIXES: Final = ("autoclose-", "adl_autoclose", "settlement_autoclose-")
"""How the client ids of orders begin that the exchange itself makes."""

SHARE_PREFIX: Final = "forced-"
"""How the ids of the orders begin under which a ledger books them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How late things may be: what the design promises, and what clocks that are off add to it."""

    placing_ns: int
    """From a decision being admitted to its order being accepted: then the request expires."""
    price_age_ns: int
    """Of the price behind an opening order, when the exchange accepts it."""
    gate_ns: int
    """From the gate's closing to the last opening order that is accepted."""

    @classmethod
    def of(cls, plan: Plan) -> "Bounds":
        """The bounds of a run in which the plan's clocks are off.

        A stamp of one process is read by another, and a deadline of ours by the exchange, so every
        clock that is off counts twice.
        """
        off_ns = 2 * 10**6 * sum(abs(f.value) for f in plan.faults if f.kind is FaultKind.SKEW)
        placing_ns = _TIMING.placing_ms * 10**6 + off_ns
        return cls(
            placing_ns=placing_ns,
            price_age_ns=_TIMING.price_age_ms_max * 10**6 + placing_ns,
            gate_ns=BEAT_AGE_MAX_NS + placing_ns,
        )


@dataclass(slots=True, kw_only=True)
class Ledger:
    """One ledger as its commits tell it; a ledger that was lost keeps its own."""

    book: GridBook
    """Folded from the changes, and from nothing else."""
    orders: dict[str, Order] = field(default_factory=dict)
    """Every order that was ever committed to it, as it stands."""
    held: dict[Decimal, Decimal] = field(default_factory=dict)
    """By slot: what the orders' fills add up to, less what was closed by force."""
    forced: dict[str, Execution] = field(default_factory=dict)
    """What was booked of closings by force: shares of executions, each under an id of its own."""
    halted_ns: int | None = None
    """When the bot was halted, by the ledger's clock; None while it is not."""
    halts: int = 0
    """How often the bot was halted."""
    was_halted: bool = False
    """It was halted at some time; a person may have resumed it since."""


class Facts:
    """Everything that the checks share.

    Args:
        world: What is watched.
    """

    def __init__(self, world: WorldView) -> None:
        self.world = world
        self.bounds = Bounds.of(world.plan)
        self.decided: dict[str, list[ActionBatch]] = {}
        """By batch id: at one revision it may be decided more than once, as prices change."""
        self.intents: dict[str, Order] = {}
        """By client order id, as they were committed, to whatever ledger."""
        self.sent: dict[str, int] = {}
        """By client order id: how often our execution processes have sent it."""
        self.accepted: dict[str, list[int]] = {}
        """By client order id: the exchange's ids of the orders of ours that it accepted."""
        self.ledgers: dict[int, Ledger] = {}
        """By epoch, oldest first."""
        self.gate: Gate | None = None
        self.gate_changed_ns = 0
        self._parsed: dict[str, GridOrderId | None] = {}

    @property
    def account(self) -> Account:
        """The exchange's books of the account."""
        return self.world.exchange.accounts[self.world.account]

    @property
    def ledger(self) -> Ledger | None:
        """The ledger that is in use; None before its first commit."""
        return next(reversed(self.ledgers.values()), None)

    def parsed(self, client_oid: str) -> GridOrderId | None:
        """What a client order id says."""
        if client_oid not in self._parsed:
            self._parsed[client_oid] = parse_order_id(client_oid)
        return self._parsed[client_oid]

    def ours(self, order: ExchangeOrder) -> bool:
        """Whether one of our execution processes has sent the order."""
        return order.client_order_id in self.sent

    def decisions_on(self, order: Order) -> list[ActionBatch]:
        """The decisions that an intent may come from: of its batch, with an action like it."""
        return [
            batch
            for batch in self.decided.get(order.batch_id, ())
            if fields(order) in wanted(batch)
        ]

    def price_age_ns(self, order: Order, time_ns: int) -> int | None:
        """How old the price behind an intent is at a time of the run; None: nobody decided it."""
        prices = [batch.price_time_ns for batch in self.decisions_on(order)]
        return START_NS + time_ns - max(prices) if prices else None

    def open_of_ours(self, slot_price: Decimal) -> list[ExchangeOrder]:
        """The open exchange orders of ours that belong to a slot."""
        return [
            order
            for order in self.account.open_orders.values()
            if self.ours(order)
            and (parsed := self.parsed(order.client_order_id)) is not None
            and parsed.slot_price == slot_price
        ]


Fields = tuple[Decimal, Side, Purpose, Decimal, Decimal]


def fields(order: Order) -> Fields:
    """What a decision says of an order."""
    return order.slot_price, order.side, order.purpose, order.price, order.quantity


def wanted(batch: ActionBatch) -> set[Fields]:
    """The orders that a decision wants."""
    return {
        (a.slot_price, a.side, a.purpose, a.price, a.quantity)
        for a in batch.actions
        if isinstance(a, Place)
    }


def is_share(client_oid: str) -> bool:
    """Whether an order of a ledger stands for a share of what the exchange closed by force."""
    return client_oid.startswith(SHARE_PREFIX)


def is_forced(order: ExchangeOrder) -> bool:
    """Whether the exchange itself made an order."""
    return order.client_order_id.startswith(FORCED_PREFIXES)


def signed(order: ExchangeOrder) -> Decimal:
    """What an exchange order's fills have done to the position."""
    return order.executed * order.side.sign


def cash(order: ExchangeOrder) -> Decimal:
    """What an exchange order's fills have brought, before fees: negative for a buy."""
    return -order.executed_quote * order.side.sign or ZERO
