"""The exchange's own side: its books, whom it tells, and what an outside hand does to it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from opensqt.core.events import OrderUpdate, Position, PositionUpdate, UpdateSource
from opensqt.core.exchange.account import Account
from opensqt.core.exchange.events import Event, OrderChanged
from opensqt.core.exchange.orders import Change, OrderRequest
from opensqt.core.exchange.orders import Order as ExchangeOrder
from opensqt.core.instrument import Instrument
from opensqt.core.orders import Execution
from opensqt.ports import AccountEvent, Clock
from opensqt.testing.simulated_venue import SimulatedVenue
from simulation.observer import Observer


@dataclass(slots=True)
class _History:
    """How an order stood, and from when on."""

    states: list[tuple[int, ExchangeOrder]] = field(default_factory=list)

    def at(self, time_ns: int) -> ExchangeOrder | None:
        """As it stood; None before it was made."""
        for since_ns, order in reversed(self.states):
            if since_ns <= time_ns:
                return order
        return None


class ExchangeSide(SimulatedVenue):
    """The exchange, where requests arrive; look-ups may be asked to show the past.

    Args:
        instrument: What trades.
        clock: The exchange's clock.
        account: The account.
        observer: Told of everything that happens to an order.
        start_ns: The clock's time at the start of the run.
    """

    def __init__(
        self,
        instrument: Instrument,
        *,
        clock: Clock,
        account: str,
        observer: Observer,
        start_ns: int,
    ) -> None:
        super().__init__(instrument, clock=clock, account=account)
        self.symbol = instrument.symbol
        self.listeners: list[Callable[[AccountEvent], object]] = []
        """The connections of the account's event stream."""
        self._observer = observer
        self._start_ns = start_ns
        self._histories: dict[int, _History] = {}
        self._by_client: dict[str, list[_History]] = {}
        self._positions: list[tuple[int, Position]] = []

    @property
    def books(self) -> Account:
        """The account's books."""
        return self._books

    def place_by(self, request: OrderRequest) -> ExchangeOrder | None:
        """Somebody else places an order on the account; None when it is refused."""
        events = self.exchange.place(self._account, request, now_ns=self._clock.now_ns())
        self._send(events)
        first = events[0]
        return first.order if isinstance(first, OrderChanged) else None

    # --- look-ups, as of a time ------------------------------------------------------------------

    def order_at(self, client_oid: str, time_ns: int) -> OrderUpdate | None:
        """Where the order of a client order id stood: the open one, or the latest."""
        for history in reversed(self._by_client.get(client_oid, ())):
            if (order := history.at(time_ns)) is not None:
                return self._update(order, UpdateSource.QUERY)
        return None

    def order_of_id_at(self, order_id: int, time_ns: int) -> OrderUpdate | None:
        """Where an order stood."""
        history = self._histories.get(order_id)
        order = history.at(time_ns) if history is not None else None
        return None if order is None else self._update(order, UpdateSource.QUERY)

    def open_at(self, time_ns: int) -> tuple[OrderUpdate, ...]:
        """The orders that were open."""
        return tuple(update for update in self.since_at(0, time_ns) if not update.status.terminal)

    def since_at(self, since_ns: int, time_ns: int) -> tuple[OrderUpdate, ...]:
        """The orders that were made from `since_ns` on, as they stood."""
        orders = (history.at(time_ns) for history in self._histories.values())
        return tuple(
            self._update(order, UpdateSource.QUERY)
            for order in orders
            if order is not None and order.created_ns >= since_ns
        )

    def executions_at(self, since_ns: int, time_ns: int) -> tuple[Execution, ...]:
        """The executions from `since_ns` on that had happened."""
        return tuple(
            self._execution(fill, client_oid="")
            for fill in self._books.fills
            if since_ns <= fill.time_ns <= time_ns
        )

    def position_at(self, time_ns: int) -> Position:
        """The account's position as it was."""
        for since_ns, position in reversed(self._positions):
            if since_ns <= time_ns:
                return position
        return Position(
            symbol=self.symbol,
            quantity=Decimal(0),
            entry_price=None,
            mark_price=None,
            unrealised_pnl=None,
            liquidation_price=None,
        )

    # --- what happens ----------------------------------------------------------------------------

    def _send(self, events: tuple[Event, ...]) -> None:
        for event in events:
            if isinstance(event, OrderChanged):
                self._note(event)
            told = self._told(event)
            if isinstance(told, PositionUpdate):
                self._positions.append((told.exchange_time_ns, told.position))
            if told is not None:
                for listener in tuple(self.listeners):
                    listener(told)

    def _note(self, event: OrderChanged) -> None:
        order, time_ns = event.order, event.time_ns - self._start_ns
        history = self._histories.get(order.order_id)
        if history is None:
            history = self._histories[order.order_id] = _History()
            self._by_client.setdefault(order.client_order_id, []).append(history)
        history.states.append((event.time_ns, order))
        if event.change is Change.NEW:
            self._observer.accepted(order, time_ns=time_ns)
        elif event.fill is not None:
            self._observer.filled(order, event.fill, time_ns=time_ns)
        elif not order.open:
            self._observer.ended(order, time_ns=time_ns)
