"""The services' applications, each made in a process from the ports that reach out of it."""

from collections.abc import Callable
from functools import partial
from typing import Final

from opensqt.core.grid.book import Direction
from opensqt.core.risk.exposure import FreshnessBounds
from opensqt.runtime.bot_config import BotConfig
from services.execution.app import ExecutionApp
from services.execution.config import TimingConfig
from services.market_data.app import MarketDataApp
from services.market_data.config import MonitorConfig
from services.risk.app import RiskApp
from services.state.app import StateApp
from services.strategy.app import StrategyApp
from simulation.bus import Bus
from simulation.calls import Caller, Server
from simulation.exchange_client import ExchangeClient
from simulation.loop import Process
from simulation.market import INSTRUMENT
from simulation.parts import Application, Build
from simulation.plan import Part, Plan
from simulation.quiet import NO_METRICS
from simulation.remotes import RemoteMarketData, RemotePositions
from simulation.settlement import JournaledSettlement
from simulation.store import Gates, Store
from simulation.surroundings import ACCOUNT, BOT, Surroundings

RECHECKS_S: Final = (3.0, 3.0, 5.0, 8.0)
"""How often ledger and exchange are compared; often, since a run is short."""
ANSWERS_MS: Final = (800, 2000, 5000)
"""How long an answer of the exchange is awaited."""


class Applications:
    """Makes them.

    Args:
        plan: What the bot trades; the settings of the services differ from seed to seed.
        around: What they live in.
        server: Where a part can be called.
    """

    def __init__(self, plan: Plan, around: Surroundings, server: Callable[[Part], Server]) -> None:
        self._plan = plan
        self._around = around
        self._server = server
        self._chance = plan.stream("calls")
        settings = plan.stream("settings")
        self.recheck_s = settings.choice(RECHECKS_S)
        self._answer_ms = settings.choice(ANSWERS_MS)
        self.builds: dict[Part, Build] = {
            Part.STATE: self._state,
            Part.RISK: self._risk,
            Part.MARKET_DATA: self._market_data,
            Part.EXECUTION: self._execution,
            Part.STRATEGY: self._strategy,
        }

    def _positions(self, process: Process) -> RemotePositions:
        return RemotePositions(self._caller(process, Part.STATE))

    def _caller(self, process: Process, part: Part) -> Caller:
        around = self._around
        caller = Caller(process, self._server(part), around.network, self._chance)
        caller.on_internal = around.internal_error
        return caller

    def _state(self, process: Process) -> Application:
        around = self._around
        app = StateApp(
            store=Store(around.database, process),
            bus=Bus(around.broker, process),
            clock=process,
            metrics=NO_METRICS,
        )
        return Application(target=app.ledger, run=app.run)

    def _risk(self, process: Process) -> Application:
        around = self._around
        app = RiskApp(
            account=ACCOUNT,
            store=Gates(around.database, process),
            bus=Bus(around.broker, process),
            clock=process,
            metrics=NO_METRICS,
        )
        return Application(target=app, run=app.run)

    def _market_data(self, process: Process) -> Application:
        around = self._around
        app = MarketDataApp(
            account=ACCOUNT,
            symbols=(INSTRUMENT.symbol,),
            feed=ExchangeClient(around.exchange, process),
            positions=self._positions(process),
            bus=Bus(around.broker, process),
            clock=process,
            metrics=NO_METRICS,
            config=MonitorConfig(recheck_interval_s=self.recheck_s),
        )
        return Application(target=app, prepare=app.prepare, run=app.run)

    def _execution(self, process: Process) -> Application:
        around = self._around
        app = ExecutionApp(
            account=ACCOUNT,
            venue=ExchangeClient(around.exchange, process),
            positions=self._positions(process),
            bus=Bus(around.broker, process),
            clock=process,
            settlement=partial(JournaledSettlement, around.journal, around.database, process),
            metrics=NO_METRICS,
            timing=TimingConfig(answer_ms=self._answer_ms),
        )
        return Application(target=app, run=app.run)

    def _strategy(self, process: Process) -> Application:
        around = self._around
        app = StrategyApp(
            (self._bot(),),
            bounds=FreshnessBounds(),
            positions=self._positions(process),
            market_data=RemoteMarketData(self._caller(process, Part.MARKET_DATA)),
            bus=Bus(around.broker, process),
            clock=process,
            metrics=NO_METRICS,
        )
        return Application(target=app, prepare=app.prepare, run=app.run)

    def _bot(self) -> BotConfig:
        plan = self._plan
        both = plan.direction is Direction.NEUTRAL
        return BotConfig.model_validate(
            {
                "bot_id": BOT,
                "account": ACCOUNT,
                "symbol": INSTRUMENT.symbol,
                "grid": {
                    "direction": plan.direction,
                    "interval": plan.interval,
                    "buy_levels": plan.levels,
                    "sell_levels": plan.levels,
                    "quantity": plan.quantity,
                    "max_position": plan.quantity * plan.levels * (2 if both else 3),
                },
            }
        )
