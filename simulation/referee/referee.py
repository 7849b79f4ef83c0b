"""`Referee`: the observer that hands each event to the checks that it concerns."""

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec

from opensqt.core.actions import ActionBatch
from opensqt.core.events import Gate
from opensqt.core.exchange.orders import Fill
from opensqt.core.exchange.orders import Order as ExchangeOrder
from opensqt.core.grid.book import GridBook, GridChange
from opensqt.core.orders import Order
from simulation.observer import ViolationError, WorldView
from simulation.referee.exchange_checks import ExchangeChecks
from simulation.referee.facts import Facts
from simulation.referee.ledger_checks import LedgerChecks
from simulation.referee.rest_checks import RestChecks

P = ParamSpec("P")
Told = Callable[Concatenate["Referee", P], None]


def remembered(told: "Told[P]") -> "Told[P]":
    """Remember the first violation: it is raised inside the system, which may well swallow it."""

    @functools.wraps(told)
    def remembering(self: "Referee", /, *args: P.args, **kwargs: P.kwargs) -> None:
        if self.violation is not None:
            raise self.violation
        try:
            told(self, *args, **kwargs)
        except ViolationError as violation:
            self.violation = violation
            raise

    return remembering


class Referee:
    """Implements `simulation.observer.Observer`; of use for one run."""

    def __init__(self) -> None:
        self.violation: ViolationError | None = None
        """The first one."""

    def began(self, world: WorldView) -> None:
        """The world stands, nothing has run yet."""
        self.facts = Facts(world)
        self._exchange = ExchangeChecks(self.facts)
        self._ledger = LedgerChecks(self.facts)
        self._rest = RestChecks(self.facts)

    @remembered
    def decided(self, batch: ActionBatch, *, time_ns: int) -> None:  # noqa: ARG002 - its order counts
        """A strategy has published a batch."""
        self.facts.decided.setdefault(batch.batch_id, []).append(batch)

    @remembered
    def committed(self, before: GridBook, after: GridBook, change: GridChange) -> None:
        """The ledger's store has committed a change."""
        self._ledger.committed(before, after, change)

    @remembered
    def sent(self, order: Order, *, time_ns: int) -> None:  # noqa: ARG002 - its order counts
        """A request to place `order` left the execution process."""
        self._exchange.sent(order)
        self.facts.sent[order.client_oid] = self.facts.sent.get(order.client_oid, 0) + 1

    @remembered
    def accepted(self, order: ExchangeOrder, *, time_ns: int) -> None:
        """The exchange has accepted an order, ours or not."""
        self._exchange.accepted(order, time_ns=time_ns)

    @remembered
    def filled(self, order: ExchangeOrder, fill: Fill, *, time_ns: int) -> None:  # noqa: ARG002
        """An order has filled, in part or whole."""
        self._exchange.filled(order, fill)

    def ended(self, order: ExchangeOrder, *, time_ns: int) -> None:
        """An order has ended without being filled whole; the ledger will be held against it."""

    @remembered
    def gate_changed(self, gate: Gate, *, time_ns: int) -> None:
        """The risk gate has changed."""
        known = self.facts.gate
        if known is None or known.open is not gate.open:
            self.facts.gate_changed_ns = time_ns
        self.facts.gate = gate

    @remembered
    def at_rest(self) -> None:
        """Everything is mended and has come to rest."""
        self._rest.at_rest()
