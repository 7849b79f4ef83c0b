"""What every engine must do, whatever it keeps its state in; a test module inherits the class.

Every story ends with the books of the engine and those of the exchange being the same, and with no
order sent twice.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from functools import wraps
from itertools import pairwise
from typing import Any, Final

import pytest

from opensqt.core.events import FundingUpdate, Position, PositionUpdate
from opensqt.testing.engine_world import ACCOUNT, SYMBOL, EngineWorld
from opensqt.testing.virtual_time import run_virtually

WINDOW: Final = ["OPEN BUY 1000 0.01", "OPEN BUY 980 0.01", "OPEN BUY 990 0.01"]
"""What a long grid of three levels wants at 1005."""
BELOW: Final = ["OPEN BUY 970 0.01", "OPEN BUY 980 0.01", "OPEN BUY 990 0.01"]
"""The same at 995."""
SOON_S: Final = 2.0
"""By then an engine that lacks nothing has done what it wants."""
SETTLED_S: Final = 40.0
"""By then everything that was in doubt is proven."""


def virtually(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on virtual time."""

    @wraps(test)
    def run(*args: Any, **options: Any) -> None:
        run_virtually(test(*args, **options))

    return run


class EngineContract(ABC):
    """The contract of `ports.Engine`."""

    @abstractmethod
    def world(self) -> EngineWorld:
        """A world that has not begun."""

    @asynccontextmanager
    async def trading(self) -> AsyncIterator[EngineWorld]:
        """An engine that has filled its window; compared with the exchange in the end."""
        world = self.world()
        async with world.running():
            await asyncio.sleep(SETTLED_S)
            assert world.resting() == WINDOW
            yield world
            assert await world.differences() == []

    # --- deciding --------------------------------------------------------------------------------

    @virtually
    async def test_it_decides_nothing_before_the_first_price(self) -> None:
        """There is no grid without one."""
        world = self.world()
        world.beating = False
        async with world.running():
            await asyncio.sleep(SETTLED_S)
            await world.hear_price(last=None, bid="1005", ask=None)
            await asyncio.sleep(SETTLED_S)
            assert world.venue.sent == []
            world.beating = True
            await asyncio.sleep(SETTLED_S)
            assert world.resting() == WINDOW

    @virtually
    async def test_it_fills_its_window_and_then_has_nothing_to_do(self) -> None:
        """One order a level, however often the price comes."""
        async with self.trading() as world:
            await asyncio.sleep(SETTLED_S)
            assert world.resting() == WINDOW
            assert len(world.venue.sent) == 3

    @pytest.mark.parametrize("known", ["last", "bid and ask"])
    @virtually
    async def test_it_makes_do_with_a_part_of_a_price(self, known: str) -> None:
        """With the last price, or with the best ones."""
        world = self.world()
        world.beating = False
        async with world.running():
            for _ in range(round(SETTLED_S)):
                if known == "last":
                    await world.hear_price(last="1005", bid=None, ask=None)
                else:
                    await world.hear_price(last=None, bid="1005", ask="1005.1")
                await asyncio.sleep(1)
            assert world.resting() == WINDOW

    @virtually
    async def test_the_window_follows_the_market(self) -> None:
        """What is left behind is cancelled."""
        async with self.trading() as world:
            world.move(1055)
            await asyncio.sleep(SOON_S)
            assert world.resting() == [
                "OPEN BUY 1030 0.01",
                "OPEN BUY 1040 0.01",
                "OPEN BUY 1050 0.01",
            ]

    # --- order updates ---------------------------------------------------------------------------

    @virtually
    async def test_what_filled_is_closed_one_interval_away(self) -> None:
        """And once that has filled, the slot opens again."""
        async with self.trading() as world:
            world.move(995)
            await asyncio.sleep(SOON_S)
            assert (await world.book()).position == Decimal("0.01")
            assert world.resting() == ["CLOSE SELL 1010 0.01", *BELOW]
            world.move(1012)
            await asyncio.sleep(SOON_S)
            book = await world.book()
            assert book.position == 0
            assert book.totals.realised_pnl == Decimal("0.1")
            assert (book.totals.buys, book.totals.sells) == (1, 1)

    @virtually
    async def test_partial_fills_add_up(self) -> None:
        """What is closed is what has filled."""
        async with self.trading() as world:
            world.trade("999.9", "0.004")
            await asyncio.sleep(SOON_S)
            assert (await world.book()).slots[Decimal(1000)].position_qty == Decimal("0.004")
            assert "OPEN BUY 1000 0.006" in world.resting()
            world.trade("999.9", "0.006")
            await asyncio.sleep(SOON_S)
            assert "CLOSE SELL 1010 0.01" in world.resting()

    @pytest.mark.invariant(42, 43)
    @virtually
    async def test_what_comes_twice_or_late_changes_nothing(self) -> None:
        """Neither does news of an order that has ended."""
        async with self.trading() as world:
            world.move(999)
            await asyncio.sleep(SOON_S)
            before = await world.book()
            orders = len(world.venue.sent)
            for update in (*world.told, *reversed(world.told)):
                await world.tell(update)
            await asyncio.sleep(SOON_S)
            after = await world.book()
            assert (after.slots, after.totals) == (before.slots, before.totals)
            assert len(world.venue.sent) == orders

    @pytest.mark.invariant(41)
    @virtually
    async def test_a_fill_may_outrun_the_answer(self) -> None:
        """It is matched by our id."""
        world = self.world()
        async with world.running():
            world.venue.answer_delay_s = 1.0
            await world.until_resting()
            world.move(999)
            await asyncio.sleep(SETTLED_S)
            assert (await world.book()).position == Decimal("0.01")
            assert "CLOSE SELL 1010 0.01" in world.resting()
            assert await world.differences() == []

    @virtually
    async def test_orders_of_others_are_left_alone(self) -> None:
        """Whatever is told of them."""
        async with self.trading() as world:
            before = await world.book()
            mine = world.told[0]
            await world.tell(replace(mine, client_oid="web_manual", exchange_order_id="77"))
            await world.tell(
                replace(mine, symbol="ETHUSDT", client_oid="x", exchange_order_id="78")
            )
            await asyncio.sleep(SOON_S)
            assert await world.book() == before

    # --- refusals and silence --------------------------------------------------------------------

    @virtually
    async def test_a_refused_order_is_tried_again_after_a_pause_under_a_new_id(self) -> None:
        """Not at once, and not under the same id."""
        async with self.trading() as world:
            world.move(1012)  # the window moves up: 1010 is wanted
            world.venue.quote(SYMBOL, Decimal(1009), Decimal("1009.5"))  # and would take
            await asyncio.sleep(SETTLED_S)
            tried = [order for order in world.venue.sent if order.price == 1010]
            assert 2 <= len(tried) < 10
            assert len({order.client_oid for order in tried}) == len(tried)
            pauses = [later.created_ns - earlier.created_ns for earlier, later in pairwise(tried)]
            assert all(later > 1.5 * earlier for earlier, later in pairwise(pauses))
            world.quote()
            await asyncio.sleep(SETTLED_S)
            assert "OPEN BUY 1010 0.01" in world.resting()

    @pytest.mark.invariant(52)
    @virtually
    async def test_when_margin_is_short_openings_pause_and_exits_go_on(self) -> None:
        """All of them, each time for twice as long; and they go on by themselves."""
        async with self.trading() as world:
            sent = len(world.venue.sent)
            world.venue.short_of_margin = True
            world.move(1035)  # 1030, 1020 and 1010 are wanted
            await asyncio.sleep(45)
            tried_ns = sorted({order.created_ns for order in world.venue.sent[sent:]})
            pauses_s = [(later - earlier) / 1e9 for earlier, later in pairwise(tried_ns)]
            assert pauses_s == pytest.approx([1, 2, 4, 8, 16], abs=0.3)
            assert world.resting() == ["OPEN BUY 1000 0.01"]
            world.move(1005)
            await asyncio.sleep(SOON_S)
            world.move(999)
            await asyncio.sleep(SOON_S)
            assert world.resting() == ["CLOSE SELL 1010 0.01"]
            world.venue.short_of_margin = False
            await asyncio.sleep(20)
            assert world.resting() == ["CLOSE SELL 1010 0.01", *BELOW]

    @pytest.mark.invariant(31)
    @virtually
    async def test_an_answer_that_is_lost_is_asked_for(self) -> None:
        """The order is there: it is adopted."""
        world = self.world()
        world.venue.lose_answers = 3
        async with world.running():
            await asyncio.sleep(SETTLED_S)
            assert world.resting() == WINDOW
            assert len(world.venue.sent) == 3
            assert await world.differences() == []

    @pytest.mark.invariant(1, 32)
    @virtually
    async def test_a_request_that_is_lost_is_proven_lost_before_another_one_is_made(self) -> None:
        """Under a new id, behind the fence."""
        world = self.world()
        world.venue.lose_requests = 1
        async with world.running():
            await asyncio.sleep(2 * SETTLED_S)
            assert world.resting() == WINDOW
            assert len(world.venue.sent) == 4
            assert await world.differences() == []

    # --- its life --------------------------------------------------------------------------------

    @virtually
    async def test_once_stopped_it_decides_nothing(self) -> None:
        """What rests stays."""
        async with self.trading() as world:
            await world.end()
            sent = len(world.venue.sent)
            world.price = Decimal(1035)
            world.quote()
            await asyncio.sleep(SETTLED_S)
            assert len(world.venue.sent) == sent
            assert world.resting() == WINDOW
            await world.make()
            await asyncio.sleep(SETTLED_S)

    @pytest.mark.invariant(1)
    @pytest.mark.parametrize("how", ["stopped", "killed"])
    @virtually
    async def test_a_restart_places_nothing_twice(self, how: str) -> None:
        """It goes on where it was, with the same anchor."""
        async with self.trading() as world:
            before = await world.book()
            await (world.end() if how == "stopped" else world.kill())
            world.price = Decimal(1007)  # not where it began
            world.quote()
            await world.make()
            await asyncio.sleep(SETTLED_S)
            assert len(world.venue.sent) == 3
            assert (await world.book()).identity == before.identity

    @pytest.mark.invariant(2)
    @pytest.mark.parametrize("how", ["stopped", "killed"])
    @virtually
    async def test_what_fills_meanwhile_is_not_lost(self, how: str) -> None:
        """Though nobody was there to be told: at its own price, with its fee."""
        async with self.trading() as world:
            await (world.end() if how == "stopped" else world.kill())
            world.lossy = True
            world.move(999)
            await asyncio.sleep(SOON_S)
            world.lossy = False
            await world.make()
            await asyncio.sleep(SETTLED_S)
            book = await world.book()
            assert book.position == Decimal("0.01")
            assert "CLOSE SELL 1010 0.01" in world.resting()
            assert book.totals.fees == world.venue.exchange.accounts[ACCOUNT].fees

    @pytest.mark.invariant(1, 8)
    @pytest.mark.parametrize("where", ["before", "after"])
    @pytest.mark.parametrize("later_s", [0.0, SETTLED_S])
    @virtually
    async def test_a_crash_while_sending_doubles_nothing(self, where: str, later_s: float) -> None:
        """Whether or not the requests had arrived."""
        world = self.world()
        world.venue.hang = where
        async with world.running():
            await world.until_sent()
            await asyncio.sleep(later_s)
            await world.kill()
            world.venue.hang = ""
            await world.make()
            await asyncio.sleep(2 * SETTLED_S)
            assert world.resting() == WINDOW
            assert await world.differences() == []

    @virtually
    async def test_fills_that_a_crash_took_are_found_again(self) -> None:
        """Told and taken up, but perhaps not kept yet."""
        async with self.trading() as world:
            world.trade("999.9", "0.004")
            await asyncio.sleep(0.01)
            await world.kill()
            await world.make()
            await asyncio.sleep(SETTLED_S)
            assert (await world.book()).totals.fills == 1
            world.trade("999.9", "0.006")
            await asyncio.sleep(SOON_S)
            assert (await world.book()).totals.fills == 2
            assert "CLOSE SELL 1010 0.01" in world.resting()

    # --- what is none of its business ------------------------------------------------------------

    @virtually
    async def test_funding_and_positions_change_nothing_of_a_grid(self) -> None:
        """What a grid holds is what its slots hold."""
        async with self.trading() as world:
            before, engine = await world.book(), world.engine
            assert engine is not None
            now_ns = world.clock.now_ns()
            await engine.on_funding_update(
                FundingUpdate(
                    symbol=SYMBOL,
                    rate=Decimal("0.01"),
                    settlement_time_ns=now_ns,
                    interval_hours=8,
                    mark_price=Decimal(1),
                    index_price=None,
                    exchange_time_ns=now_ns,
                    receive_time_ns=now_ns,
                )
            )
            await engine.on_position_update(
                PositionUpdate(
                    account=ACCOUNT,
                    position=Position(
                        symbol=SYMBOL,
                        quantity=Decimal(7),
                        entry_price=Decimal(1000),
                        mark_price=None,
                        unrealised_pnl=None,
                        liquidation_price=None,
                    ),
                    cause="ORDER",
                    wallet_balance=None,
                    balance_change=None,
                    exchange_time_ns=now_ns,
                    receive_time_ns=now_ns,
                )
            )
            await asyncio.sleep(SOON_S)
            assert await world.book() == before
