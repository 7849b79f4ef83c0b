"""`SimulatedVenue`: the `Exchange` port on the simulated exchange of the core, without a network.

The same books as the paper exchange's, in the same process and under any clock. What goes over the
wires can be made to go wrong: answers and look-ups fail, events are left out, streams break.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from opensqt.adapters.inbox import QueueInbox
from opensqt.core.events import (
    Candle,
    Forced,
    OrderUpdate,
    Position,
    UpdateSource,
)
from opensqt.core.exchange import told
from opensqt.core.exchange.account import Account
from opensqt.core.exchange.engine import SimulatedExchange
from opensqt.core.exchange.events import AccountChanged, Event, OrderChanged, OrderRefused
from opensqt.core.exchange.market import MarketTrade, Quote
from opensqt.core.exchange.orders import Fill
from opensqt.core.exchange.orders import Order as ExchangeOrder
from opensqt.core.exchange.rules import MarketRules
from opensqt.core.grid.results import PlacementResult
from opensqt.core.instrument import Instrument
from opensqt.core.orders import Execution, Order, OrderStatus
from opensqt.ports import (
    AccountEvent,
    CancelAnswer,
    CancelOutcome,
    Clock,
    DependencyError,
    MarketEvent,
    StreamDown,
    StreamUp,
)

DEPOSIT: Final = Decimal(100_000)


@dataclass(slots=True)
class _Subscription:
    inbox: QueueInbox[AccountEvent]
    connected: bool = True


class SimulatedVenue:
    """Implements `ports.Exchange` for one account.

    Args:
        instruments: What trades.
        clock: Tells the time.
        account: The account's name, ours and the exchange's.
    """

    def __init__(self, *instruments: Instrument, clock: Clock, account: str = "main") -> None:
        self.exchange = SimulatedExchange(MarketRules(instrument=item) for item in instruments)
        self.exchange.open_account(account, deposit=DEPOSIT)
        self._instruments = instruments
        self._clock = clock
        self._account = account
        self._accounts: list[_Subscription] = []
        self._markets: dict[str, list[QueueInbox[MarketEvent]]] = {}
        self._epoch = 0
        self.held_until_ns = 0
        self.reachable = True
        """Set to False, requests fail and streams cannot be opened."""
        self.passes: Callable[[AccountEvent], bool] = lambda _: True
        """Which events the account stream does not leave out."""
        self.past: dict[str, list[Candle]] = {}
        """What `candles` answers."""
        self.requests: list[str] = []
        """The look-ups that were made."""

    # --- the market, as a test makes it --------------------------------------------------------

    def quote(self, symbol: str, bid: Decimal, ask: Decimal, size: Decimal = Decimal(1)) -> None:
        """Show the best prices."""
        now_ns = self._clock.now_ns()
        quote = Quote(bid=bid, bid_quantity=size, ask=ask, ask_quantity=size, time_ns=now_ns)
        self.exchange.on_quote(symbol, quote)

    def trade(self, symbol: str, price: Decimal, quantity: Decimal) -> None:
        """Let the market trade, and fill what that fills."""
        now_ns = self._clock.now_ns()
        trade = MarketTrade(price=price, quantity=quantity, buyer_is_maker=True, time_ns=now_ns)
        self._send(self.exchange.on_trade(symbol, trade, now_ns=now_ns))

    def force_close(self, symbol: str, kind: Forced, quantity: Decimal | None = None) -> None:
        """Let the exchange close the position, or a part of it."""
        now_ns = self._clock.now_ns()
        self._send(
            self.exchange.force_close(
                self._account, symbol, kind=kind, quantity=quantity, now_ns=now_ns
            )
        )

    def expire_in_match(self, client_oid: str, symbol: str) -> None:
        """Let self-trade prevention take back an open order."""
        order = self._books.find(symbol, client_order_id=client_oid)
        assert order is not None, f"{client_oid}: no such order"
        now_ns = self._clock.now_ns()
        self._send(
            self.exchange.expire_in_match(
                self._account, symbol, order_id=order.order_id, now_ns=now_ns
            )
        )

    def cancel_all(self, symbol: str) -> None:
        """Let the exchange cancel every open order: its dead-man's switch, or a delisting."""
        now_ns = self._clock.now_ns()
        self._send(self.exchange.cancel_all(self._account, symbol, now_ns=now_ns))

    def tell_market(self, symbol: str, event: MarketEvent) -> None:
        """Put an event on the market's stream."""
        for inbox in self._markets.get(symbol, ()):
            inbox.put(event)

    def disconnect(self, reason: str = "told to disconnect") -> None:
        """Break the account stream; what happens until `reconnect` is not on it."""
        for subscription in self._accounts:
            if subscription.connected:
                subscription.connected = False
                subscription.inbox.put(StreamDown(reason=reason))

    def reconnect(self) -> None:
        """Connect the account stream again."""
        for subscription in self._accounts:
            if not subscription.connected:
                subscription.connected = True
                subscription.inbox.put(self._up())

    # --- MarketFeed ----------------------------------------------------------------------------

    async def instruments(self) -> tuple[Instrument, ...]:
        """What trades."""
        self._reach("instruments")
        return tuple(sorted(self._instruments, key=lambda item: item.symbol))

    async def candles(self, symbol: str, *, limit: int) -> tuple[Candle, ...]:
        """What the test put into `past`."""
        self._reach("candles")
        return tuple(self.past.get(symbol, ())[-limit:])

    async def market_events(self, symbol: str) -> AsyncIterator[MarketEvent]:
        """What the test tells."""
        inbox: QueueInbox[MarketEvent] = QueueInbox()
        self._markets.setdefault(symbol, []).append(inbox)
        try:
            async for event in inbox:
                yield event
        finally:
            self._markets[symbol].remove(inbox)

    # --- AccountFeed ---------------------------------------------------------------------------

    async def account_events(self) -> AsyncIterator[AccountEvent]:
        """The account's events, with the stream's ups and downs."""
        subscription = _Subscription(QueueInbox())
        subscription.inbox.put(self._up())
        self._accounts.append(subscription)
        try:
            async for event in subscription.inbox:
                yield event
        finally:
            self._accounts.remove(subscription)

    async def find_order(self, symbol: str, client_oid: str) -> OrderUpdate | None:
        """Where an order stands."""
        self._reach(f"find {client_oid}")
        order = self._books.find(symbol, client_order_id=client_oid)
        return None if order is None else self._update(order, UpdateSource.QUERY)

    async def find_order_by_exchange_id(
        self, symbol: str, exchange_order_id: str
    ) -> OrderUpdate | None:
        """Where an order stands, by the exchange's id."""
        self._reach(f"find by id {exchange_order_id}")
        order = self._books.find(symbol, order_id=int(exchange_order_id))
        return None if order is None else self._update(order, UpdateSource.QUERY)

    async def open_orders(self, symbol: str) -> tuple[OrderUpdate, ...]:
        """Every open order."""
        self._reach("open orders")
        return tuple(
            self._update(order, UpdateSource.QUERY)
            for order in self._books.open_orders.values()
            if order.symbol == symbol
        )

    async def orders_since(self, symbol: str, since_ns: int) -> tuple[OrderUpdate, ...]:
        """Every order that was made from then on, ended or not."""
        self._reach("orders")
        return tuple(
            self._update(order, UpdateSource.QUERY)
            for order in self._books.orders.values()
            if order.symbol == symbol and order.created_ns >= since_ns
        )

    async def executions_since(self, symbol: str, since_ns: int) -> tuple[Execution, ...]:
        """Every execution from then on."""
        self._reach("executions")
        return tuple(
            self._execution(fill, client_oid="")
            for fill in self._books.fills
            if fill.symbol == symbol and fill.time_ns >= since_ns
        )

    async def position(self, symbol: str) -> Position:
        """The account's position."""
        self._reach("position")
        return told.position_of(self._books.position(symbol))

    # --- OrderGateway --------------------------------------------------------------------------

    async def place(self, order: Order) -> PlacementResult:
        """Place a limit order."""
        if not self.reachable:
            return PlacementResult(client_oid=order.client_oid, status=OrderStatus.UNKNOWN)
        request = told.request_of(order)
        events = self.exchange.place(self._account, request, now_ns=self._clock.now_ns())
        first = events[0]
        if isinstance(first, OrderRefused):
            return told.refused(order, first)
        self._send(events)
        assert isinstance(first, OrderChanged)
        return told.accepted(order, first.order)

    async def cancel(self, order: Order) -> CancelAnswer:
        """Cancel an order."""
        if not self.reachable:
            return CancelAnswer(outcome=CancelOutcome.UNKNOWN)
        events = self.exchange.cancel(
            self._account,
            order.symbol,
            client_order_id=order.client_oid,
            now_ns=self._clock.now_ns(),
        )
        first = events[0]
        if not isinstance(first, OrderChanged):
            return CancelAnswer(outcome=CancelOutcome.GONE)
        self._send(events)
        return CancelAnswer(
            outcome=CancelOutcome.CANCELED,
            update=self._update(first.order, UpdateSource.ANSWER),
        )

    async def close(self) -> None:
        """Nothing is open."""

    # --- inside --------------------------------------------------------------------------------

    @property
    def _books(self) -> Account:
        return self.exchange.accounts[self._account]

    def _reach(self, what: str) -> None:
        self.requests.append(what)
        if not self.reachable:
            raise DependencyError("the exchange was told not to answer")

    def _up(self) -> StreamUp:
        self._epoch += 1
        return StreamUp(epoch=self._epoch)

    def _send(self, events: tuple[Event, ...]) -> None:
        for event in events:
            heard = self._told(event)
            if heard is None or not self.passes(heard):
                continue
            for subscription in self._accounts:
                if subscription.connected:
                    subscription.inbox.put(heard)

    def _told(self, event: Event) -> AccountEvent | None:
        match event:
            case OrderChanged():
                return self._update(event.order, UpdateSource.STREAM, event.fill)
            case AccountChanged():
                return told.position_update(event, receive_time_ns=self._clock.now_ns())
            case _:
                return None

    def _update(
        self, order: ExchangeOrder, source: UpdateSource, fill: Fill | None = None
    ) -> OrderUpdate:
        return told.order_update(
            order,
            source=source,
            receive_time_ns=self._clock.now_ns(),
            fill=fill,
            fee_asset=self._quote_of(order.symbol),
        )

    def _execution(self, fill: Fill, *, client_oid: str) -> Execution:
        return told.execution_of(fill, client_oid=client_oid, fee_asset=self._quote_of(fill.symbol))

    def _quote_of(self, symbol: str) -> str:
        return self.exchange.markets[symbol].rules.instrument.quote
