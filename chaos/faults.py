"""The faults: what is done to a stage in one run, by name."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from chaos.stage import Stage
from opensqt.embedded.paper.settings import SERVICES
from opensqt.runtime.crash_points import CrashPoint

SERVERS: Final = ("nats", "postgres")
REACHED_S: Final = 20.0
"""How long a crash point may take to be reached."""
POLL_S: Final = 0.02
PASSES_MAX: Final = 4
"""A process dies at one of the first few passes through a crash point."""
ROUGH_S: Final = 4.0
"""How long the exchange misbehaves in one run."""
OUTAGE_S: Final = 5.0
"""Longer than a request to place an order is valid."""
STALL_S: Final = 4.0
IN_DOUBT: Final = {"lost_answer": 0.5, "user": {"drop": 0.9}}
"""Puts orders in doubt, and keeps the stream from telling of them, so that they are looked up."""


class NotReachedError(Exception):
    """The fault did not happen: a crash point was not passed in time."""


Strike = Callable[[Stage, Random], Awaitable[None]]
"""Does it; returns once it is done, and everything may recover."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that can go wrong.

    Attributes:
        name: What it is called on the command line and in the report.
        text: What happens, in a few words.
        strike: Does it.
    """

    name: str
    text: str
    strike: Strike


def all_faults() -> tuple[Fault, ...]:
    """Every fault, in the order of the report."""
    single = _single()
    return (*single, _two_at_once(single), *_wiped())


def _single() -> tuple[Fault, ...]:
    return (
        *(_kill(name) for name in (*SERVICES, *SERVERS)),
        *(_crash(point) for point in CrashPoint),
        *(_stall(name) for name in ("execution", "state")),
        *(_outage(name) for name in SERVERS),
        Fault(name="exchange:sockets", text="the exchange drops every stream", strike=_disconnect),
        Fault(name="exchange:listen-keys", text="the listen keys expire", strike=_expire),
        *(_misbehave(preset) for preset in ("mild", "rough")),
    )


def _kill(name: str) -> Fault:
    async def strike(stage: Stage, _: Random) -> None:
        await stage.kill(name)

    return Fault(name=f"kill:{name}", text=f"kill -9 of {name}, at any moment", strike=strike)


def _crash(point: CrashPoint) -> Fault:
    async def strike(stage: Stage, rng: Random) -> None:
        if point is CrashPoint.SETTLING_BEFORE_RESULT:
            await stage.control.set_faults(IN_DOUBT)
        stage.arm(point, rng.randint(1, PASSES_MAX))
        try:
            async with asyncio.timeout(REACHED_S):
                while stage.armed():
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise NotReachedError(f"{point} was not reached in {REACHED_S:g} s") from None
        finally:
            stage.disarm()
            await stage.control.set_faults("none")

    return Fault(name=f"crash:{point}", text=f"kill -9 at {point}", strike=strike)


def _stall(name: str) -> Fault:
    async def strike(stage: Stage, _: Random) -> None:
        await stage.stall(name, STALL_S)

    text = f"{name} stands still for {STALL_S:g} s"
    return Fault(name=f"stall:{name}", text=text, strike=strike)


def _outage(name: str) -> Fault:
    async def strike(stage: Stage, _: Random) -> None:
        await stage.down(name)
        await asyncio.sleep(OUTAGE_S)
        await stage.up(name)

    text = f"kill -9 of {name}, down for {OUTAGE_S:g} s"
    return Fault(name=f"outage:{name}", text=text, strike=strike)


def _misbehave(preset: str) -> Fault:
    async def strike(stage: Stage, _: Random) -> None:
        await stage.control.set_faults(preset)
        try:
            await asyncio.sleep(ROUGH_S)
        finally:
            await stage.control.set_faults("none")

    text = f"{preset} faults at the exchange for {ROUGH_S:g} s"
    return Fault(name=f"exchange:{preset}", text=text, strike=strike)


async def _disconnect(stage: Stage, _: Random) -> None:
    await stage.control.disconnect()


async def _expire(stage: Stage, _: Random) -> None:
    await stage.control.expire_listen_keys()


def _two_at_once(faults: Sequence[Fault]) -> Fault:
    async def strike(stage: Stage, rng: Random) -> None:
        # One crash point at most, since one process is told to die at a time.
        points = [fault for fault in faults if fault.name.startswith("crash:")]
        others = [fault for fault in faults if fault not in points]
        first = rng.choice(others)
        second = rng.choice([fault for fault in (*points, *others) if fault is not first])
        stage.note(f"{first.name} and {second.name}")
        later_s = rng.uniform(0, 1)

        async def then() -> None:
            await asyncio.sleep(later_s)
            await second.strike(stage, rng)

        await asyncio.gather(first.strike(stage, rng), then())

    return Fault(name="two-at-once", text="two of the above within a second", strike=strike)


def _wiped() -> tuple[Fault, ...]:
    async def postgres(stage: Stage, _: Random) -> None:
        await stage.wipe_postgres()

    async def nats(stage: Stage, _: Random) -> None:
        await stage.wipe_nats()

    return (
        Fault(
            name="wipe:postgres",
            text="PostgreSQL's volume is deleted, with orders resting on the exchange",
            strike=postgres,
        ),
        Fault(name="wipe:nats", text="NATS's volume is deleted", strike=nats),
    )
