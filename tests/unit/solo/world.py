"""A small market for runs in one process, and runs that die at a chosen save."""

import asyncio
import sqlite3
from decimal import Decimal as D
from pathlib import Path

from opensqt.backtest.case import AccountCase, Case
from opensqt.core.exchange.rules import MarketRules
from opensqt.engine.bot import Bot
from opensqt.solo import playing
from opensqt.solo.run import Ended, SoloRun
from opensqt.testing.engine_world import BOT, INSTRUMENT
from opensqt.testing.tapes import Walk, random_tape

RULES = MarketRules(instrument=INSTRUMENT)


class Killed(BaseException):
    """The process dies here."""


def make_case(bot: Bot = BOT, *, seed: int = 1, deposit: str = "10000") -> Case:
    """A bot on a seeded walk around 1000, with quotes, trades of any size, marks and fundings."""
    walk = Walk(trades=900, stride=40, quantity=400, quotes=True, marks=True, fundings=3)
    return Case(
        bots=(bot,),
        markets={bot.symbol: RULES},
        tapes={bot.symbol: random_tape(seed, walk, INSTRUMENT)},
        accounts={bot.account: AccountCase(deposit=D(deposit))},
    )


def make_run(path: Path, *, bot: Bot = BOT, seed: int = 1, deposit: str = "10000") -> SoloRun:
    """A run of that case."""
    return run_case(make_case(bot, seed=seed, deposit=deposit), path)


def run_case(case: Case, path: Path) -> SoloRun:
    """A run of any case of one bot."""
    run = SoloRun(case, checkpoints=path)
    run._store.connection.execute("PRAGMA synchronous = OFF")  # no power is cut here
    return run


def play(run: SoloRun) -> Ended:
    """Play a run to the end of its market."""

    async def to_the_end() -> Ended:
        await run.begin()
        await playing.play([run], speed=None, stop=asyncio.Event())
        return await run.end()

    return asyncio.run(to_the_end())


def play_until_killed(run: SoloRun, *, saves: int, where: str) -> bool:
    """Play until the process dies with its n-th save: "before" its commit, or "after".

    Returns:
        Whether it died; otherwise the market had ended before.
    """
    write, save, left = run._store.beside, run._store.save, saves

    def dying(connection: sqlite3.Connection, bot_id: str) -> None:
        nonlocal left
        left -= 1
        write(connection, bot_id)
        if not left and where == "before":
            raise Killed

    def dying_after(*args: object, **options: object) -> None:
        save(*args, **options)  # type: ignore[arg-type]
        if not left and where == "after":
            raise Killed

    run._store.beside = dying
    run._store.save = dying_after  # type: ignore[method-assign]
    try:
        play(run)
    except Killed:
        return True
    finally:
        run.close()
    return False


def story(run: SoloRun) -> list[tuple[object, ...]]:
    """What was traded: every fill, and when."""
    return [
        (fill.time_ns, fill.side, fill.price, fill.quantity) for fill in run.market.account.fills
    ]
