"""The services on a recorded market, on virtual time."""

import asyncio
import random
from dataclasses import replace
from functools import partial
from typing import Any, Final

from opensqt.backtest.case import Case
from opensqt.backtest.diff.clocks import shifted
from opensqt.backtest.exact.minutes import MINUTE_NS
from opensqt.backtest.recorded.run import Run, RunEnd
from opensqt.backtest.recorded.sources import completed_by, run_of_books, run_of_ledger
from opensqt.core.grid.book import Standing
from opensqt.core.risk.exposure import FreshnessBounds
from opensqt.engine.bot import Bot
from opensqt.runtime.bot_config import BotConfig
from opensqt.testing.virtual_time import START_NS
from services.execution.app import ExecutionApp
from services.execution.config import RateLimitConfig, TimingConfig
from services.execution.sending import Pauses
from services.market_data.app import MarketDataApp
from services.market_data.config import MonitorConfig
from services.risk.app import RiskApp
from services.state.app import StateApp
from services.strategy.app import StrategyApp
from simulation.broker import Broker
from simulation.bus import Bus
from simulation.calls import Caller, Server
from simulation.database import at_once
from simulation.loop import Process
from simulation.parity.client import RecordedClient
from simulation.parity.outside import Outside, OutsideWorld
from simulation.parity.recorded import RecordedSide
from simulation.parity.still import RestingLoop, StillDatabase, StillNetwork
from simulation.parity.unobserved import Unobserved
from simulation.parts import Application, Build
from simulation.plan import Part
from simulation.quiet import NO_METRICS, quiet
from simulation.remotes import RemoteMarketData, RemotePositions
from simulation.settlement import Journal, JournaledSettlement
from simulation.store import Gates, Store

WARM_NS: Final = 10 * 10**9
"""The services have so long to start, and the grid to be compared, before the market begins."""
UNBOUNDED: Final = 1_000_000
"""Of the exchange's rate limits: a backtest knows none."""
NO_PAUSES: Final = Pauses(out_s=0, head_start_s=0)
PATIENCE_MS: Final = 600_000
"""Requests do not expire, and answers are awaited, however long they take."""
SELDOM_S: Final = 600.0
"""How often ledger and exchange are compared: nothing goes wrong that this would find."""


def run_stack(case: Case, *, pauses: Pauses = NO_PAUSES, seed: int = 0) -> Run:
    """Run a case through the services; times are the tape's.

    Args:
        case: One bot on one market.
        pauses: What execution leaves to the placing of orders before it cancels; none by default,
            as in a backtest.
        seed: Decides between processes that have something to do at the same time.

    Raises:
        ValueError: It has several bots.
    """
    if len(case.bots) != 1:
        raise ValueError(f"case: {len(case.bots)} bots; allowed: one")
    with quiet(seed):  # which collects what the run leaves, so nothing of it may be held here
        return _run(case, pauses, seed)


def _run(case: Case, pauses: Pauses, seed: int) -> Run:
    loop = RestingLoop(random.Random(f"{seed}/turns"))
    stack = _Stack(case, loop, pauses, seed)
    asyncio.set_event_loop(None)
    main = loop.world.spawn(stack.live())
    try:
        loop.run_until_complete(main)
        return stack.run()
    finally:
        stack.shut()
        loop.close()


