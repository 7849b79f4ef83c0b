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
    PositionUpdate,
    UpdateSource,
)
from opensqt.core.exchange.account import Account
from opensqt.core.exchange.engine import SimulatedExchange
from opensqt.core.exchange.events import AccountChanged, Event, OrderChanged, OrderRefused, Refused
from opensqt.core.exchange.forced import forced_by_id
from opensqt.core.exchange.market import MarketTrade, Quote
from opensqt.core.exchange.orders import Fill, OrderRequest, OrderType, TimeInForce
from opensqt.core.exchange.orders import Order as ExchangeOrder
from opensqt.core.exchange.rules import MarketRules
from opensqt.core.grid.results import PlacementResult
from opensqt.core.instrument import Instrument
from opensqt.core.orders import EndReason, Execution, Order, OrderStatus
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

REASONS: Final = {
    Refused.REDUCE_ONLY: EndReason.REDUCE_ONLY_REJECTED,
    Refused.MARGIN: EndReason.INSUFFICIENT_MARGIN,
    Refused.POST_ONLY: EndReason.POST_ONLY_WOULD_TAKE,
    Refused.TOO_MANY_ORDERS: EndReason.RATE_LIMIT,
    Refused.TICK: EndReason.FILTER,
    Refused.STEP: EndReason.FILTER,
    Refused.NOTIONAL: EndReason.FILTER,
    Refused.QUANTITY_TOO_SMALL: EndReason.FILTER,
    Refused.QUANTITY_TOO_LARGE: EndReason.FILTER,
    Refused.PRICE_TOO_HIGH: EndReason.FILTER,
    Refused.PRICE_TOO_LOW: EndReason.FILTER,
}


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
        held = self._books.position(symbol)
        return _position(symbol, held.quantity, held.entry_price)

    # --- OrderGateway --------------------------------------------------------------------------

    async def place(self, order: Order) -> PlacementResult:
        """Place a limit order."""
        if not self.reachable:
            return _answer(order, OrderStatus.UNKNOWN)
        request = OrderRequest(
            symbol=order.symbol,
            client_order_id=order.client_oid,
            side=order.side,
            type=OrderType.LIMIT,
            quantity=order.quantity,
            price=order.price,
            time_in_force=TimeInForce.GTX if order.post_only else TimeInForce.GTC,
            reduce_only=order.reduce_only,
        )
        events = self.exchange.place(self._account, request, now_ns=self._clock.now_ns())
        first = events[0]
        if isinstance(first, OrderRefused):
            if first.reason is Refused.DUPLICATE_ID:
                return _answer(order, OrderStatus.UNKNOWN, EndReason.DUPLICATE_ID)
            return _answer(order, OrderStatus.REJECTED, REASONS.get(first.reason, EndReason.OTHER))
        self._send(events)
        assert isinstance(first, OrderChanged)
        return PlacementResult(
            client_oid=order.client_oid,
            status=OrderStatus.NEW,
            exchange_order_id=str(first.order.order_id),
        )

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
            told = self._told(event)
            if told is None or not self.passes(told):
                continue
            for subscription in self._accounts:
                if subscription.connected:
                    subscription.inbox.put(told)

    def _told(self, event: Event) -> AccountEvent | None:
        match event:
            case OrderChanged():
                return self._update(event.order, UpdateSource.STREAM, event.fill)
            case AccountChanged(position=held) if held is not None:
                return PositionUpdate(
                    account=self._account,
                    position=_position(event.symbol, held.quantity, held.entry_price),
                    cause=event.reason,
                    wallet_balance=event.wallet,
                    balance_change=event.balance_change,
                    exchange_time_ns=event.time_ns,
                    receive_time_ns=self._clock.now_ns(),
                )
            case _:
                return None

    def _update(
        self, order: ExchangeOrder, source: UpdateSource, fill: Fill | None = None
    ) -> OrderUpdate:
        return OrderUpdate(
            account=self._account,
            symbol=order.symbol,
            client_oid=order.client_order_id,
            exchange_order_id=str(order.order_id),
            side=order.side,
            status=order.status,
            end_reason=_end_reason(order),
            price=order.price,
            quantity=order.quantity,
            filled_quantity=order.executed,
            average_price=order.average_price or None,
            execution=self._execution(fill, client_oid=order.client_order_id) if fill else None,
            source=source,
            exchange_time_ns=order.updated_ns,
            receive_time_ns=self._clock.now_ns(),
            forced=forced_by_id(order.client_order_id),
        )

    def _execution(self, fill: Fill, *, client_oid: str) -> Execution:
        instrument = self.exchange.markets[fill.symbol].rules.instrument
        return Execution(
            execution_id=str(fill.trade_id),
            client_oid=client_oid,
            symbol=fill.symbol,
            side=fill.side,
            price=fill.price,
            quantity=fill.quantity,
            fee=fill.fee,
            fee_asset=instrument.quote,
            maker=fill.maker,
            exchange_time_ns=fill.time_ns,
            exchange_order_id=str(fill.order_id),
        )


def _position(symbol: str, quantity: Decimal, entry_price: Decimal) -> Position:
    return Position(
        symbol=symbol,
        quantity=quantity,
        entry_price=entry_price if quantity else None,
        mark_price=None,
        unrealised_pnl=None,
        liquidation_price=None,
    )


def _end_reason(order: ExchangeOrder) -> EndReason:
    """As far as an exchange's payload tells."""
    if order.status is OrderStatus.CANCELED:
        return EndReason.CANCEL_REQUESTED
    if order.status is not OrderStatus.EXPIRED:
        return EndReason.NONE
    if order.expired_in_match:
        return EndReason.SELF_TRADE_PREVENTION
    return EndReason.REDUCE_ONLY_REJECTED if order.reduce_only else EndReason.OTHER


def _answer(
    order: Order, status: OrderStatus, reason: EndReason = EndReason.NONE
) -> PlacementResult:
    return PlacementResult(client_oid=order.client_oid, status=status, end_reason=reason)
