"""The settlement that lives and dies with its process."""

import asyncio
from contextlib import AbstractAsyncContextManager

from services.execution import settlement as settlement_module
from services.execution.settlement import Round, Settlement, VolatileSettlement
from tests.unit.execution.settlement_contract import Rounds, SettlementContract, task


class TestVolatileSettlement(SettlementContract):
    def open(self, work: Round) -> AbstractAsyncContextManager[Settlement]:
        return VolatileSettlement(work)


async def test_what_stays_in_doubt_is_left_to_the_reaper_in_the_end() -> None:
    rounds = Rounds(60.0)
    async with VolatileSettlement(rounds) as settlement:
        await settlement.see_to(task())
        await asyncio.sleep(60.0 * settlement_module.ROUNDS_MAX + 1)
        assert not settlement.running()
        assert rounds.of[task().client_oids] == settlement_module.ROUNDS_MAX
        assert not await settlement.see_to(task())
