"""`SoloExchange`: the bot's way to the exchange in its own process, where nothing gets lost.

What the exchange tells beside its answers waits in `news` until the bot is told of it.
"""

from collections import deque
from collections.abc import AsyncIterator, Iterable

from opensqt.core.events import OrderUpdate, Position, UpdateSource
from opensqt.core.exchange import told
from opensqt.core.exchange.events import Event, OrderChanged, OrderRefused
from opensqt.core.exchange.orders import Fill
from opensqt.core.exchange.orders import Order as ExchangeOrder
from opensqt.core.grid.results import PlacementResult
from opensqt.core.orders import Execution, Order
from opensqt.ports import AccountEvent, CancelAnswer, CancelOutcome
from opensqt.solo.market import RecordedMarket


class SoloExchange:
    """Implements `ports.OrderSide`.

    Args:
        market: The exchange.
    """

    def __init__(self, market: RecordedMarket) -> None:
        self._market = market
        self.news: deque[OrderUpdate] = deque()
        """What happened to orders, and the bot was not told of yet."""

    def hear(self, events: Iterable[Event]) -> None:
        """Keep what the exchange tells of orders."""
        self.news.extend(
            self._update(event.order, UpdateSource.STREAM, event.fill)
            for event in events
            if isinstance(event, OrderChanged)
        )

    async def place(self, order: Order) -> PlacementResult:
        """Place an order."""
        first, *more = self._market.place(order)
        self.hear(more)
        return answered(order, first)

    async def cancel(self, order: Order) -> CancelAnswer:
        """Cancel an order."""
        first, *more = self._market.cancel(order)
        if not isinstance(first, OrderChanged):
            return CancelAnswer(outcome=CancelOutcome.GONE)
        self.hear(more)
        update = self._update(first.order, UpdateSource.ANSWER)
        return CancelAnswer(outcome=CancelOutcome.CANCELED, update=update)

    async def account_events(self) -> AsyncIterator[AccountEvent]:
        """What waits; this stream is never lost, and ends when nothing waits."""
        while self.news:
            yield self.news.popleft()

    async def find_order(self, symbol: str, client_oid: str) -> OrderUpdate | None:
        """Where an order stands."""
        return self._found(self._market.account.find(symbol, client_order_id=client_oid))

    async def find_order_by_exchange_id(
        self, symbol: str, exchange_order_id: str
    ) -> OrderUpdate | None:
        """Where an order stands, by the exchange's id."""
        return self._found(self._market.account.find(symbol, order_id=int(exchange_order_id)))

    async def open_orders(self, symbol: str) -> tuple[OrderUpdate, ...]:
        """Every open order."""
        orders = self._market.account.open_orders.values()
        return tuple(
            self._update(order, UpdateSource.QUERY) for order in orders if order.symbol == symbol
        )

    async def orders_since(self, symbol: str, since_ns: int) -> tuple[OrderUpdate, ...]:
        """Every order that was made from then on, ended or not."""
        return tuple(
            self._update(order, UpdateSource.QUERY)
            for order in self._market.account.orders.values()
            if order.symbol == symbol and order.created_ns >= since_ns
        )

    async def executions_since(self, symbol: str, since_ns: int) -> tuple[Execution, ...]:
        """Every execution from then on."""
        return tuple(
            told.execution_of(fill, client_oid="", fee_asset=self._market.quote_asset)
            for fill in self._market.account.fills
            if fill.symbol == symbol and fill.time_ns >= since_ns
        )

    async def position(self, symbol: str) -> Position:
        """The account's position."""
        return told.position_of(self._market.account.position(symbol))

    def _found(self, order: ExchangeOrder | None) -> OrderUpdate | None:
        return None if order is None else self._update(order, UpdateSource.QUERY)

    def _update(
        self, order: ExchangeOrder, source: UpdateSource, fill: Fill | None = None
    ) -> OrderUpdate:
        return told.order_update(
            order,
            source=source,
            receive_time_ns=self._market.now_ns(),
            fill=fill,
            fee_asset=self._market.quote_asset,
        )


def answered(order: Order, event: Event) -> PlacementResult:
    """The answer to a request to place an order, by the first thing that came of it."""
    if isinstance(event, OrderRefused):
        return told.refused(order, event)
    assert isinstance(event, OrderChanged)
    return told.accepted(order, event.order)