class _Stack:
    """The services, and what they live in."""

    def __init__(self, case: Case, loop: RestingLoop, pauses: Pauses, seed: int) -> None:
        self._loop = loop
        self._pauses = pauses
        self._bot = bot = case.bots[0]
        tape = case.tapes[bot.symbol]
        chance = random.Random(f"{seed}/rest")
        self._outside = Outside(loop, tape, case.latency)
        network = StillNetwork(loop, chance, self._outside.wire)
        self._network = network
        self._broker = Broker(loop, network, chance)
        self._database = StillDatabase(loop, chance)
        self._journal = Journal()
        observer = Unobserved()
        side = RecordedSide(
            case.markets[bot.symbol],
            account=bot.account,
            begins_with=case.accounts[bot.account],
            clock=loop.world,
            observer=observer,
        )
        self._exchange = OutsideWorld(self._outside, side, network, chance, observer)
        self._chance = chance
        self._servers = {part: Server(part) for part in Part}
        self._processes: list[Process] = []
        self._problems: list[str] = []
        # Whole minutes later, so that candles begin where they do on the tape.
        self._later_ns = -(-(WARM_NS - self._outside.first_ns) // MINUTE_NS) * MINUTE_NS
        loop.clock = self._outside
        loop.on_problem = lambda process, error: self._problems.append(f"{process.name}: {error!r}")

    async def live(self) -> None:
        """From the start of the services to the end of the tape."""
        builds: dict[Part, Build] = {
            Part.STATE: self._state,
            Part.RISK: self._risk,
            Part.MARKET_DATA: self._market_data,
            Part.EXECUTION: self._execution,
            Part.STRATEGY: self._strategy,
        }
        tasks = [self._start(part, build) for part, build in builds.items()]
        await self._register()
        self._outside.begin(self._later_ns)
        over = asyncio.create_task(self._outside.over.wait())
        done, _ = await asyncio.wait((over, *tasks), return_when=asyncio.FIRST_COMPLETED)
        for task in done - {over}:
            task.result()  # a service has ended by itself, which none ever does
        assert over in done, "a service has ended"
        assert not self._problems, self._problems[0]

    def run(self) -> Run:
        """What the ledger and the exchange's books say, by the tape's time."""
        bot = self._bot
        store = self._database.store
        orders = at_once(
            store.orders(
                bot.bot_id,
                live_only=False,
                unsettled_only=False,
                batch_id="",
                limit=10**9,
                before="",
            )
        )
        found = run_of_ledger(orders, (), source="services on virtual time")
        books = run_of_books(
            self._exchange.recorded.books, bots={bot.bot_id: bot.symbol}, source="exchange"
        )
        refused_ns = self._exchange.recorded.refused_ns
        known = completed_by(found, books)
        told = tuple(
            replace(one, end=RunEnd.REFUSED, ended_ns=refused_ns[one.client_oid])
            if one.client_oid in refused_ns
            else one
            for one in known.orders
        )
        return shifted(replace(known, orders=told), -self._later_ns - START_NS)

    def shut(self) -> None:
        """Nothing has an effect any more."""
        for process in (*self._processes, self._loop.world):
            process.kill()
        self._journal.let_go()

    # --- the grid --------------------------------------------------------------------------------

    async def _register(self) -> None:
        """Register the grid before its first price, and wait until it may trade.

        A ledger compares a new grid with the exchange before it lets it trade. The backtest begins
        with one that may.
        """
        bot, store = self._bot, self._database.store
        await asyncio.sleep(1)
        person = self._process("person")
        positions = self._positions(person)
        identity = bot.identity(self._outside.first_price)
        await person.spawn(positions.register_grid(identity))
        while at_once(store.load(bot.bot_id)).standing is not Standing.TRADING:
            await asyncio.sleep(0.1)
            assert self._loop.now_ns < WARM_NS, "the grid is not let trade"

    # --- the services ----------------------------------------------------------------------------

    def _process(self, name: str) -> Process:
        process = Process(self._loop, name)
        self._processes.append(process)
        return process

    def _start(self, part: Part, build: Build) -> "asyncio.Task[None]":
        process = self._process(part)
        return process.spawn(self._live(part, process, build))

    async def _live(self, part: Part, process: Process, build: Build) -> None:
        app = build(process)
        if app.prepare is not None:
            await app.prepare()
        self._servers[part].process, self._servers[part].target = process, app.target
        await app.run(asyncio.Event())

    def _caller(self, process: Process, part: Part) -> Caller:
        caller = Caller(process, self._servers[part], self._network, self._chance)
        caller.on_internal = lambda _, name, error: self._problems.append(f"{name}: {error!r}")
        return caller

    def _positions(self, process: Process) -> RemotePositions:
        return RemotePositions(self._caller(process, Part.STATE))

    def _common(self, process: Process) -> dict[str, Any]:
        return {"bus": Bus(self._broker, process), "clock": process, "metrics": NO_METRICS}

    def _state(self, process: Process) -> Application:
        app = StateApp(store=Store(self._database, process), **self._common(process))
        return Application(target=app.ledger, run=app.run)

    def _risk(self, process: Process) -> Application:
        app = RiskApp(
            account=self._bot.account,
            store=Gates(self._database, process),
            **self._common(process),
        )
        return Application(target=app, run=app.run)

    def _market_data(self, process: Process) -> Application:
        app = MarketDataApp(
            account=self._bot.account,
            symbols=(self._bot.symbol,),
            feed=RecordedClient(self._exchange, process),
            positions=self._positions(process),
            config=MonitorConfig(recheck_interval_s=SELDOM_S),
            **self._common(process),
        )
        return Application(target=app, prepare=app.prepare, run=app.run)

    def _execution(self, process: Process) -> Application:
        app = ExecutionApp(
            account=self._bot.account,
            venue=RecordedClient(self._exchange, process),
            positions=self._positions(process),
            settlement=partial(JournaledSettlement, self._journal, self._database, process),
            limits=RateLimitConfig(
                orders_per_10s=UNBOUNDED,
                orders_per_minute=UNBOUNDED,
                weight_per_minute=UNBOUNDED,
            ),
            timing=TimingConfig(placing_ms=PATIENCE_MS, answer_ms=PATIENCE_MS),
            pauses=self._pauses,
            **self._common(process),
        )
        return Application(target=app, run=app.run)

    def _strategy(self, process: Process) -> Application:
        app = StrategyApp(
            (config_of(self._bot),),
            bounds=FreshnessBounds(),
            positions=self._positions(process),
            market_data=RemoteMarketData(self._caller(process, Part.MARKET_DATA)),
            **self._common(process),
        )
        return Application(target=app, prepare=app.prepare, run=app.run)


def config_of(bot: Bot) -> BotConfig:
    """A bot's configuration, as a trader would write it."""
    grid = bot.grid
    atr = grid.atr
    return BotConfig.model_validate(
        {
            "bot_id": bot.bot_id,
            "account": bot.account,
            "symbol": bot.symbol,
            "grid": {
                "direction": bot.direction,
                "anchor": bot.anchor,
                "interval": grid.interval,
                "buy_levels": grid.buy_levels,
                "sell_levels": grid.sell_levels,
                "quantity": grid.quantity,
                "quote_amount": grid.quote_amount,
                "max_open_orders": grid.max_open_orders,
                "max_position": grid.max_position,
                "post_only": grid.post_only,
                "skew_levels": grid.skew_levels,
                "slack_levels": grid.slack_levels,
                "atr": atr
                and {
                    "period": atr.period,
                    "multiple": atr.multiple,
                    "max_spacing": atr.max_spacing,
                },
            },
        }
    )
