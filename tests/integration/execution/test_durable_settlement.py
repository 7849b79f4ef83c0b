"""Settle tasks in DBOS on a real PostgreSQL: the contract, and what survives a kill."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from opensqt.runtime.clock import SystemClock
from opensqt.runtime.config_models import PostgresConfig
from services.execution import durable as durable_module
from services.execution.config import SettlementConfig
from services.execution.durable import DurableSettlement
from services.execution.settlement import Round, Settlement, SettleTask
from tests.unit.execution.settlement_contract import Rounds, SettlementContract, task, until_idle

pytestmark = pytest.mark.integration

VICTIM = Path(__file__).with_name("settlement_victim.py")


def config(dsn: str) -> SettlementConfig:
    return SettlementConfig(postgres=PostgresConfig(dsn=SecretStr(dsn)))


def durable(dsn: str, work: Round, account: str = "main") -> DurableSettlement:
    return DurableSettlement(work, config=config(dsn), account=account, clock=SystemClock())


class TestDurableSettlement(SettlementContract):
    @pytest.fixture(autouse=True)
    def _on(self, database: str) -> None:
        self.dsn = database

    def open(self, work: Round) -> AbstractAsyncContextManager[Settlement]:
        return durable(self.dsn, work)


def statuses(dsn: str) -> dict[str, str]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT workflow_uuid, status FROM dbos.workflow_status")
        return {str(task_id): str(status) for task_id, status in rows}


async def test_a_closed_settlement_goes_on_where_it_was(database: str) -> None:
    first = Rounds(0.05, 0.05, 3600.0)
    async with durable(database, first) as settlement:
        await settlement.see_to(task())
        while first.of[task().client_oids] < 2:
            await asyncio.sleep(0.02)
    assert statuses(database) == {"alpha:1": "PENDING"}

    second = Rounds(None)
    async with durable(database, second) as settlement:
        assert await settlement.pending() == 1
        await until_idle(settlement)
    assert statuses(database) == {"alpha:1": "SUCCESS"}
    assert second.of == {task().client_oids: 1}


async def test_the_accounts_of_one_database_are_kept_apart(database: str) -> None:
    async with durable(database, Rounds(3600.0), account="main") as settlement:
        await settlement.see_to(task())
        assert await settlement.pending() == 1
    other = Rounds(None)
    async with durable(database, other, account="other") as settlement:
        assert await settlement.pending() == 0
        await asyncio.sleep(2)
        assert not other.of
    assert statuses(database) == {"alpha:1": "PENDING"}


async def test_nothing_of_ours_is_pickled(database: str) -> None:
    async with durable(database, Rounds(0.01, None)) as settlement:
        await settlement.see_to(task())
        await until_idle(settlement)
    with psycopg.connect(database) as connection:
        [(inputs,)] = connection.execute("SELECT inputs FROM dbos.workflow_input").fetchall()
        outputs = connection.execute("SELECT output FROM dbos.operation_outputs").fetchall()
    assert json.loads(inputs)["positionalArgs"] == ["alpha:1", "alpha", ["gb1", "gs1"]]
    assert [json.loads(output) for (output,) in outputs if output is not None]


async def test_the_steps_are_those_of_the_pinned_version(database: str) -> None:
    """Workflows that an older process began are replayed against these steps.

    If this fails, change `APPLICATION_VERSION` with the steps, and think of what is pending.
    """
    async with durable(database, Rounds(0.01, 0.01, None)) as settlement:
        await settlement.see_to(task())
        await until_idle(settlement)
    with psycopg.connect(database) as connection:
        steps = connection.execute(
            "SELECT function_id, function_name FROM dbos.operation_outputs ORDER BY function_id"
        ).fetchall()
        [(name, version)] = connection.execute(
            "SELECT name, application_version FROM dbos.workflow_status"
        ).fetchall()
    assert [step for _, step in steps] == [
        "settle_round", "DBOS.sleep", "settle_round", "DBOS.sleep", "settle_round",
    ]  # fmt: skip
    assert (name, version) == ("settle_batch", "settle-1-main")


async def test_what_finished_long_ago_is_deleted(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("SWEEP_INTERVAL_S", 0.2), ("SWEEP_PAUSE_S", 0.01), ("SWEEP_SIZE", 2)):
        monkeypatch.setattr(durable_module, name, value)
    rounds = Rounds(None)
    async with durable(database, rounds) as settlement:
        for number in range(5):
            await settlement.see_to(task(number))
        await until_idle(settlement)
        await asyncio.sleep(0.5)
        assert len(statuses(database)) == 5
        monkeypatch.setattr(durable_module, "KEPT", timedelta(seconds=-5))
        async with asyncio.timeout(20):
            while statuses(database):
                await asyncio.sleep(0.1)
    with psycopg.connect(database) as connection:
        for table in ("workflow_input", "operation_outputs"):
            rows = connection.execute(f"SELECT count(*) FROM dbos.{table}").fetchone()
            assert rows == (0,)


@pytest.mark.invariant(18, 26)
async def test_what_another_version_began_is_given_up_and_left_to_the_reaper(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(durable_module, "APPLICATION_VERSION", "settle-0")
        async with durable(database, Rounds(3600.0)) as settlement:
            await settlement.see_to(task(1))
            await settlement.see_to(task(2))
    assert set(statuses(database).values()) == {"PENDING"}

    rounds = Rounds(None)
    with capture_logs() as logs:
        async with durable(database, rounds) as settlement:
            await until_idle(settlement)
            # False: whoever asks has to see to its orders himself, as the reaper does.
            assert not await settlement.see_to(task(1))
            assert await settlement.see_to(task(3))
            await until_idle(settlement)
    assert statuses(database) == {
        "alpha:1": "CANCELLED",
        "alpha:2": "CANCELLED",
        "alpha:3": "SUCCESS",
    }
    assert rounds.of == {task(3).client_oids: 1}
    [told] = [line for line in logs if line["event"] == "settle_tasks_left_to_reaper"]
    assert (told["log_level"], told["tasks"]) == ("warning", 2)


@asynccontextmanager
async def victim(dsn: str, path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(sys.executable, str(VICTIM), dsn, str(path))
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.invariant(18)
@pytest.mark.parametrize("during", ["round", "sleep"])
async def test_a_killed_process_leaves_its_tasks_to_the_next(
    database: str, tmp_path: Path, during: str
) -> None:
    marks = tmp_path / during
    async with victim(database, marks) as process:
        async with asyncio.timeout(60):
            while not marks.exists():
                await asyncio.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    assert statuses(database) == {"alpha:7": "PENDING"}

    rounds = Rounds(0.05, None)
    async with durable(database, rounds) as settlement:
        await until_idle(settlement)
        again = SettleTask(task_id="alpha:7", bot_id="alpha", client_oids=("gb7",))
        assert not await settlement.see_to(again)
    assert statuses(database) == {"alpha:7": "SUCCESS"}
    assert rounds.of == {("gb7",): 2}


@pytest.mark.invariant(18)
async def test_what_a_second_process_began_is_given_up_once_it_is_gone(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable_module, "SWEEP_INTERVAL_S", 0.2)
    monkeypatch.setattr(durable_module, "ABANDONED_AFTER", timedelta(seconds=4))
    marks = tmp_path / "round"
    async with durable(database, Rounds(3600.0)) as settlement, asyncio.timeout(60):
        await settlement.see_to(task(1))
        async with victim(database, marks) as process:
            while not marks.exists():
                await asyncio.sleep(0.05)
            assert statuses(database)["alpha:7"] == "PENDING"
            process.kill()
            await process.wait()
        while statuses(database)["alpha:7"] == "PENDING":
            await asyncio.sleep(0.1)
        assert statuses(database) == {"alpha:1": "PENDING", "alpha:7": "CANCELLED"}
