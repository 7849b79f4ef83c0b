"""Binance USD-M futures as the `Exchange` port: its three sides, and one connection pool."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

from opensqt.adapters.ccxt.account_side import AccountSide
from opensqt.adapters.ccxt.client import BinanceUsdmClient
from opensqt.adapters.ccxt.egress import open_session
from opensqt.adapters.ccxt.market_side import MarketSide
from opensqt.adapters.ccxt.order_side import OrderSide
from opensqt.adapters.ccxt.requests import Requests
from opensqt.adapters.ccxt.side import Wiring
from opensqt.ports import Clock, LimitUse
from opensqt.runtime.config_models import ExchangeConfig
from opensqt.runtime.metrics import Metrics


@contextlib.asynccontextmanager
async def open_binance_usdm(
    config: ExchangeConfig, *, account: str, clock: Clock, metrics: Metrics
) -> AsyncIterator["BinanceUsdmExchange"]:
    """The exchange, with its clock compared now and then, closed at the end.

    Args:
        config: Keys, and the endpoint that stands in for the exchange, if any.
        account: Our name of the account that the keys belong to.
        clock: Tells the time.
        metrics: Where requests and events are counted.
    """
    exchange = BinanceUsdmExchange(config, account=account, clock=clock, metrics=metrics)
    try:
        await exchange.start()
        yield exchange
    finally:
        await exchange.close()


class BinanceUsdmExchange(MarketSide, AccountSide, OrderSide):
    """Implements `ports.Exchange`; made in a running event loop, by `open_binance_usdm`."""

    def __init__(
        self, config: ExchangeConfig, *, account: str, clock: Clock, metrics: Metrics
    ) -> None:
        self._session = open_session(config.endpoint)
        self._client = BinanceUsdmClient(
            session=self._session,
            api_key=config.api_key.get_secret_value() if config.api_key else "",
            api_secret=config.api_secret.get_secret_value() if config.api_secret else "",
            timeout_ms=config.request_timeout_ms,
        )
        self._requests = Requests(
            self._client,
            clock=clock,
            recv_window_ms=config.recv_window_ms,
            metrics=metrics,
        )
        super().__init__(
            Wiring(
                account=account,
                client=self._client,
                requests=self._requests,
                clock=clock,
                metrics=metrics,
            )
        )
        self._clock_task: asyncio.Task[None] | None = None

    @property
    def limits_used(self) -> Mapping[str, LimitUse]:
        """What the exchange last said is used of its limits, such as ``ORDER-COUNT-1M``."""
        return self._requests.used

    @property
    def held_until_ns(self) -> int:
        """Until when the exchange has told us to be silent; nothing is sent before."""
        return self._requests.held_until_ns

    async def start(self) -> None:
        """Compare the clocks, and go on doing so."""
        await self._requests.compare_clocks()
        self._clock_task = asyncio.create_task(self._requests.keep_clock())

    async def close(self) -> None:
        """Close its connections."""
        if self._clock_task is not None:
            self._clock_task.cancel()
            await asyncio.gather(self._clock_task, return_exceptions=True)
        await self._client.close()
        await self._session.close()

    async def ping(self) -> None:
        """Answer if the exchange does.

        Raises:
            DependencyError: It does not.
        """
        await self._wiring.ask("ping", self._client.fapiPublicGetPing, {}, signed=False)
