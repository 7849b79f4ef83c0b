"""What the services live in: the network, the bus, the database, the exchange and its market."""

from typing import Any, Final

from opensqt.core.actions import ActionBatch
from opensqt.core.events import Gate, GateBeat
from opensqt.ports import Topic
from opensqt.testing.virtual_time import START_NS
from simulation.broker import Broker
from simulation.database import Database
from simulation.exchange_world import ExchangeWorld
from simulation.guarded import GuardedObserver
from simulation.loop import Process, SimulationLoop
from simulation.market import INSTRUMENT, Market
from simulation.network import Network
from simulation.observer import Observer
from simulation.plan import Plan
from simulation.settlement import Journal
from simulation.trace import Trace
from simulation.venue import ExchangeSide

ACCOUNT: Final = "main"
BOT: Final = "btc"


class Surroundings:
    """Everything that is not a service.

    Args:
        plan: Where all chance comes from.
        observer: Told of what happens.
        loop: Runs it.
    """

    def __init__(self, plan: Plan, observer: Observer, loop: SimulationLoop) -> None:
        self.loop = loop
        self.trace = Trace()
        self.observer = GuardedObserver(loop, observer, self.trace)
        self.gate: Gate | None = None
        """As it was announced last."""
        self.network = Network(loop, plan.stream("network"))
        self.broker = Broker(loop, self.network, plan.stream("bus"))
        self.database = Database(loop, plan.stream("database"))
        self.journal = Journal()
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
        loop.on_problem = self._callback_failed
        self.broker.on_published = self._published
        self.database.on_committed = self.observer.committed
        self.database.on_wiped.append(self.journal.clear)

    def note(self, what: str) -> None:
        """Something worth a line."""
        self.trace.note(self.loop.now_ns, "world", what)

    def internal_error(self, process: Process, name: str, error: Exception) -> None:
        """A service raised what it should not have."""
        what = f"internal error in {name}: {error!r}"
        self.trace.note(self.loop.now_ns, process.name, what)

    def _callback_failed(self, process: Process, error: BaseException) -> None:
        self.trace.note(self.loop.now_ns, process.name, f"a callback failed: {error!r}")

    def _published(self, process: Process, topic: Topic[Any], key: str, event: Any) -> None:
        del process, topic, key
        if isinstance(event, ActionBatch):
            self.observer.decided(event, time_ns=self.loop.now_ns)
        elif isinstance(event, GateBeat) and event.gate != self.gate:
            self.gate = event.gate
            self.observer.gate_changed(event.gate, time_ns=self.loop.now_ns)
