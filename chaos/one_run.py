"""One run: trade, break something, wait until trading goes on, hold everything, compare."""

import asyncio
import time
from dataclasses import dataclass
from random import Random
from typing import Final

import aiohttp
import grpc.aio

from chaos.books import Ours, Theirs
from chaos.defects import Defect
from chaos.faults import Fault, NotReachedError
from chaos.referee import Finding, Kind, judge
from chaos.stage import Stage
from opensqt.core.errors import Refusal
from opensqt.ports import DependencyError

WARM_ORDERS: Final = 3
"""Orders that the exchange takes before anything is broken."""
STRIKE_WITHIN_S: Final = 1.0
TRADING_S: Final = 60.0
"""How long it may take until trading goes on."""
SETTLED_S: Final = 60.0
"""How long it may take until both sides' books agree, once nothing moves any more."""
FOR_EVER: Final = frozenset({Kind.DOUBLED})
"""No waiting makes it good."""
POLL_S: Final = 0.15
BOUND_S: Final = 180.0
"""No run takes longer, whatever happens."""

NO_ANSWER: Final = (
    DependencyError,
    Refusal,
    grpc.aio.AioRpcError,
    aiohttp.ClientError,
    TimeoutError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a run.

    Attributes:
        fault: The fault's name.
        note: More about what was done.
        again_s: From the fault until everything ran and the exchange took a new order; None when
            that did not come.
        settled_s: From holding the market until both sides agreed.
        orders: How many orders the exchange took in this run.
        findings: What is wrong; empty when nothing is.
        reached: The fault happened.
    """

    fault: str
    note: str
    again_s: float | None
    settled_s: float | None
    orders: int
    findings: tuple[Finding, ...]
    reached: bool = True

    @property
    def good(self) -> bool:
        """The fault happened, and nothing is wrong."""
        return self.reached and not self.findings


async def one_run(
    stage: Stage, fault: Fault, rng: Random, *, defect: Defect | None = None
) -> Outcome:
    """Do one run on a stage; when it is good, the stage trades as before.

    Args:
        stage: What to break.
        fault: How.
        rng: Draws the moment, and whatever else the fault leaves open.
        defect: Falsifies the exchange's books, to see whether that is noticed.
    """
    stage.notes.clear()
    reached, again_s, settled_s = True, None, None
    findings: tuple[Finding, ...] = ()
    before = orders = 0
    try:
        async with asyncio.timeout(BOUND_S):
            before = await stage.orders_taken()
            await trading(stage, orders=WARM_ORDERS)
            await asyncio.sleep(rng.uniform(0, STRIKE_WITHIN_S))
            try:
                await fault.strike(stage, rng)
            except NotReachedError as error:
                reached = False
                stage.note(str(error))
            struck_s = time.monotonic()
            await trading(stage, orders=1)
            again_s = time.monotonic() - struck_s
            held_s = time.monotonic()
            findings = await _agreement(stage, defect)
            settled_s = time.monotonic() - held_s
            orders = await stage.orders_taken() - before
            if not findings:
                await stage.go_on()
    except SilentError as error:
        findings = (Finding(kind=Kind.SILENT, text=str(error)), *await _standing(stage))
    except NO_ANSWER as error:
        findings = (Finding(kind=Kind.UNREADABLE, text=repr(error)),)
    return Outcome(
        fault=fault.name,
        note="; ".join(stage.notes),
        again_s=again_s,
        settled_s=settled_s,
        orders=orders,
        findings=findings,
        reached=reached,
    )


class SilentError(Exception):
    """Trading did not go on."""


async def trading(stage: Stage, *, orders: int) -> None:
    """Wait until every process is ready and the exchange has then taken so many more orders.

    Raises:
        SilentError: That did not come in time, or a process does not start any more.
    """
    deadline_s = time.monotonic() + TRADING_S
    wanted: int | None = None
    while True:
        given_up = await stage.given_up()
        if given_up:
            raise SilentError(f"the supervisor gave up: {', '.join(given_up)}")
        whole = await stage.whole()
        if not whole:
            wanted = None
        elif wanted is None:
            wanted = await stage.orders_taken() + orders
        elif await stage.orders_taken() >= wanted:
            return
        if time.monotonic() > deadline_s:
            why = "no new order came" if whole else f"not ready: {', '.join(await stage.unready())}"
            raise SilentError(f"no trading in {TRADING_S:g} s: {why}")
        await asyncio.sleep(POLL_S)


async def _standing(stage: Stage) -> tuple[Finding, ...]:
    """What the books say when trading does not go on; they often say why."""
    try:
        return judge(await stage.ours(), await stage.theirs())
    except NO_ANSWER as error:
        return (Finding(kind=Kind.UNREADABLE, text=repr(error)),)


async def _agreement(stage: Stage, defect: Defect | None) -> tuple[Finding, ...]:
    """Hold everything and compare until both sides agree, twice with nothing under way."""
    await stage.hold()
    deadline_s = time.monotonic() + SETTLED_S
    before: tuple[Ours, Theirs] | None = None
    while True:
        try:
            ours, theirs = await stage.ours(), await stage.theirs()
            if defect is not None:
                theirs = defect(theirs)
            findings = judge(ours, theirs)
            under_way = await stage.requests_under_way()
        except NO_ANSWER as error:
            findings = (Finding(kind=Kind.UNREADABLE, text=repr(error)),)
            before = None
        else:
            if not findings and not under_way and before == (ours, theirs):
                return ()
            before = (ours, theirs)
            if any(finding.kind in FOR_EVER for finding in findings):
                return findings
        if time.monotonic() > deadline_s:
            still = Finding(kind=Kind.STUCK, text="the books do not come to rest")
            return findings or (still,)
        await asyncio.sleep(POLL_S)
