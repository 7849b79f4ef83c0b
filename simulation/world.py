"""The whole system in one process: `run` carries out a plan, and says what happened."""

import asyncio
from functools import partial
from typing import Any, Final

from opensqt.core.actions import ActionBatch
from opensqt.core.events import Gate, GateBeat
from opensqt.core.grid.book import Direction, Standing
from opensqt.core.risk.exposure import FreshnessBounds
from opensqt.ports import ORDER_UPDATES, Topic
from opensqt.runtime import crash_points
from opensqt.runtime.bot_config import BotConfig
from opensqt.testing.virtual_time import START_NS
from services.execution.app import ExecutionApp
from services.execution.config import TimingConfig
from services.market_data.app import MarketDataApp
from services.market_data.config import MonitorConfig
from services.risk.app import RiskApp
from services.state.app import StateApp
from services.strategy.app import StrategyApp
from simulation.bus import Broker
from simulation.calls import Caller, RemoteMarketData, RemotePositions
from simulation.exchange_client import ExchangeClient, ExchangeWorld
from simulation.faults import Faults
from simulation.guarded import GuardedObserver
from simulation.loop import Process, ProcessDiedError, SimulationLoop
from simulation.market import INSTRUMENT, Market
from simulation.network import Network
from simulation.observer import HARNESS, Observer, ViolationError, WorldView
from simulation.parts import Application, Build, Supervised, reach
from simulation.person import Person
from simulation.plan import Part, Plan
from simulation.quiet import NO_METRICS, quiet
from simulation.settlement import Journal, JournaledSettlement
from simulation.store import Database, at_once
from simulation.trace import Trace
from simulation.venue import ExchangeSide

ACCOUNT: Final = "main"
BOT: Final = "btc"

RECHECKS_S: Final = (3.0, 3.0, 5.0, 8.0)
"""How often ledger and exchange are compared; often, since a run is short."""
ANSWERS_MS: Final = (800, 2000, 5000)
"""How long an answer of the exchange is awaited."""
LOOK_S: Final = 0.25
"""How often is looked whether everything has come to rest."""
QUIET_RECHECKS: Final = 2.5
"""Nothing must change for so many intervals of comparing, so that what was missed is found."""
REST_S_MAX: Final = 120.0
"""After so long everything must have come to rest."""
LOOKS_MAX: Final = 3
"""A person looks after a bot that does not trade: so often at most, for each intervention anew."""
AGAIN_S_MAX: Final = 20.0
"""Once mended, it must trade within this."""


def run(plan: Plan, observer: Observer) -> Trace:
    """Carry out a plan to its end.

    Raises:
        ViolationError: The observer's, or that the world does not come to rest.
    """
    with quiet(plan.seed):
        trace, failure = _run(plan, observer)
    if failure is not None:
        raise failure
    return trace


def _run(plan: Plan, observer: Observer) -> tuple[Trace, Exception | None]:
    loop = SimulationLoop(plan.stream("turns"))
    world = World(plan, observer, loop)
    asyncio.set_event_loop(None)
    crash_points.arm(lambda point: reach(world.parts, point))
    main = loop.world.spawn(world.live())
    try:
        loop.run_until_complete(main)
    except (RuntimeError, ProcessDiedError):
        if world.observer.failure is None:
            raise
    finally:
        crash_points.arm(None)
        world.shut()
        loop.close()
    failure = world.observer.failure
    if failure is not None:
        # Without the frames in which it was raised: they would keep the world beyond its end.
        failure.__context__ = failure.__cause__ = failure.__traceback__ = None
    return world.trace, failure


