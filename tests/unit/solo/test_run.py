"""A run in one process: the same however it is played, killed and begun anew."""

import asyncio
from dataclasses import replace
from decimal import Decimal as D
from pathlib import Path

import pytest

from opensqt.core.errors import Refusal
from opensqt.core.grid.book import Direction
from opensqt.core.grid.config import AtrSpacing
from opensqt.ports import CheckpointError
from opensqt.solo import playing
from opensqt.testing.engine_world import BOT
from tests.unit.solo.world import make_run, play, play_until_killed, story

ATR = replace(BOT, grid=replace(BOT.grid, atr=AtrSpacing(period=3, multiple=D(1))))


@pytest.mark.parametrize("direction", list(Direction))
def test_both_sides_agree_in_the_end(tmp_path: Path, direction: Direction) -> None:
    run = make_run(tmp_path / "c.sqlite", bot=replace(BOT, direction=direction))
    comparison = play(run).comparison
    assert comparison.agree
    assert not comparison.duplicates
    assert comparison.ledger.fills == comparison.exchange.buys + comparison.exchange.sells > 30
    assert comparison.ledger.fees == comparison.exchange.fees
    assert comparison.exchange.funding


@pytest.mark.invariant(1, 2)
@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("bot", [BOT, ATR], ids=["plain", "atr"])
def test_wherever_it_is_killed_it_comes_to_the_same_end(
    tmp_path: Path, where: str, bot: object
) -> None:
    """Killed again and again, each time a few saves further on."""
    assert isinstance(bot, type(BOT))
    uninterrupted = play(make_run(tmp_path / "whole.sqlite", bot=bot)).run
    path = tmp_path / "killed.sqlite"
    deaths = 0
    for saves in range(2, 200):
        run = make_run(path, bot=bot)
        if not play_until_killed(run, saves=saves, where=where):
            break
        deaths += 1
    assert deaths > 5
    last = make_run(path, bot=bot)
    ended = play(last)
    assert ended.comparison.agree
    assert not ended.comparison.duplicates
    assert ended.run == uninterrupted


@pytest.mark.parametrize("saves", range(1, 32, 5))
@pytest.mark.parametrize("where", ["before", "after"])
def test_a_crash_at_any_save_doubles_and_loses_nothing(
    tmp_path: Path, saves: int, where: str
) -> None:
    path = tmp_path / "c.sqlite"
    assert play_until_killed(make_run(path, seed=2), saves=saves, where=where)
    run = make_run(path, seed=2)
    comparison = play(run).comparison
    assert comparison.agree
    assert not comparison.duplicates
    assert comparison.ledger.fills == len(run.market.account.fills)
    assert comparison.ledger.fees == comparison.exchange.fees


def test_stopped_and_begun_anew_it_goes_on_where_it_was(tmp_path: Path) -> None:
    async def some(ticks: int) -> bool:
        run = make_run(tmp_path / "parts.sqlite")
        begun = await run.begin()
        for _ in range(ticks):
            if run.market.ended:
                break
            await run.step()
        assert run.market.ticks == begun + ticks or run.market.ended
        assert (await run.end()).comparison.agree
        return run.market.ended

    while not asyncio.run(some(170)):
        pass
    parts = make_run(tmp_path / "parts.sqlite")
    whole = make_run(tmp_path / "whole.sqlite")
    assert play(parts) == play(whole)
    assert story(parts) == story(whole)


def test_how_fast_it_is_played_changes_nothing(tmp_path: Path) -> None:
    async def fast() -> object:
        run = make_run(tmp_path / "fast.sqlite")
        await run.begin()
        await playing.play([run], speed=100_000, stop=asyncio.Event())
        return await run.end()

    assert asyncio.run(fast()) == play(make_run(tmp_path / "flat-out.sqlite"))


def test_two_bots_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    other = replace(BOT, bot_id="other", direction=Direction.SHORT)
    first = play(make_run(path))
    assert play(make_run(path, bot=other)).comparison.agree
    assert play(make_run(path)) == first


def test_it_ends_when_it_is_told_to(tmp_path: Path) -> None:
    async def stopped() -> int:
        run = make_run(tmp_path / "c.sqlite")
        await run.begin()
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, stop.set)
        await playing.play([run], speed=1.0, stop=stop)
        assert (await run.end()).comparison.agree
        return run.market.ticks

    assert asyncio.run(stopped()) < 100


@pytest.mark.parametrize("other", [{"seed": 2}, {"deposit": "1"}])
def test_another_market_is_refused(tmp_path: Path, other: dict[str, object]) -> None:
    path = tmp_path / "c.sqlite"
    play_until_killed(make_run(path), saves=3, where="after")
    run = make_run(path, **other)  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="bot btc has a checkpoint on seed 1 "):
        play(run)
    run.close()
    assert play(make_run(path)).comparison.agree


def test_another_grid_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    play_until_killed(make_run(path), saves=3, where="after")
    run = make_run(path, bot=replace(BOT, direction=Direction.SHORT))
    with pytest.raises(Refusal, match="BOT_DIFFERS"):
        play(run)
    run.close()
    assert play(make_run(path)).comparison.agree


def test_a_run_in_another_process_is_left_alone(tmp_path: Path) -> None:
    async def both() -> None:
        first, second = make_run(tmp_path / "c.sqlite"), make_run(tmp_path / "c.sqlite")
        await first.begin()
        with pytest.raises(CheckpointError, match="is run by process"):
            await second.begin()
        second.close()
        first.close()

    asyncio.run(both())


def test_a_damaged_request_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    play_until_killed(make_run(path), saves=30, where="after")
    run = make_run(path)
    run._store.connection.execute("UPDATE requests SET intent = x'ff' WHERE number = 1")
    with pytest.raises(CheckpointError, match="the simulated exchange of bot btc"):
        play(run)
    run.close()
