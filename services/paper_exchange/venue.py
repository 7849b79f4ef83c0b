"""The exchange as its clients meet it: the core's books, a playing market, and events going out.

All clients' commands and all of the market pass through here, one after the other, each complete
before the next: the core's books, the tape and the event streams cannot disagree.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from random import Random
from typing import Final

from opensqt.core.exchange.account import Account
from opensqt.core.exchange.engine import SimulatedExchange
from opensqt.core.exchange.events import Event, OrderChanged, OrderRefused
from opensqt.core.exchange.market import MarketTrade, Quote
from opensqt.core.exchange.orders import Order, OrderRequest
from opensqt.core.exchange.ticks import MarkPrice, Tick
from opensqt.ports import Clock
from services.paper_exchange import errors
from services.paper_exchange.config import PaperExchangeConfig, SymbolConfig
from services.paper_exchange.faults import FaultInjector
from services.paper_exchange.streams.channel import Channel
from services.paper_exchange.streams.hub import Hub
from services.paper_exchange.streams.market import TICK_MS, MarketStreams
from services.paper_exchange.streams.user import ListenKeys, UserStreams
from services.paper_exchange.tape import Tape

_MS: Final = 1_000_000
_S: Final = 1_000_000_000
_FIRST_ORDER_ID: Final = 8_000_000_001
_FIRST_TRADE_ID: Final = 1_000_001


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """A funding settlement that was made."""

    symbol: str
    rate: Decimal
    mark_price: Decimal
    time_ms: int


class Venue:
    """The simulated exchange with everything that surrounds its books but the network.

    Args:
        config: What is listed, who has accounts, how funding goes.
        clock: The wall clock that clients see.
        rng: Seeded; makes listen keys and draws the faults.
    """

    def __init__(self, config: PaperExchangeConfig, *, clock: Clock, rng: Random) -> None:
        self.config = config
        self.clock = clock
        self.symbols: Mapping[str, SymbolConfig] = {item.symbol: item for item in config.symbols}
        self.exchange = SimulatedExchange(
            [item.rules(item.symbol) for item in config.symbols],
            first_order_id=_FIRST_ORDER_ID,
            first_trade_id=_FIRST_TRADE_ID,
        )
        self.opened_ns = clock.now_ns()
        for account in config.accounts:
            self.exchange.open_account(account.name, deposit=account.deposit)
        self.tapes = {
            symbol: Tape(
                market.rules.instrument,
                assumed_depth=market.rules.assumed_depth,
                started_ms=self.opened_ns // _MS,
            )
            for symbol, market in self.exchange.markets.items()
        }
        self.injector = FaultInjector(config.faults, rng)
        self.hub = Hub()
        market_channel = Channel(self.hub, self.injector, lambda: self.injector.faults.market)
        user_channel = Channel(self.hub, self.injector, lambda: self.injector.faults.user)
        self.market_streams = MarketStreams(self.hub, market_channel.publish, self.tapes)
        self.listen_keys = ListenKeys(clock, life_s=config.limits.listen_key_s, rng=rng)
        self.user_streams = UserStreams(
            self.listen_keys,
            user_channel.publish,
            mark=lambda symbol: self.exchange.markets[symbol].mark or Decimal(0),
            quotes={symbol: item.quote for symbol, item in self.symbols.items()},
            wordings={symbol: tape.wording for symbol, tape in self.tapes.items()},
        )
        self.rates = dict.fromkeys(self.symbols, config.funding.rate)
        self.settlements: list[Settlement] = []
        self.next_funding_ns = self._next_funding(self.opened_ns)
        self._ids = count(1)
        self._countdowns: dict[tuple[str, str], int] = {}

    # --- the market ------------------------------------------------------------------------------

    def prime(self, tick: Tick) -> None:
        """Show the price that the market will open with: an exchange is never without one."""
        happening, symbol = tick.happening, tick.symbol
        now_ns = self.clock.now_ns()
        if isinstance(happening, Quote):
            self.exchange.on_quote(symbol, happening)
        elif isinstance(happening, MarketTrade):
            self.exchange.on_trade(symbol, happening, now_ns=now_ns)
        quote = self.exchange.markets[symbol].quote
        if quote is not None:
            self.tapes[symbol].show_quote(quote, time_ms=now_ns // _MS)

    def play(self, tick: Tick) -> None:
        """Let something happen in the market, now."""
        now_ns = self.clock.now_ns()
        now_ms = now_ns // _MS
        happening, symbol = tick.happening, tick.symbol
        tape = self.tapes[symbol]
        if isinstance(happening, MarketTrade):
            events = self.exchange.on_trade(symbol, happening, now_ns=now_ns)
            quote = self.exchange.markets[symbol].quote
            if quote is not None and quote is not tape.quote:
                self._show_quote(symbol, quote, now_ms=now_ms)
            taped = tape.show_trade(happening, time_ms=now_ms)
            self.market_streams.trade(symbol, taped, now_ms=now_ms)
            self.user_streams.send(events)
        elif isinstance(happening, Quote):
            self.exchange.on_quote(symbol, happening)
            self._show_quote(symbol, happening, now_ms=now_ms)
        else:
            self._mark_price(symbol, happening, now_ns=now_ns)

    def _show_quote(self, symbol: str, quote: Quote, *, now_ms: int) -> None:
        self.tapes[symbol].show_quote(quote, time_ms=now_ms)
        self.market_streams.quote(symbol, quote, now_ms=now_ms)

    def _mark_price(self, symbol: str, mark: MarkPrice, *, now_ns: int) -> None:
        if mark.rate is not None:
            self.rates[symbol] = mark.rate
        self.user_streams.send(self.exchange.on_mark_price(symbol, mark.price, now_ns=now_ns))

    # --- commands --------------------------------------------------------------------------------

    def fresh_client_order_id(self) -> str:
        """An id for an order that came without one."""
        return f"paper-{next(self._ids):016d}"

    def place(self, account: str, request: OrderRequest) -> Order:
        """Place an order; the order as it stands after all that happened at once.

        Raises:
            ApiError: The exchange refuses it.
        """
        events = self.exchange.place(account, request, now_ns=self.clock.now_ns())
        return self._after(account, events)

    def cancel(
        self, account: str, symbol: str, *, order_id: int | None, client_order_id: str | None
    ) -> Order:
        """Cancel an order.

        Raises:
            ApiError: It is unknown or no longer open.
        """
        events = self.exchange.cancel(
            account,
            symbol,
            order_id=order_id,
            client_order_id=client_order_id,
            now_ns=self.clock.now_ns(),
        )
        return self._after(account, events)

    def cancel_all(self, account: str, symbol: str) -> None:
        """Cancel all open orders of a symbol."""
        self.user_streams.send(
            self.exchange.cancel_all(account, symbol, now_ns=self.clock.now_ns())
        )

    def amend(
        self,
        account: str,
        symbol: str,
        *,
        order_id: int | None,
        client_order_id: str | None,
        price: Decimal,
        quantity: Decimal,
    ) -> Order:
        """Change an order's price and quantity.

        Raises:
            ApiError: The exchange refuses it.
        """
        events = self.exchange.amend(
            account,
            symbol,
            order_id=order_id,
            client_order_id=client_order_id,
            price=price,
            quantity=quantity,
            now_ns=self.clock.now_ns(),
        )
        return self._after(account, events)

    def arm_countdown(self, account: str, symbol: str, after_ms: int) -> None:
        """Cancel all of a symbol's orders after a time unless armed again; 0 disarms."""
        self._countdowns.pop((account, symbol), None)
        if after_ms > 0:
            self._countdowns[account, symbol] = self.clock.now_ns() + after_ms * _MS

    def set_leverage(self, account: str, symbol: str, leverage: int) -> None:
        """Set the leverage of a symbol.

        Raises:
            ApiError: The exchange refuses it.
        """
        refusal = self.exchange.set_leverage(account, symbol, leverage)
        if refusal is not None:
            raise errors.of_refusal(refusal)
        now_ms = self.clock.now_ns() // _MS
        self.user_streams.send_leverage(account, symbol, leverage, now_ms=now_ms)

    def account(self, name: str) -> Account:
        """An account's books."""
        return self.exchange.accounts[name]

    def _after(self, account: str, events: tuple[Event, ...]) -> Order:
        first = events[0]
        if isinstance(first, OrderRefused):
            raise errors.of_refusal(first)
        assert isinstance(first, OrderChanged)
        self.user_streams.send(events)
        return self.account(account).orders[first.order.order_id]

    # --- what time brings ------------------------------------------------------------------------

    async def keep_time(self) -> None:
        """Mark prices, tickers, funding, expiries and disconnects, for ever."""
        mark_ns = round(self.config.market.mark_price_interval_s * _S)
        next_mark_ns = next_cut_ns = self.clock.now_ns()
        while True:
            now_ns = self.clock.now_ns()
            if now_ns >= next_mark_ns:
                next_mark_ns = now_ns + mark_ns
                self._beat_marks(now_ns)
                self.user_streams.send(self.exchange.expire(now_ns=now_ns))
                self.user_streams.send_expired(self.listen_keys.expire(), now_ms=now_ns // _MS)
            if now_ns >= self.next_funding_ns:
                self._settle(now_ns)
            for (account, symbol), when_ns in tuple(self._countdowns.items()):
                if when_ns <= now_ns:
                    del self._countdowns[account, symbol]
                    self.cancel_all(account, symbol)
            cut_s = self.injector.faults.disconnect_every_s
            if cut_s is None:
                next_cut_ns = 0
            elif not next_cut_ns:
                next_cut_ns = now_ns + round(cut_s * _S)
            elif now_ns >= next_cut_ns:
                next_cut_ns = now_ns + round(cut_s * _S)
                self.hub.cut_all()
            self.market_streams.beat(now_ms=now_ns // _MS)
            await asyncio.sleep(TICK_MS / 1000)

    def _beat_marks(self, now_ns: int) -> None:
        for symbol, market in self.exchange.markets.items():
            if market.mark is None:
                continue
            now_ms = now_ns // _MS
            self.user_streams.send(self.exchange.on_mark_price(symbol, None, now_ns=now_ns))
            self.market_streams.mark_price(
                symbol,
                market.mark,
                rate=self.rates[symbol],
                next_ms=self.next_funding_ns // _MS,
                now_ms=now_ms,
            )
            self.market_streams.tickers(symbol, now_ms=now_ms)

    def _settle(self, now_ns: int) -> None:
        self.next_funding_ns = self._next_funding(now_ns)
        for symbol, rate in self.rates.items():
            mark = self.exchange.markets[symbol].mark
            if mark is None:
                continue
            self.settlements.append(
                Settlement(symbol=symbol, rate=rate, mark_price=mark, time_ms=now_ns // _MS)
            )
            self.user_streams.send(self.exchange.settle_funding(symbol, rate, now_ns=now_ns))

    def _next_funding(self, now_ns: int) -> int:
        funding = self.config.funding
        if funding.interval_s is not None:
            return now_ns + round(funding.interval_s * _S)
        interval_ns = funding.interval_hours * 3600 * _S
        return (now_ns // interval_ns + 1) * interval_ns
