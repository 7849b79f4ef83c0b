"""Halting, resuming and looking at what was put aside, from the command line."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from opensqt.cli.app import app
from opensqt.cli.exit_codes import ExitCode
from opensqt.core.grid.book import Standing
from opensqt.runtime.certificates import tls_config_of
from opensqt.testing.contracts.state_store import register
from opensqt.testing.grids import NOW_NS, foreign
from opensqt.testing.loopback import Loopback
from opensqt.testing.memory_store import MemoryStore

pytestmark = pytest.mark.integration

NOBODY = "127.0.0.1:1"


class CommandLine:
    """Runs commands against a service."""

    def __init__(self, connection: Path) -> None:
        self._connection = str(connection)

    async def __call__(self, *arguments: str) -> Result:
        command = [*arguments, "--connection", self._connection]
        return await asyncio.to_thread(CliRunner().invoke, app, command)

    async def json(self, *arguments: str, code: ExitCode = ExitCode.OK) -> Any:
        answer = await self(*arguments, "--json")
        assert answer.exit_code == code, answer.output
        return json.loads(answer.stdout.splitlines()[-1])  # the service's log lies before it


@pytest.fixture
def opensqt(service: Loopback, tmp_path: Path) -> CommandLine:
    tls = tls_config_of(service.certificates, "cli")
    settings = {
        "tls": {name: str(path) for name, path in tls.model_dump().items()},
        "state": {"target": service.server.address},
        **{name: {"target": NOBODY} for name in ("strategy", "execution", "risk", "market_data")},
    }
    (tmp_path / "cli.yaml").write_text(json.dumps(settings))
    return CommandLine(tmp_path / "cli.yaml")


@pytest.mark.invariant(17)
async def test_a_bot_is_halted_and_resumed(opensqt: CommandLine, store: MemoryStore) -> None:
    await register(store)
    halted = await opensqt.json("bots", "halt", "btc", "--reason", "a bad feeling")
    assert (halted["bot"], halted["standing"]) == ("btc", "HALTED")
    assert "a bad feeling" in halted["standing_reason"]
    assert (await store.load("btc")).standing is Standing.HALTED
    again = await opensqt("bots", "halt", "btc", "--reason", "another")
    assert "btc is HALTED: a bad feeling" in again.stdout  # the first reason is the one to mend
    resumed = await opensqt("bots", "resume", "btc")
    assert resumed.exit_code == ExitCode.OK
    assert "btc is reconciling (revision 3)" in resumed.stdout
    assert (await store.load("btc")).standing is Standing.RECONCILING


@pytest.mark.parametrize("command", [["halt", "nobody", "--reason", "why"], ["resume", "nobody"]])
async def test_a_bot_that_is_not_registered_is_refused(
    opensqt: CommandLine, command: list[str]
) -> None:
    refused = await opensqt.json("bots", *command, code=ExitCode.REFUSED)
    assert refused["reason"] == "BOT_UNKNOWN"


async def test_a_halt_without_a_reason_is_bad_usage(opensqt: CommandLine) -> None:
    assert (await opensqt("bots", "halt", "btc")).exit_code == ExitCode.USAGE
    answer = await opensqt("bots", "halt", "btc", "--reason", "x" * 201)
    assert answer.exit_code == ExitCode.REFUSED


@pytest.mark.invariant(48)
async def test_what_was_put_aside_is_shown(opensqt: CommandLine, store: MemoryStore) -> None:
    assert await opensqt.json("quarantine") == []
    assert "nothing was put aside" in (await opensqt("quarantine")).stdout
    for number in ("7", "8", "8"):
        await store.quarantine(foreign(number), "not an order of any grid", now_ns=NOW_NS)
    newest, oldest = await opensqt.json("quarantine")
    assert newest["update"]["exchange_order_id"] == "8"
    assert newest["updates"] == 2
    assert oldest["reason"] == "not an order of any grid"
    assert oldest["since"].startswith("2027-")
    assert len(await opensqt.json("quarantine", "-n", "1")) == 1
    shown = (await opensqt("quarantine")).stdout
    assert "not an order of any grid" in shown


async def test_the_status_says_why_a_bot_is_halted(
    opensqt: CommandLine, store: MemoryStore
) -> None:
    await register(store)
    (bot,) = (await opensqt.json("status", code=ExitCode.FAILURE))["bots"]  # the others are down
    assert (bot["standing"], bot["standing_reason"]) == ("TRADING", "")
    await opensqt("bots", "halt", "btc", "--reason", "a bad feeling")
    shown = (await opensqt("status")).stdout
    assert "btc is HALTED: a bad feeling" in shown
    assert "opensqt bots resume btc" in shown
