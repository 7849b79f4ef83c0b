"""The composition root: the venue, its servers and its market put together."""

import itertools
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import structlog
from aiohttp import web

from opensqt.adapters.replay.recording import Recording
from opensqt.adapters.replay.source import DamagedData, MarketSource
from opensqt.adapters.replay.tables import CandlesTable, TradesTable, read_candles
from opensqt.ports import Clock
from opensqt.runtime.config import refuse
from opensqt.runtime.service import ServiceContext
from opensqt.runtime.tasks import BackgroundTasks
from services.paper_exchange.config import ListenConfig, PaperExchangeConfig
from services.paper_exchange.control import ControlServer
from services.paper_exchange.market.generator import Generator
from services.paper_exchange.market.history import seed_history
from services.paper_exchange.market.player import Player
from services.paper_exchange.rest.auth import Authenticator
from services.paper_exchange.rest.limits import RateLimits
from services.paper_exchange.rest.server import RestServer
from services.paper_exchange.streams.api import PATH as API_PATH
from services.paper_exchange.streams.api import ApiServer
from services.paper_exchange.streams.server import StreamServer, is_stream_path
from services.paper_exchange.venue import Venue
from services.paper_exchange.wording import ms

CONTROL_HOST = "127.0.0.1"
DRAIN_S = 1.0
_log = structlog.get_logger(__name__)


class PaperExchange:
    """The whole process, startable within a test as within `python -m`.

    Args:
        config: Checked configuration.
        clock: The wall clock that clients see.
    """

    def __init__(self, config: PaperExchangeConfig, *, clock: Clock) -> None:
        self.config = config
        self._clock = clock
        self.venue = Venue(config, clock=clock, rng=Random(config.fault_seed))  # noqa: S311
        self.source = make_source(config, self.venue)
        self.player = Player(self.source, clock, speed=config.market.speed, play=self.venue.play)
        self.ports: dict[str, int] = {}
        authenticator = Authenticator(config.accounts, clock)
        limits = RateLimits(config.limits, clock)
        self._rest = RestServer(self.venue, authenticator, limits)
        self._api = ApiServer(self.venue, authenticator, limits)
        self._streams = StreamServer(self.venue, on_market_subscriber=self._on_market_subscriber)
        self._runners: list[web.AppRunner] = []

    def _look_back(self) -> None:
        history = self.config.market.history
        if history is None:
            return
        market, tape = self.venue.exchange.markets[history.symbol], self.venue.tapes[history.symbol]
        seed_history(
            tape,
            read_candles(history.path),
            now_ms=ms(self._clock.now_ns()),
            end_at=market.mark if history.rescale else None,
        )

    def check_source(self) -> int:
        """Read all market data once; how many ticks it has. A generator is not read.

        Raises:
            DamagedData: With the line and the reason.
        """
        history = self.config.market.history
        if history is not None:
            for _ in read_candles(history.path):
                pass
        if self.config.market.source.kind == "generator":
            return 0
        return sum(1 for _ in self.source.ticks())

    async def start(self, tasks: BackgroundTasks) -> None:
        """Listen and let the market begin, or wait as configured.

        Args:
            tasks: Runs the market and the clockwork, until it is left.
        """
        for first in itertools.islice(self.source.ticks(), 1):
            self.venue.prime(first)
        self._look_back()
        listen = self.config.listen
        if listen.certificate is not None:
            context = _tls_context(listen)
            self.ports["tls"] = await self._listen(listen.host, listen.tls_port, context)
        if listen.plain_port is not None or listen.certificate is None:
            self.ports["plain"] = await self._listen(listen.host, listen.plain_port or 0, None)
        control = ControlServer(self.venue, self.player, self.ports)
        runner = web.AppRunner(control.application(), access_log=None)
        self.ports["control"] = await self._serve(runner, CONTROL_HOST, listen.control_port, None)
        tasks.start("keep time", self.venue.keep_time())
        tasks.start("play the market", self._play(), may_end=True)
        if self.config.market.start == "at_once":
            self.player.start()
        _log.info("paper_exchange_listens", market=self.source.description, **self.ports)

    async def stop(self) -> None:
        """Close every connection and stop listening."""
        await self.venue.hub.close()
        for runner in self._runners:
            await runner.cleanup()

    async def _play(self) -> None:
        try:
            await self.player.run()
        except DamagedData as damaged:
            _log.error("market_data_damaged", reason=str(damaged))
        else:
            _log.info("market_ended", state=self.player.progress.state)

    def _on_market_subscriber(self) -> None:
        if self.config.market.start == "on_subscriber":
            self.player.start()

    async def _listen(self, host: str, port: int, context: ssl.SSLContext | None) -> int:
        app = web.Application(client_max_size=1 << 20)
        app.router.add_route("*", "/{path:.*}", self._route)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=DRAIN_S)
        return await self._serve(runner, host, port, context)

    async def _serve(
        self, runner: web.AppRunner, host: str, port: int, context: ssl.SSLContext | None
    ) -> int:
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, host, port, ssl_context=context)
        try:
            await site.start()
        except OSError as error:
            raise refuse("listen", f"{host}:{port}", f"a free address ({error.strerror})") from None
        return int(runner.addresses[0][1])

    async def _route(self, request: web.Request) -> web.StreamResponse:
        if request.path == API_PATH:
            return await self._api.handle(request)
        if is_stream_path(request.path):
            return await self._streams.handle(request)
        return await self._rest.handle(request)


@asynccontextmanager
async def serve(config: PaperExchangeConfig, context: ServiceContext) -> AsyncIterator[None]:
    """Serve until the context is left.

    Raises:
        ConfigError: The market data is damaged, or the certificate or address cannot be used.
    """
    exchange = PaperExchange(config, clock=context.clock)
    try:
        exchange.check_source()
    except DamagedData as damaged:
        history = config.market.history
        key = "history" if history and history.path == damaged.path else "source"
        raise refuse(f"market.{key}.path", damaged.path, str(damaged)) from None
    async with context.background_tasks() as tasks:
        try:
            await exchange.start(tasks)
            context.announce(**exchange.ports)
            yield
        finally:
            await exchange.stop()


def _tls_context(listen: ListenConfig) -> ssl.SSLContext:
    assert listen.certificate is not None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(listen.certificate, listen.key)
    except OSError as error:  # ssl.SSLError is one
        allowed = f"a certificate and its key in PEM ({error.strerror or error})"
        raise refuse("listen.certificate", listen.certificate, allowed) from None
    return context


def make_source(config: PaperExchangeConfig, venue: Venue) -> MarketSource:
    """The market data that the configuration names."""
    instruments = {
        symbol: market.rules.instrument for symbol, market in venue.exchange.markets.items()
    }
    source = config.market.source
    match source.kind:
        case "recording":
            return Recording(source.path, instruments)
        case "trades":
            return TradesTable(source.path, instruments[source.symbol])
        case "candles":
            return CandlesTable(
                source.path, instruments[source.symbol], interval_s=source.interval_s
            )
        case "generator":
            return Generator(source, instruments[source.symbol])
