"""NautilusTrader's Binance adapter trades on the paper exchange, as a live node."""

import sys
import threading
from decimal import Decimal as D

from checks import Checks, books
from nautilus_trader.adapters.binance.common.enums import BinanceAccountType
from nautilus_trader.adapters.binance.config import BinanceDataClientConfig, BinanceExecClientConfig
from nautilus_trader.adapters.binance.factories import (
    BinanceLiveDataClientFactory,
    BinanceLiveExecClientFactory,
)
from nautilus_trader.config import InstrumentProviderConfig, LoggingConfig, TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import QuoteTick, TradeTick
from nautilus_trader.model.enums import OrderSide, TimeInForce
from nautilus_trader.model.events import (
    OrderAccepted,
    OrderCanceled,
    OrderEvent,
    OrderFilled,
    OrderRejected,
)
from nautilus_trader.model.identifiers import InstrumentId, TraderId, Venue
from nautilus_trader.trading.strategy import Strategy

INSTRUMENT = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")
TIMEOUT_S = 60
check = Checks("nautilus_trader")


class Conformance(Strategy):  # type: ignore[misc]
    """Rests far away, cancels; rests near, fills; closes at market; is refused; then is done."""

    def __init__(self, done: threading.Event) -> None:
        super().__init__()
        self.done = done
        self.quotes = self.trades = 0
        self.stage = "quotes"

    def on_start(self) -> None:
        self.instrument = self.cache.instrument(INSTRUMENT)
        check.that("the instrument is loaded", self.instrument is not None)
        check.equal("its tick is read", self.instrument.price_increment.as_decimal(), D("0.1"))
        balance = self.portfolio.account(INSTRUMENT.venue).balance_total(USDT)
        check.equal("the balance is the deposit", balance.as_decimal(), D(10_000))
        self.subscribe_quote_ticks(INSTRUMENT)
        self.subscribe_trade_ticks(INSTRUMENT)

    def on_trade_tick(self, _: TradeTick) -> None:
        self.trades += 1

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.quotes += 1
        if self.stage == "quotes" and self.quotes >= 5 and self.trades >= 5:
            check.that("quotes and trades are streamed", tick.bid_price < tick.ask_price)
            self.stage = "far"
            self.rest(tick.bid_price.as_decimal() - 2000)

    def rest(self, price: D) -> None:
        order = self.order_factory.limit(
            instrument_id=INSTRUMENT,
            order_side=OrderSide.BUY,
            quantity=self.instrument.make_qty(D("0.010")),
            price=self.instrument.make_price(price),
            time_in_force=TimeInForce.GTC,
            post_only=True,
        )
        self.submit_order(order)

    def on_order_event(self, event: OrderEvent) -> None:
        order = self.cache.order(event.client_order_id)
        match self.stage, event:
            case "far", OrderAccepted():
                check.that("a post-only order is accepted", order.is_open)
                self.cancel_order(order)
            case "far", OrderCanceled():
                check.equal("it is canceled", order.filled_qty.as_decimal(), D(0))
                self.stage = "near"
                self.rest(self.cache.quote_tick(INSTRUMENT).bid_price.as_decimal() - 1)
            case "near", OrderFilled() if order.is_closed:
                check.equal("a resting order fills", order.filled_qty.as_decimal(), D("0.010"))
                check.equal("as maker", event.liquidity_side.name, "MAKER")
                check.equal("with the maker's fee", event.commission.currency, USDT)
                position = self.portfolio.net_position(INSTRUMENT)
                check.equal("the position is long", position, D("0.010"))
                self.stage = "close"
                self.submit_order(
                    self.order_factory.market(
                        instrument_id=INSTRUMENT,
                        order_side=OrderSide.SELL,
                        quantity=self.instrument.make_qty(D("0.010")),
                        reduce_only=True,
                    )
                )
            case "close", OrderFilled() if order.is_closed:
                check.equal(
                    "a market order closes it", self.portfolio.net_position(INSTRUMENT), D(0)
                )
                check.equal("as taker", event.liquidity_side.name, "TAKER")
                self.stage = "refused"
                self.rest(self.cache.quote_tick(INSTRUMENT).ask_price.as_decimal() + 200)
            case "refused", OrderRejected():
                check.that(
                    "a crossing post-only order is refused", "-5022" in event.reason, event.reason
                )
                self.stage = "done"
                self.done.set()
            case ("near", OrderRejected()):  # the market moved on meanwhile
                self.rest(self.cache.quote_tick(INSTRUMENT).bid_price.as_decimal() - 1)

    def on_order_denied(self, event: OrderEvent) -> None:
        check.that("no order is denied", False, event)
        self.done.set()


def main(host: str, control_url: str) -> None:
    shared = {
        "api_key": "paper-trade",
        "api_secret": "paper-trade-secret",
        "account_type": BinanceAccountType.USDT_FUTURES,
        "base_url_http": f"http://{host}",
        "base_url_ws": f"ws://{host}",
        "instrument_provider": InstrumentProviderConfig(load_ids=frozenset({INSTRUMENT})),
    }
    node = TradingNode(
        TradingNodeConfig(
            trader_id=TraderId("CONFORM-001"),
            logging=LoggingConfig(log_level="ERROR"),
            data_clients={"BINANCE": BinanceDataClientConfig(**shared)},
            exec_clients={"BINANCE": BinanceExecClientConfig(**shared)},
            timeout_connection=30,
            timeout_disconnection=5,
            timeout_post_stop=1,
        )
    )
    done = threading.Event()
    strategy = Conformance(done)
    node.trader.add_strategy(strategy)
    node.add_data_client_factory("BINANCE", BinanceLiveDataClientFactory)
    node.add_exec_client_factory("BINANCE", BinanceLiveExecClientFactory)
    node.build()

    def stop_when_done() -> None:
        done.wait(TIMEOUT_S)
        node.kernel.loop.call_soon_threadsafe(node.stop)

    threading.Thread(target=stop_when_done, daemon=True).start()
    try:
        node.run()
    finally:
        check.equal("every stage was reached", strategy.stage, "done")
        account = node.portfolio.account(Venue("BINANCE"))
        own = books(control_url)
        if account is not None:
            check.equal(
                "the wallet is that of the exchange's books",
                account.balance_total(USDT).as_decimal(),
                D(own["wallet"]),
            )
        check.equal("nothing is left open", own["counts"]["open_orders"], 0)
        check.equal("no order was doubled", own["counts"]["duplicates"], 0)
        node.dispose()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:3])
    except Exception as error:
        check.that("the script ran to its end", False, error)
    check.finish()