class World:
    """Everything there is.

    Args:
        plan: What will happen.
        observer: Told of it.
        loop: Runs it.
    """

    def __init__(self, plan: Plan, observer: Observer, loop: SimulationLoop) -> None:
        self._plan = plan
        self._loop = loop
        settings = plan.stream("settings")
        self._recheck_s = settings.choice(RECHECKS_S)
        self._answer_ms = settings.choice(ANSWERS_MS)
        self.trace = Trace()
        self.observer = GuardedObserver(loop, observer, self.trace)
        self.gate: Gate | None = None
        loop.on_problem = self._problem
        self.network = Network(loop, plan.stream("network"))
        self.broker = Broker(loop, self.network, plan.stream("bus"))
        self.broker.on_published = self._published
        self.database = Database(loop, plan.stream("database"))
        self.database.on_committed = self.observer.committed
        self.journal = Journal()
        self.database.on_wiped.append(self.journal.clear)
        self._calls = plan.stream("calls")
        side = ExchangeSide(
            INSTRUMENT,
            clock=loop.world,
            account=ACCOUNT,
            observer=self.observer,
            start_ns=START_NS,
        )
        self.exchange = ExchangeWorld(
            loop, side, self.network, plan.stream("exchange"), self.observer
        )
        self.market = Market(plan, plan.stream("market"), self.exchange)
        builds: dict[Part, Build] = {
            Part.STATE: self._state,
            Part.RISK: self._risk,
            Part.MARKET_DATA: self._market_data,
            Part.EXECUTION: self._execution,
            Part.STRATEGY: self._strategy,
        }
        self.parts = {
            part: Supervised(
                part,
                loop=loop,
                build=build,
                chance=plan.stream(f"life of {part}"),
                trace=self.trace,
            )
            for part, build in builds.items()
        }
        self.person = Person(
            loop,
            risk=self.parts[Part.RISK].server,
            state=self.parts[Part.STATE].server,
            network=self.network,
            chance=plan.stream("person"),
        )
        self.faults = Faults(
            plan,
            bot_id=BOT,
            loop=loop,
            parts=self.parts,
            network=self.network,
            broker=self.broker,
            database=self.database,
            exchange=self.exchange,
            market=self.market,
            person=self.person,
            trace=self.trace,
        )

    async def live(self) -> None:
        """From the beginning to the end."""
        journal = self.journal
        self.observer.began(
            WorldView(
                plan=self._plan,
                trace=self.trace,
                exchange=self.exchange.side.exchange,
                account=ACCOUNT,
                bot_id=BOT,
                stores=self.database.stores,
                settle_tasks=lambda: len(journal.seen_to()),
            )
        )
        self.market.begin()
        for part in self.parts.values():
            part.start()
        self.faults.schedule()
        await asyncio.sleep(self._plan.length_ms / 1000)
        await asyncio.sleep(0)
        self._note("everything is mended; the market stands still")
        self.faults.mend()
        self.market.moves = False
        await self._rest()
        self.observer.at_rest()
        await self._look_after_it()
        await self._trade_again()
        self.market.moves = False
        await self._rest()
        self.observer.at_rest()
        self.trace.events += self._loop.steps
        self._note(f"over after {self._loop.steps} steps, {self.exchange.chance.random()}")

    def shut(self) -> None:
        """Nothing has an effect any more."""
        for part in self.parts.values():
            part.shut()
        self._loop.world.kill()
        self.journal.let_go()

    # --- the end ---------------------------------------------------------------------------------

    async def _rest(self) -> None:
        """Wait until everything is settled and nothing has changed for a while."""
        began_s = since_s = self._loop.now_s
        before: object = None
        while self._loop.now_s - since_s < QUIET_RECHECKS * self._recheck_s:
            await asyncio.sleep(LOOK_S)
            restless = self._restless()
            now = self._signature()
            if restless or now != before:
                before, since_s = now, self._loop.now_s
            if self._loop.now_s - began_s > REST_S_MAX:
                why = restless or "the ledger or the exchange changes over and over"
                self.observer.fail(
                    ViolationError(HARNESS, f"no rest {REST_S_MAX:.0f} s after mending: {why}")
                )

    async def _look_after_it(self) -> None:
        """A person resumes the bot if it has halted, and opens the gate if it is closed."""
        for _ in range(LOOKS_MAX):
            halted = self._book_standing() is Standing.HALTED
            closed = self.gate is not None and not self.gate.open
            if not halted and not closed:
                return
            if halted:
                self._note("a person resumes the bot")
                await self.person.resume(BOT)
            if closed:
                self._note("a person opens the gate")
                await self.person.open_gate()
            await self._rest()
            self.observer.at_rest()
        self.observer.fail(
            ViolationError(HARNESS, f"looked after {LOOKS_MAX} times, and still it does not trade")
        )

    async def _trade_again(self) -> None:
        """Let the market move until there was an order and a fill."""
        accepted, fills = self.observer.accepted_orders, self.observer.fills
        began_s = self._loop.now_s
        self._note("the market moves again")
        self.market.moves = True
        # A grid that is full waits for the market to come to its exits.
        visits_s = [4.0, 8.0, 12.0, 16.0]
        while self._loop.now_s - began_s < AGAIN_S_MAX:
            await asyncio.sleep(LOOK_S)
            if visits_s and self._loop.now_s - began_s > visits_s[0]:
                del visits_s[0]
                self.market.visit()
            enough = self.observer.accepted_orders > accepted and self.observer.fills > fills
            if enough:
                return
        self.observer.fail(
            ViolationError(
                HARNESS,
                f"no trading {AGAIN_S_MAX:.0f} s after mending: "
                f"{self.observer.accepted_orders - accepted} orders, "
                f"{self.observer.fills - fills} fills",
            )
        )

    def _restless(self) -> str:
        """Why it is not at rest; empty when it is."""
        for part in self.parts.values():
            if not part.running:
                return f"{part.part} does not run"
        books = at_once(self.database.store.identities())
        if not books:
            return "no grid is registered"
        for book in books:
            bot_id = book.identity.bot_id
            if book.standing is Standing.RECONCILING:
                return f"{bot_id} is still compared"
            doubtful = at_once(
                self.database.store.orders(
                    bot_id, live_only=False, unsettled_only=True, batch_id="", limit=1, before=""
                )
            )
            if doubtful:
                order = doubtful[0]
                return f"{order.client_oid} is in doubt: {order.status}"
        if waiting := self.broker.unacknowledged(ORDER_UPDATES):
            return f"{waiting} order updates wait for the ledger"
        if tasks := self.journal.seen_to():
            return f"settle task {tasks[0].task_id} is not over"
        if self.exchange.under_way:
            return "a request to the exchange is under way"
        if self.exchange.awaits_lost_answer:
            return "an answer of the exchange is awaited, and lost"
        return ""

    def _signature(self) -> object:
        """Differs when something has changed.

        An order that the exchange refuses changes nothing: an exit of what somebody else has
        closed by hand is refused over and over, at growing intervals.
        """
        books = at_once(self.database.store.identities())
        account = self.exchange.side.books
        return (
            tuple((book.identity.epoch, book.standing, book.totals.fills) for book in books),
            len(account.orders),
            len(account.fills),
            len(account.open_orders),
            self.gate.revision if self.gate is not None else 0,
        )

    def _book_standing(self) -> Standing | None:
        books = at_once(self.database.store.identities())
        return books[0].standing if books else None

    # --- the parts -------------------------------------------------------------------------------

    def _positions(self, process: Process) -> RemotePositions:
        return RemotePositions(self._caller(process, Part.STATE))

    def _caller(self, process: Process, part: Part) -> Caller:
        caller = Caller(process, self.parts[part].server, self.network, self._calls)
        caller.on_internal = self._internal
        return caller

    def _state(self, process: Process) -> Application:
        app = StateApp(
            store=self.database.connect(process),
            bus=self.broker.connect(process),
            clock=process,
            metrics=NO_METRICS,
        )
        return Application(target=app.ledger, run=app.run)

    def _risk(self, process: Process) -> Application:
        app = RiskApp(
            account=ACCOUNT,
            store=self.database.gate_store(process),
            bus=self.broker.connect(process),
            clock=process,
            metrics=NO_METRICS,
        )
        return Application(target=app, run=app.run)

    def _market_data(self, process: Process) -> Application:
        app = MarketDataApp(
            account=ACCOUNT,
            symbols=(INSTRUMENT.symbol,),
            feed=ExchangeClient(self.exchange, process),
            positions=self._positions(process),
            bus=self.broker.connect(process),
            clock=process,
            metrics=NO_METRICS,
            config=MonitorConfig(recheck_interval_s=self._recheck_s),
        )
        return Application(target=app, prepare=app.prepare, run=app.run)

    def _execution(self, process: Process) -> Application:
        app = ExecutionApp(
            account=ACCOUNT,
            venue=ExchangeClient(self.exchange, process),
            positions=self._positions(process),
            bus=self.broker.connect(process),
            clock=process,
            settlement=partial(JournaledSettlement, self.journal, self.database, process),
            metrics=NO_METRICS,
            timing=TimingConfig(answer_ms=self._answer_ms),
        )
        return Application(target=app, run=app.run)

    def _strategy(self, process: Process) -> Application:
        app = StrategyApp(
            (self._bot(),),
            bounds=FreshnessBounds(),
            positions=self._positions(process),
            market_data=RemoteMarketData(self._caller(process, Part.MARKET_DATA)),
            bus=self.broker.connect(process),
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

    # --- what is seen ----------------------------------------------------------------------------

    def _published(self, process: Process, topic: Topic[Any], key: str, event: Any) -> None:
        del process, topic, key
        if isinstance(event, ActionBatch):
            self.observer.decided(event, time_ns=self._loop.now_ns)
        elif isinstance(event, GateBeat) and event.gate != self.gate:
            self.gate = event.gate
            self.observer.gate_changed(event.gate, time_ns=self._loop.now_ns)

    def _internal(self, process: Process, name: str, error: Exception) -> None:
        self.trace.note(self._loop.now_ns, process.name, f"internal error in {name}: {error!r}")

    def _problem(self, process: Process, error: BaseException) -> None:
        self.trace.note(self._loop.now_ns, process.name, f"a callback failed: {error!r}")

    def _note(self, what: str) -> None:
        self.trace.note(self._loop.now_ns, "world", what)
