"""A process with a settle task that never ends, to be killed. Arguments: DSN, a file to touch."""

import asyncio
import sys
from pathlib import Path

from pydantic import SecretStr

from opensqt.runtime.clock import SystemClock
from opensqt.runtime.config_models import PostgresConfig
from services.execution.config import SettlementConfig
from services.execution.durable import DurableSettlement
from services.execution.settlement import SettleTask


async def main(dsn: str, marks: Path) -> None:
    async def work(bot_id: str, client_oids: tuple[str, ...]) -> float | None:
        if marks.name == "round":
            marks.touch()  # noqa: ASYNC240 - all that this process does
            await asyncio.sleep(3600)
        asyncio.get_running_loop().call_later(0.5, marks.touch)
        return 1.0  # the next round would be due long before the successor has started

    settlement = DurableSettlement(
        work,
        config=SettlementConfig(postgres=PostgresConfig(dsn=SecretStr(dsn))),
        account="main",
        clock=SystemClock(),
    )
    async with settlement:
        await settlement.see_to(SettleTask(task_id="alpha:7", bot_id="alpha", client_oids=("gb7",)))
        await asyncio.sleep(3600)


asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
