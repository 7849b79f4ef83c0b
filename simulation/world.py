"""The whole system in one process: `run` carries out a plan, and says what happened."""

import asyncio

from opensqt.runtime import crash_points
from simulation.applications import Applications
from simulation.ending import Ending
from simulation.faults import Faults
from simulation.loop import ProcessDiedError, SimulationLoop
from simulation.observer import Observer, WorldView
from simulation.parts import Supervised, reach
from simulation.person import Person
from simulation.plan import Part, Plan
from simulation.quiet import quiet
from simulation.surroundings import ACCOUNT, BOT, Surroundings
from simulation.trace import Trace


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
        if world.around.observer.failure is None:
            raise
    finally:
        crash_points.arm(None)
        world.shut()
        loop.close()
    failure = world.around.observer.failure
    if failure is not None:
        # Without the frames in which it was raised: they would keep the world beyond its end.
        failure.__context__ = failure.__cause__ = failure.__traceback__ = None
    return world.around.trace, failure


class World:
    """The services and what they live in.

    Args:
        plan: What will happen.
        observer: Told of it.
        loop: Runs it.
    """

    def __init__(self, plan: Plan, observer: Observer, loop: SimulationLoop) -> None:
        self._plan = plan
        self._loop = loop
        self.around = Surroundings(plan, observer, loop)
        applications = Applications(plan, self.around, lambda part: self.parts[part].server)
        self.parts = {
            part: Supervised(
                part,
                loop=loop,
                build=build,
                chance=plan.stream(f"life of {part}"),
                trace=self.around.trace,
            )
            for part, build in applications.builds.items()
        }
        person = Person(
            loop,
            risk=self.parts[Part.RISK].server,
            state=self.parts[Part.STATE].server,
            network=self.around.network,
            chance=plan.stream("person"),
        )
        self._faults = Faults(plan, around=self.around, parts=self.parts, person=person)
        self._ending = Ending(self.around, self.parts, person, recheck_s=applications.recheck_s)

    async def live(self) -> None:
        """From the beginning to the end."""
        around, journal = self.around, self.around.journal
        around.observer.began(
            WorldView(
                plan=self._plan,
                trace=around.trace,
                exchange=around.exchange.side.exchange,
                account=ACCOUNT,
                bot_id=BOT,
                stores=around.database.stores,
                settle_tasks=lambda: len(journal.seen_to()),
            )
        )
        around.market.begin()
        for part in self.parts.values():
            part.start()
        self._faults.schedule()
        await asyncio.sleep(self._plan.length_ms / 1000)
        await asyncio.sleep(0)
        around.note("everything is mended; the market stands still")
        self._faults.mend()
        await self._come_to_rest()
        await self._ending.look_after_it()
        await self._ending.trade_again()
        await self._come_to_rest()
        steps = self._loop.steps
        around.trace.events += steps
        around.note(f"over after {steps} steps, {around.exchange.chance.random()}")

    def shut(self) -> None:
        """Nothing has an effect any more."""
        for part in self.parts.values():
            part.shut()
        self._loop.world.kill()
        self.around.journal.let_go()

    async def _come_to_rest(self) -> None:
        self.around.market.moves = False
        await self._ending.rest()
        self.around.observer.at_rest()
