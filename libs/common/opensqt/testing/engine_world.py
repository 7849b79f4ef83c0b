"""`EngineWorld`: one engine and everything around it, for the contract suite of engines.

The exchange is the simulated one of the core, on virtual time. What it tells of orders passes
through here, so that a test can hold it back, double it or tell it late.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from opensqt.core.events import OrderUpdate, PriceChange
from opensqt.core.grid.book import Direction, GridBook
from opensqt.core.grid.config import GridConfig
from opensqt.core.grid.results import PlacementResult
from opensqt.core.instrument import Instrument
from opensqt.core.numbers import plain
from opensqt.core.orders import EndReason, Order, OrderStatus, Purpose
from opensqt.engine.bot import Bot
from opensqt.ports import Engine
from opensqt.testing.simulated_venue import SimulatedVenue
from opensqt.testing.virtual_time import VirtualClock

ACCOUNT: Final = "paper"
SYMBOL: Final = "BTCUSDT"
INSTRUMENT: Final = Instrument(
    symbol=SYMBOL,
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.1"),
    step_size=Decimal("0.001"),
    min_quantity=Decimal("0.001"),
    max_quantity=Decimal(100),
    min_notional=Decimal(5),
)
BOT: Final = Bot(
    bot_id="btc",
    account=ACCOUNT,
    symbol=SYMBOL,
    direction=Direction.LONG,
    anchor=None,
    grid=GridConfig(interval=Decimal(10), buy_levels=3, sell_levels=3, quantity=Decimal("0.01")),
    instrument=INSTRUMENT,
)
PLENTY: Final = Decimal(1000)


class TroubledVenue(SimulatedVenue):
    """An exchange whose requests and answers get lost when a test says so."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(INSTRUMENT, clock=clock, account=ACCOUNT)
        self.sent: list[Order] = []
        """Every request to place an order, whether or not it arrived."""
        self.lose_requests = 0
        """So many of the next requests to place do not arrive, and are not answered."""
        self.lose_answers = 0
        """So many of the next requests to place are carried out, and not answered."""
        self.hang = ""
        """Placing never returns: "before" it has arrived, or "after"."""
        self.answer_delay_s = 0.0
        self.short_of_margin = False
        """What opens is refused."""

    async def place(self, order: Order) -> PlacementResult:
        """Place an order, as far as the test lets it."""
        self.sent.append(order)
        unknown = PlacementResult(client_oid=order.client_oid, status=OrderStatus.UNKNOWN)
        if self.hang == "before":
            await asyncio.Event().wait()
        if self.lose_requests:
            self.lose_requests -= 1
            return unknown
        if self.short_of_margin and order.purpose is Purpose.OPEN:
            return PlacementResult(
                client_oid=order.client_oid,
                status=OrderStatus.REJECTED,
                end_reason=EndReason.INSUFFICIENT_MARGIN,
            )
        result = await super().place(order)
        if self.hang == "after":
            await asyncio.Event().wait()
        if self.lose_answers:
            self.lose_answers -= 1
            return unknown
        await asyncio.sleep(self.answer_delay_s)
        return result


