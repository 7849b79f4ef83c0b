"""An observer that takes no notice: what came of a run is read from its books."""

from opensqt.core.actions import ActionBatch
from opensqt.core.events import Gate
from opensqt.core.exchange.orders import Fill
from opensqt.core.exchange.orders import Order as ExchangeOrder
from opensqt.core.grid.book import GridBook, GridChange
from opensqt.core.orders import Order
from simulation.observer import WorldView


class Unobserved:
    """Implements `simulation.observer.Observer`."""

    def began(self, world: WorldView) -> None:
        """The world stands."""

    def decided(self, batch: ActionBatch, *, time_ns: int) -> None:
        """A batch was published."""

    def committed(self, before: GridBook, after: GridBook, change: GridChange) -> None:
        """A change was committed."""

    def sent(self, order: Order, *, time_ns: int) -> None:
        """A request left."""

    def accepted(self, order: ExchangeOrder, *, time_ns: int) -> None:
        """The exchange has accepted an order."""

    def filled(self, order: ExchangeOrder, fill: Fill, *, time_ns: int) -> None:
        """An order has filled."""

    def ended(self, order: ExchangeOrder, *, time_ns: int) -> None:
        """An order has ended."""

    def gate_changed(self, gate: Gate, *, time_ns: int) -> None:
        """The gate has changed."""

    def at_rest(self) -> None:
        """Everything has come to rest."""
