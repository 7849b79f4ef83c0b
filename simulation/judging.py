"""One seed: drawn, run under the referee, and told if something is wrong.

Everything here happens in one process and takes what it needs from its arguments, so that seeds can
be spread over processes.
"""

import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

from simulation.defects import current
from simulation.draw import draw
from simulation.loop import ProcessDiedError
from simulation.observer import HARNESS, ViolationError
from simulation.plan import Plan
from simulation.referee import Referee
from simulation.shrink import shrink
from simulation.story import story
from simulation.trace import Trace

RUN_S_MAX: Final = 120
"""A run takes a fraction of a second; one that takes so long will never end."""


class _TooSlowError(KeyboardInterrupt):
    """A run that does not end. Of the family that asyncio hands through at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of one seed."""

    seed: int
    events: int
    digest: str
    """Of everything that happened, in order."""
    number: int | None = None
    """The invariant that does not hold; None when all do."""
    what: str = ""
    about: str = ""

    @property
    def good(self) -> bool:
        """No invariant was violated."""
        return self.number is None


def judge(seed: int) -> Verdict:
    """Run what a seed means."""
    trace, violation = watch(draw(seed))
    return Verdict(
        seed=seed,
        events=trace.events,
        digest=trace.digest(),
        number=None if violation is None else violation.number,
        what="" if violation is None else violation.what,
        about="" if violation is None else violation.about,
    )


def watch(plan: Plan) -> tuple[Trace, ViolationError | None]:
    """Run a plan under the referee: what happened, and what is wrong with it."""
    from simulation.world import run  # it imports every service

    referee = Referee()
    trace: Trace | None = None
    violation: ViolationError | None = None
    try:
        with _bounded(RUN_S_MAX):
            trace = run(plan, referee)
    except ViolationError as found:
        violation = found
    except _TooSlowError:
        violation = ViolationError(HARNESS, f"the run did not end within {RUN_S_MAX} s")
    except (ProcessDiedError, Exception):
        violation = ViolationError(HARNESS, f"the world broke: {traceback.format_exc()}")
    if trace is None:
        facts = getattr(referee, "facts", None)
        trace = Trace() if facts is None else facts.world.trace
    return trace, referee.violation or violation


def tell(seed: int, *, runs_max: int = 60) -> str:
    """The shortest story of a seed that fails, as far as it is found.

    Args:
        seed: It fails.
        runs_max: How many smaller plans are tried.
    """
    plan = draw(seed)
    trace, violation = watch(plan)
    if violation is None:
        return f"seed {seed}: no violation when it was run again; it is not reproducible"
    number = violation.number

    def fails(candidate: Plan) -> bool:
        _, found = watch(candidate)
        return found is not None and found.number == number

    smallest = shrink(plan, fails, runs_max=runs_max)
    if smallest != plan:
        trace, found = watch(smallest)
        violation = found or violation
    return story(smallest, trace, violation, drawn=len(plan.faults), defect=current())


@contextmanager
def _bounded(limit_s: int) -> Iterator[None]:
    """Interrupt what runs for too long; only in a process's main thread, as signals are."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise _TooSlowError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(limit_s)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