class EngineWorld(ABC):
    """What outlives an engine, and what happens to it."""

    def __init__(self, bot: Bot = BOT) -> None:
        self.bot = bot
        self.clock = VirtualClock()
        self.venue = TroubledVenue(self.clock)
        self.price = Decimal(1005)
        self.holding = False
        """What the exchange tells of orders is held back."""
        self.lossy = False
        """What the exchange tells of orders is lost."""
        self.held: list[OrderUpdate] = []
        self.told: list[OrderUpdate] = []
        self.beating = True
        """A price comes twice a second."""
        self.engine: Engine | None = None
        """The engine, while it runs."""
        self._process: set[asyncio.Task[None]] = set()

    # --- what an engine's world has to say for itself --------------------------------------------

    @abstractmethod
    async def make(self) -> None:
        """Make and start the engine, on what is left of the one before."""

    @abstractmethod
    async def end(self) -> None:
        """Stop the engine in order."""

    @abstractmethod
    async def kill(self) -> None:
        """Let the process of the engine die, with all that runs in it."""

    @abstractmethod
    async def take_up(self, update: OrderUpdate) -> None:
        """Tell the engine, or who decides for it, what the exchange told."""

    @abstractmethod
    async def book(self) -> GridBook:
        """The grid as the engine, or who decides for it, knows it."""

    # --- what happens ----------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Within it the engine runs; in the end its books are held against the exchange's."""
        self.quote()
        helpers = [asyncio.create_task(self._hear_account()), asyncio.create_task(self._beat())]
        await asyncio.sleep(0)
        await self.make()
        try:
            yield
        finally:
            await self.kill()
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    def quote(self) -> None:
        """Show the exchange's best prices around the price."""
        self.venue.quote(SYMBOL, self.price, self.price + Decimal("0.1"))

    def move(self, price: int | str) -> None:
        """Let the market trade through to a price, filling what is on the way."""
        self.price = Decimal(price)
        self.venue.trade(SYMBOL, self.price, PLENTY)
        self.quote()

    def trade(self, price: int | str, quantity: str) -> None:
        """Let the market trade once, without moving the quotes."""
        self.venue.trade(SYMBOL, Decimal(price), Decimal(quantity))

    async def hear_price(self, *, last: str | None, bid: str | None, ask: str | None) -> None:
        """Tell the engine a price; it need not be done with it on return."""
        if self.engine is None:
            return
        now_ns = self.clock.now_ns()
        last_price, bid_price, ask_price = (
            None if text is None else Decimal(text) for text in (last, bid, ask)
        )
        event = PriceChange(
            symbol=SYMBOL,
            last=last_price,
            bid=bid_price,
            ask=ask_price,
            exchange_time_ns=now_ns,
            receive_time_ns=now_ns,
            sequence=1,
        )
        self.run_in_process(self.engine.on_price_update(event))

    async def tell(self, update: OrderUpdate) -> None:
        """Tell what the exchange tells of an order; nobody hears it while no engine runs."""
        if self.engine is not None:
            self.run_in_process(self.take_up(update))

    async def release(self) -> None:
        """Tell what was held back."""
        self.holding = False
        held, self.held = self.held, []
        for update in held:
            await self._pass_on(update)

    async def until_resting(self) -> None:
        """Wait until the exchange has an open order."""
        while not self.resting():  # noqa: ASYNC110 - the exchange has no event for it
            await asyncio.sleep(0.01)

    async def until_sent(self) -> None:
        """Wait until the engine has sent an order."""
        while not self.venue.sent:  # noqa: ASYNC110 - neither for this
            await asyncio.sleep(0.01)

    # --- what is seen ----------------------------------------------------------------------------

    def resting(self) -> list[str]:
        """Orders that are open on the exchange, such as ``OPEN BUY 1000 0.01``."""
        sent = {order.client_oid: order for order in self.venue.sent}
        return sorted(
            f"{sent[order.client_order_id].purpose} {order.side} "
            f"{order.price} {plain(order.remaining)}"
            for order in self.venue.exchange.accounts[ACCOUNT].open_orders.values()
        )

    async def differences(self) -> list[str]:
        """Where the books and the exchange's differ, and what was placed more than once."""
        book, account = await self.book(), self.venue.exchange.accounts[ACCOUNT]
        found = []
        held = account.position(SYMBOL).quantity
        if held != book.position:
            found.append(f"the slots hold {book.position}, the exchange {held}")
        ours = {order.client_oid for order in book.live_orders()}
        theirs = {order.client_order_id for order in account.open_orders.values()}
        found += [f"{oid} is live on one side only" for oid in sorted(ours ^ theirs)]
        accepted = Counter(order.client_order_id for order in account.orders.values())
        found += [f"{oid} was placed {n} times" for oid, n in accepted.items() if n > 1]
        sent = Counter(order.client_oid for order in self.venue.sent)
        found += [f"{oid} was sent {n} times" for oid, n in sent.items() if n > 1]
        return found

    # --- inside ----------------------------------------------------------------------------------

    def run_in_process(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something until it is done, or until the process dies."""
        task = asyncio.create_task(work)
        self._process.add(task)
        task.add_done_callback(self._process.discard)

    async def end_process(self) -> None:
        """Let all that runs in the process run no more; what it raised is a failure."""
        self.engine = None
        mine = f"engine-{self.bot.bot_id}"
        tasks = [*self._process, *(t for t in asyncio.all_tasks() if t.get_name() == mine)]
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended

    async def _hear_account(self) -> None:
        async for event in self.venue.account_events():
            if not isinstance(event, OrderUpdate) or self.lossy:
                continue
            if self.holding:
                self.held.append(event)
            else:
                await self._pass_on(event)

    async def _pass_on(self, update: OrderUpdate) -> None:
        self.told.append(update)
        await self.tell(replace(update, receive_time_ns=self.clock.now_ns()))

    async def _beat(self) -> None:
        while True:
            if self.beating:
                price, ask = str(self.price), str(self.price + Decimal("0.1"))
                await self.hear_price(last=price, bid=price, ask=ask)
            await asyncio.sleep(0.5)
