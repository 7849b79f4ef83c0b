"""What every settlement promises; a test class inherits it and gives a `settlement` factory."""

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from contextlib import AbstractAsyncContextManager

from services.execution.settlement import Round, Settlement, SettleTask


def task(number: int = 1) -> SettleTask:
    return SettleTask(
        task_id=f"alpha:{number}", bot_id="alpha", client_oids=(f"gb{number}", f"gs{number}")
    )


class Rounds:
    """Counts the rounds of each bot's orders, and answers as it is told."""

    def __init__(self, *waits_s: float | Exception | None) -> None:
        self._waits_s = list(waits_s)
        self.of: Counter[tuple[str, ...]] = Counter()
        self.bots: set[str] = set()

    async def __call__(self, bot_id: str, client_oids: tuple[str, ...]) -> float | None:
        self.bots.add(bot_id)
        self.of[client_oids] += 1
        answer = self._waits_s[min(self.of[client_oids], len(self._waits_s)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def until_idle(settlement: Settlement, timeout_s: float = 20) -> None:
    async with asyncio.timeout(timeout_s):
        while await settlement.pending():
            await asyncio.sleep(0.02)


class SettlementContract(ABC):
    @abstractmethod
    def open(self, work: Round) -> AbstractAsyncContextManager[Settlement]: ...

    async def test_rounds_go_on_until_nothing_is_in_doubt(self) -> None:
        rounds = Rounds(0.05, 0.05, None)
        async with self.open(rounds) as settlement:
            assert await settlement.see_to(task())
            await until_idle(settlement)
            assert rounds.of == {("gb1", "gs1"): 3}
            assert rounds.bots == {"alpha"}
            assert not settlement.running()

    async def test_a_task_runs_once_under_its_id(self) -> None:
        rounds = Rounds(0.3, None)
        async with self.open(rounds) as settlement:
            await settlement.see_to(task())
            while not settlement.running():
                await asyncio.sleep(0.01)
            assert tuple(settlement.running()) == (task(),)
            assert await settlement.see_to(task())
            assert await settlement.pending() == 1
            await until_idle(settlement)
            assert not await settlement.see_to(task())
            await asyncio.sleep(0.1)
            assert rounds.of == {("gb1", "gs1"): 2}

    async def test_tasks_run_beside_each_other(self) -> None:
        rounds = Rounds(0.2, None)
        async with self.open(rounds) as settlement:
            for number in range(5):
                await settlement.see_to(task(number))
            await until_idle(settlement)
        assert set(rounds.of.values()) == {2}
        assert len(rounds.of) == 5

    async def test_a_round_that_fails_is_tried_again(self) -> None:
        rounds = Rounds(RuntimeError("not foreseen"), None)
        async with self.open(rounds) as settlement:
            await settlement.see_to(task())
            await until_idle(settlement)
        assert rounds.of == {("gb1", "gs1"): 2}

    async def test_closing_does_not_wait_for_the_rounds(self) -> None:
        rounds = Rounds(3600.0)
        loop = asyncio.get_running_loop()
        async with self.open(rounds) as settlement:
            await settlement.see_to(task())
            while not rounds.of:
                await asyncio.sleep(0.01)
            started_s = loop.time()
        assert loop.time() - started_s < 20
