"""A small exchange with one market, BTCUSDT in whole dollars, and short words for its commands."""

from collections.abc import Sequence
from decimal import Decimal as D

import pytest

from opensqt.core.exchange.account import Account
from opensqt.core.exchange.engine import SimulatedExchange
from opensqt.core.exchange.events import Event, OrderChanged, OrderRefused
from opensqt.core.exchange.market import MarketTrade, Quote
from opensqt.core.exchange.orders import Fill, Order, OrderRequest, OrderType, TimeInForce
from opensqt.core.exchange.rules import Fees, MarketRules
from opensqt.core.instrument import Instrument
from opensqt.core.orders import Side

SYMBOL = "BTCUSDT"
RULES = MarketRules(
    instrument=Instrument(
        symbol=SYMBOL,
        base="BTC",
        quote="USDT",
        tick_size=D(1),
        step_size=D("0.001"),
        min_quantity=D("0.001"),
        max_quantity=D(1000),
        min_notional=D(5),
    ),
    fees=Fees(maker=D("0.0002"), taker=D("0.0005")),
    assumed_depth=D(1),
    max_open_orders=20,
)


class Desk:
    """An exchange, one account, and a time that moves with every command."""

    def __init__(self, deposit: D = D(100_000), rules: MarketRules = RULES) -> None:
        self.exchange = SimulatedExchange([rules])
        self.exchange.open_account("a", deposit=deposit)
        self.now_ns = 0
        self.numbers = 0

    @property
    def account(self) -> Account:
        return self.exchange.accounts["a"]

    @property
    def position(self) -> D:
        return self.account.position(SYMBOL).quantity

    def tick(self) -> int:
        self.now_ns += 1_000_000
        return self.now_ns

    def quote(
        self, bid: object, ask: object, bid_quantity: object = 1, ask_quantity: object = 1
    ) -> None:
        quote = Quote(
            bid=D(str(bid)),
            bid_quantity=D(str(bid_quantity)),
            ask=D(str(ask)),
            ask_quantity=D(str(ask_quantity)),
            time_ns=self.tick(),
        )
        self.exchange.on_quote(SYMBOL, quote)

    def trade(self, price: object, quantity: object, by: str) -> tuple[Event, ...]:
        trade = MarketTrade(
            price=D(str(price)),
            quantity=D(str(quantity)),
            buyer_is_maker=by == "seller",
            time_ns=self.tick(),
        )
        return self.exchange.on_trade(SYMBOL, trade, now_ns=self.now_ns)

    def place(
        self,
        side: str,
        quantity: object,
        price: object = None,
        *,
        client_id: str | None = None,
        tif: str = "GTC",
        reduce_only: bool = False,
        good_till_ns: int | None = None,
        symbol: str = SYMBOL,
    ) -> tuple[Event, ...]:
        self.numbers += 1
        request = OrderRequest(
            symbol=symbol,
            client_order_id=client_id or f"order{self.numbers}",
            side=Side(side),
            type=OrderType.MARKET if price is None else OrderType.LIMIT,
            quantity=D(str(quantity)),
            price=None if price is None else D(str(price)),
            time_in_force=TimeInForce(tif),
            reduce_only=reduce_only,
            good_till_ns=good_till_ns,
        )
        return self.exchange.place("a", request, now_ns=self.tick())

    def cancel(self, client_id: str) -> tuple[Event, ...]:
        return self.exchange.cancel("a", SYMBOL, client_order_id=client_id, now_ns=self.tick())

    def amend(self, client_id: str, price: object, quantity: object) -> tuple[Event, ...]:
        return self.exchange.amend(
            "a",
            SYMBOL,
            client_order_id=client_id,
            price=D(str(price)),
            quantity=D(str(quantity)),
            now_ns=self.tick(),
        )

    def order(self, client_id: str) -> Order:
        found = self.account.find(SYMBOL, client_order_id=client_id)
        assert found is not None
        return found


def fills_of(events: Sequence[Event]) -> list[Fill]:
    return [event.fill for event in events if isinstance(event, OrderChanged) and event.fill]


def refused(events: Sequence[Event]) -> str:
    (event,) = events
    assert isinstance(event, OrderRefused), event
    return event.reason.value


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.quote(100, 101)
    return desk
