"""An observer whose objection ends the run, however deep inside the system it is raised."""

from collections.abc import Callable

from opensqt.core.actions import ActionBatch
from opensqt.core.events import Gate
from opensqt.core.exchange.orders import Fill
from opensqt.core.exchange.orders import Order as ExchangeOrder
from opensqt.core.grid.book import GridBook, GridChange
from opensqt.core.numbers import plain
from opensqt.core.orders import Order
from simulation.loop import ProcessDiedError, SimulationLoop
from simulation.observer import Observer, WorldView
from simulation.trace import Trace


class GuardedObserver:
    """Implements `Observer`: notes what happens in the trace, then tells the real one.

    Args:
        loop: Stopped when the observer raises.
        observer: The real one.
        trace: Where everything is noted.
    """

    def __init__(self, loop: SimulationLoop, observer: Observer, trace: Trace) -> None:
        self._loop = loop
        self._observer = observer
        self._trace = trace
        self.failure: Exception | None = None
        """What the observer raised first."""
        self.accepted_orders = 0
        self.fills = 0

    def began(self, world: WorldView) -> None:
        """The world stands."""
        self._tell(lambda: self._observer.began(world))

    def decided(self, batch: ActionBatch, *, time_ns: int) -> None:
        """A strategy has published a batch."""
        self._note("strategy", f"decides {batch.batch_id}: {len(batch.actions)} actions")
        self._tell(lambda: self._observer.decided(batch, time_ns=time_ns))

    def committed(self, before: GridBook, after: GridBook, change: GridChange) -> None:
        """The ledger's store has committed a change."""
        orders = ", ".join(f"{o.client_oid} {o.status}" for o in change.orders)
        what = f"commits revision {change.revision} {change.standing}: {orders}"
        self._note("store", what, change.orders[0].client_oid if len(change.orders) == 1 else "")
        self._tell(lambda: self._observer.committed(before, after, change))

    def sent(self, order: Order, *, time_ns: int) -> None:
        """A request to place `order` left."""
        self._note("execution", f"sends {order.client_oid}", order.client_oid)
        self._tell(lambda: self._observer.sent(order, time_ns=time_ns))

    def accepted(self, order: ExchangeOrder, *, time_ns: int) -> None:
        """The exchange has accepted an order."""
        self.accepted_orders += 1
        price = plain(order.price) if order.price is not None else "the market"
        what = f"accepts {order.side} {plain(order.quantity)} at {price}"
        self._note("exchange", what, order.client_order_id)
        self._tell(lambda: self._observer.accepted(order, time_ns=time_ns))

    def filled(self, order: ExchangeOrder, fill: Fill, *, time_ns: int) -> None:
        """An order has filled."""
        self.fills += 1
        what = f"fills {plain(fill.quantity)} at {plain(fill.price)}: {order.status}"
        self._note("exchange", what, order.client_order_id)
        self._tell(lambda: self._observer.filled(order, fill, time_ns=time_ns))

    def ended(self, order: ExchangeOrder, *, time_ns: int) -> None:
        """An order has ended."""
        self._note("exchange", f"ends it: {order.status}", order.client_order_id)
        self._tell(lambda: self._observer.ended(order, time_ns=time_ns))

    def gate_changed(self, gate: Gate, *, time_ns: int) -> None:
        """The risk gate has changed."""
        self._note("risk", f"gate {gate.revision} {'open' if gate.open else gate.reason}")
        self._tell(lambda: self._observer.gate_changed(gate, time_ns=time_ns))

    def at_rest(self) -> None:
        """Everything has come to rest."""
        self._note("world", "at rest")
        self._tell(self._observer.at_rest)

    def fail(self, failure: Exception) -> None:
        """End the run.

        Raises:
            ProcessDiedError: The step that is running ends here.
        """
        if self.failure is None:
            self.failure = failure
        self._loop.stop()
        raise ProcessDiedError("the run is over")

    def _tell(self, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception as failure:
            self.fail(failure)

    def _note(self, who: str, what: str, about: str = "") -> None:
        self._trace.note(self._loop.now_ns, who, what, about)
