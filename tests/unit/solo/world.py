"""A small market for runs in one process, and runs that die at a chosen save."""

import asyncio
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal as D
from pathlib import Path
from random import Random

from opensqt.core.exchange.market import MarketTrade, Quote
from opensqt.core.exchange.rules import MarketRules
from opensqt.core.exchange.ticks import MarkPrice, Tick
from opensqt.embedded.paper.books import Comparison
from opensqt.engine.bot import Bot
from opensqt.solo.run import SoloRun
from opensqt.testing.engine_world import BOT, INSTRUMENT, SYMBOL

START_NS = 1_723_160_700 * 10**9
"""23:45 UTC: funding is settled within the market."""
RULES = MarketRules(instrument=INSTRUMENT)


class Killed(BaseException):
    """The process dies here."""


class RandomMarket:
    """A seeded walk around 1000, with quotes, trades of any size, marks and a silence."""

    description = "a random walk"

    def __init__(self, seed: int = 1, ticks: int = 1200) -> None:
        self._seed = seed
        self._ticks = ticks

    def ticks(self) -> Iterator[Tick]:
        rng, price, offset_ns = Random(self._seed), 10_000, 0
        for number in range(self._ticks):
            offset_ns += round(rng.expovariate(1) * 10**9) * (1 if number % 500 else 90)
            price += rng.choice((-40, -15, -5, -1, 0, 1, 5, 15, 40)) + (10_000 - price) // 50
            now_ns, at = START_NS + offset_ns, D(price) / 10
            match rng.randrange(8):
                case 0:
                    yield self._tick(
                        offset_ns,
                        Quote(
                            bid=at,
                            bid_quantity=D(rng.randrange(1, 9)) / 100,
                            ask=at + D("0.1"),
                            ask_quantity=D(rng.randrange(1, 9)) / 100,
                            time_ns=now_ns,
                        ),
                    )
                case 1:
                    mark = MarkPrice(price=at, rate=D("0.0001"), time_ns=now_ns)
                    yield self._tick(offset_ns, mark)
                case _:
                    trade = MarketTrade(
                        price=at,
                        quantity=D(rng.randrange(1, 40)) / 1000,
                        buyer_is_maker=rng.random() < 0.5,
                        time_ns=now_ns,
                        trade_id=number,
                    )
                    yield self._tick(offset_ns, trade)
                    yield replace(self._tick(offset_ns, trade), symbol="ETHUSDT")

    def _tick(self, offset_ns: int, happening: Quote | MarketTrade | MarkPrice) -> Tick:
        return Tick(offset_ns=offset_ns, symbol=SYMBOL, happening=happening)


def make_run(path: Path, *, bot: Bot = BOT, seed: int = 1, deposit: str = "10000") -> SoloRun:
    run = SoloRun(
        bot,
        source=RandomMarket(seed),
        rules=RULES,
        deposit=D(deposit),
        checkpoints=path,
        description=f"seed {seed}, deposit {deposit}",
    )
    run._store.connection.execute("PRAGMA synchronous = OFF")  # no power is cut here
    return run


def play(run: SoloRun) -> Comparison:
    """Play a run to the end of its market."""

    async def to_the_end() -> Comparison:
        await run.begin()
        await run.play(speed=None, stop=asyncio.Event())
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
