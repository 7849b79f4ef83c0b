"""The paper exchange in this process, over TLS, and our adapter pointed at it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from opensqt.adapters.ccxt import BinanceUsdmExchange, open_binance_usdm
from opensqt.core.exchange.market import MarketTrade, Quote
from opensqt.core.exchange.ticks import Happening, MarkPrice, Tick
from opensqt.runtime.certificates import ensure_development_certificates, tls_config_of
from opensqt.runtime.clock import SystemClock
from opensqt.runtime.config_models import ExchangeConfig
from opensqt.runtime.metrics import Metrics
from opensqt.runtime.tasks import BackgroundTasks
from services.paper_exchange.app import PaperExchange
from services.paper_exchange.config import PaperExchangeConfig
from tests.integration.ccxt.answering import HOSTS, Serve, serving
from tests.integration.ccxt.tls import Identity, make_identity

SYMBOL = "BTCUSDT"


class Paper:
    """A running paper exchange whose market the test makes."""

    def __init__(self, exchange: PaperExchange, certificates: Path) -> None:
        self.exchange = exchange
        self.venue = exchange.venue
        self.certificates = certificates

    def config(self, *, trade: bool = True, **options: Any) -> ExchangeConfig:
        kind = "trade" if trade else "read"
        return ExchangeConfig.model_validate(
            {
                "api_key": f"paper-{kind}",
                "api_secret": f"paper-{kind}-secret",
                "endpoint": {
                    "port": self.exchange.ports["tls"],
                    "ca": self.certificates / "ca.pem",
                },
                **options,
            }
        )

    def connect(
        self, *, trade: bool = True, **options: Any
    ) -> AbstractAsyncContextManager[BinanceUsdmExchange]:
        return open_binance_usdm(
            self.config(trade=trade, **options),
            account="main",
            clock=SystemClock(),
            metrics=Metrics(),
        )

    def happen(self, happening: Happening) -> None:
        self.venue.play(Tick(offset_ns=0, symbol=SYMBOL, happening=happening))

    def quote(self, bid: str, ask: str) -> None:
        self.happen(
            Quote(
                bid=Decimal(bid),
                bid_quantity=Decimal(1),
                ask=Decimal(ask),
                ask_quantity=Decimal(1),
                time_ns=self.venue.clock.now_ns(),
            )
        )

    def trade(self, price: str, quantity: str = "1") -> None:
        self.happen(
            MarketTrade(
                price=Decimal(price),
                quantity=Decimal(quantity),
                buyer_is_maker=True,
                time_ns=self.venue.clock.now_ns(),
            )
        )

    def mark(self, price: str) -> None:
        self.happen(MarkPrice(price=Decimal(price), rate=Decimal("0.0001"), time_ns=0))


@pytest.fixture(scope="session")
def exchange_certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    ensure_development_certificates(directory, ("paper_exchange",))
    return directory


@pytest.fixture
def run_paper(
    exchange_certificates: Path,
) -> Callable[..., AbstractAsyncContextManager[Paper]]:
    tls = tls_config_of(exchange_certificates, "paper_exchange")

    @asynccontextmanager
    async def run(**options: Any) -> AsyncIterator[Paper]:
        config = PaperExchangeConfig.model_validate(
            {
                "listen": {"certificate": tls.certificate, "key": tls.key},
                "market": {"start": "when_told", "mark_price_interval_s": 0.1},
                **options,
            }
        )
        crashes: list[BaseException] = []
        exchange = PaperExchange(config, clock=SystemClock())
        async with BackgroundTasks(on_crash=crashes.append) as tasks:
            await exchange.start(tasks)
            paper = Paper(exchange, exchange_certificates)
            paper.quote("60000.0", "60000.1")
            try:
                yield paper
            finally:
                await exchange.stop()
        assert not crashes

    return run


@pytest.fixture
async def paper(
    run_paper: Callable[..., AbstractAsyncContextManager[Paper]],
) -> AsyncIterator[Paper]:
    async with run_paper() as running:
        yield running


@pytest.fixture
async def exchange(paper: Paper) -> AsyncIterator[BinanceUsdmExchange]:
    async with paper.connect() as connected:
        yield connected


@pytest.fixture(scope="session")
def all_exchanges(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return make_identity(tmp_path_factory.mktemp("exchanges"), HOSTS)


@pytest.fixture
def serve(all_exchanges: Identity) -> Serve:
    return serving(all_exchanges)
