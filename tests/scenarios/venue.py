"""An exchange that does as a test says: with its orders, their answers, and what it tells of them."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import replace
from decimal import Decimal as D
from typing import Any, Final

from opensqt.core.events import OrderUpdate, UpdateSource
from opensqt.core.exchange.market import MarketTrade
from opensqt.core.exchange.orders import OrderRequest, OrderType
from opensqt.core.grid.results import PlacementResult
from opensqt.core.instrument import Instrument
from opensqt.core.orders import EndReason, Order, OrderStatus, Side
from opensqt.ports import CancelAnswer, CancelOutcome
from opensqt.testing.scripted_venue import Fate
from opensqt.testing.simulated_venue import SimulatedVenue
from opensqt.testing.virtual_time import VirtualClock

ACCOUNT: Final = "main"
BTC: Final = "BTCUSDT"
WIRE_S: Final = 0.002
"""One way between us and the exchange."""

INSTRUMENT: Final = Instrument(
    symbol=BTC,
    base="BTC",
    quote="USDT",
    tick_size=D("0.1"),
    step_size=D("0.001"),
    min_quantity=D("0.005"),
    max_quantity=D(100),
    min_notional=D(5),
)


class Venue(SimulatedVenue):
    """A simulated exchange whose orders and answers go astray as a test says."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(INSTRUMENT, clock=clock, account=ACCOUNT)
        self.fates: deque[Fate] = deque()
        """What becomes of the next requests to place."""
        self.refusals: deque[EndReason] = deque()
        """With what the next requests to place are refused."""
        self.cancel_answers: deque[CancelOutcome] = deque()
        """What is answered to the next cancels, which are not carried out."""
        self.unseen: set[str] = set()
        """Client order ids that look-ups do not find."""
        self.dated_ns = 0
        """How far ahead the exchange dates what happens."""
        self.sent: list[Order] = []
        """Every request to place that left us."""
        self.cancels: list[str] = []
        self.refuses: EndReason | None = None
        """With what every request to place is refused."""
        self.on_request: Callable[[Order], Coroutine[Any, Any, None]] | None = None
        """Called when a request to place has left."""
        self.on_accepted: Callable[[Order], None] | None = None
        """Called when the exchange has accepted an order, before it answers."""

    @property
    def account(self) -> Any:
        return self.exchange.accounts[ACCOUNT]

    async def place(self, order: Order) -> PlacementResult:
        self.sent.append(order)
        if self.on_request is not None:
            await self.on_request(order)
        fate = self.fates.popleft() if self.fates else Fate.ACCEPTED
        unknown = PlacementResult(client_oid=order.client_oid, status=OrderStatus.UNKNOWN)
        await asyncio.sleep(WIRE_S)
        if refusal := self.refusals.popleft() if self.refusals else self.refuses:
            return PlacementResult(
                client_oid=order.client_oid, status=OrderStatus.REJECTED, end_reason=refusal
            )
        if fate is Fate.LOST:
            return unknown
        result = await super().place(order)
        if self.on_accepted is not None:
            self.on_accepted(order)
        await asyncio.sleep(WIRE_S if fate is not Fate.NEVER_ANSWERED else 10**6)
        return result if fate is Fate.ACCEPTED else unknown

    async def cancel(self, order: Order) -> CancelAnswer:
        self.cancels.append(order.client_oid)
        await asyncio.sleep(WIRE_S)
        if self.cancel_answers:
            return CancelAnswer(outcome=self.cancel_answers.popleft(), text="as told")
        answer = await super().cancel(order)
        await asyncio.sleep(WIRE_S)
        return answer

    async def find_order(self, symbol: str, client_oid: str) -> OrderUpdate | None:
        await asyncio.sleep(WIRE_S)
        found = await super().find_order(symbol, client_oid)
        return None if client_oid in self.unseen else found

    def trade(self, symbol: str, price: D, quantity: D) -> None:
        now_ns = self._clock.now_ns() + self.dated_ns
        trade = MarketTrade(price=price, quantity=quantity, buyer_is_maker=True, time_ns=now_ns)
        self._send(self.exchange.on_trade(symbol, trade, now_ns=now_ns))

    def fill(self, price: D | int, quantity: str = "1") -> None:
        """Let the market trade through a price, from the side that fills what rests there."""
        price = D(price)
        resting = [o for o in self.account.open_orders.values() if o.price == price]
        step = resting[0].side.sign if resting else 1
        self.trade(BTC, price - step * D(1), D(quantity))

    def end(self, client_oid: str, status: OrderStatus, reason: EndReason) -> None:
        """End an open order as the exchange itself does."""
        order = self.account.find(BTC, client_order_id=client_oid)
        self.exchange.cancel(ACCOUNT, BTC, client_order_id=client_oid, now_ns=self._clock.now_ns())
        update = self._update(order, UpdateSource.STREAM)
        self.tell(replace(update, status=status, end_reason=reason))

    def tell(self, *updates: OrderUpdate) -> None:
        """Put events on the account stream."""
        for subscription in self._accounts:
            if subscription.connected:
                for update in updates:
                    subscription.inbox.put(update)

    def sell_by_hand(self, quantity: str) -> None:
        """Somebody else sells at the market."""
        request = OrderRequest(
            symbol=BTC,
            client_order_id="web_sell",
            side=Side.SELL,
            type=OrderType.MARKET,
            quantity=D(quantity),
        )
        self._send(self.exchange.place(ACCOUNT, request, now_ns=self._clock.now_ns()))

    def by_hand(self, client_oid: str, price: int, quantity: str = "0.5") -> None:
        """Somebody else orders on the same account."""
        request = OrderRequest(
            symbol=BTC,
            client_order_id=client_oid,
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=D(quantity),
            price=D(price),
        )
        self._send(self.exchange.place(ACCOUNT, request, now_ns=self._clock.now_ns()))

    def told(self, client_oid: str) -> OrderUpdate:
        """An order as the stream tells it now."""
        order = self.account.find(BTC, client_order_id=client_oid)
        return self._update(order, UpdateSource.STREAM)
