"""`opensqt export`: everything a bot ordered and traded, as a run that can be compared."""

import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from opensqt.backtest.recorded.run import Run
from opensqt.backtest.recorded.runfile import dumps, write_run
from opensqt.backtest.recorded.sources import run_of_ledger
from opensqt.cli.bots import choose_bot
from opensqt.cli.connection import BotOption, ConnectionOption, RunOption, Services, ask
from opensqt.cli.exit_codes import ExitCode
from opensqt.cli.output import CommandError, command
from opensqt.cli.pages import PAGE_SIZE_MAX
from opensqt.market_maker.v1.state_service_pb2 import ListOrdersRequest, ListTradesRequest
from opensqt.wire.resources import decode_execution, decode_order


def export(
    bot: BotOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write to this file; by default to stdout.")
    ] = None,
    connection: ConnectionOption = None,
    run: RunOption = None,
) -> None:
    """Write every order and fill of a bot as a run, for `opensqt diff`.

    Everything is exact; times are as precise as the ledger keeps them.

    Example: opensqt export --bot example > run.json
    """
    with command(as_json=False):
        if out is not None and not out.absolute().parent.is_dir():
            raise CommandError(f"--out {out}: no such directory", ExitCode.USAGE)

        async def question(services: Services) -> Run:
            return await read_ledger_run(services, await choose_bot(services, bot))

        found = ask(connection, run, question)
        if out is not None:
            write_run(out, found)
        else:
            sys.stdout.write(dumps(found))


async def read_ledger_run(services: Services, bot_id: str) -> Run:
    """The run of a bot as the state service has it."""
    state = await services.state()
    # The orders last: a fill of one that is not among them would have nowhere to go.
    trades = await _all(state.ListTrades, ListTradesRequest(bot_id=bot_id), "trades")
    orders = await _all(state.ListOrders, ListOrdersRequest(bot_id=bot_id), "orders")
    found = run_of_ledger(
        [decode_order(order) for order in orders],
        [decode_execution(trade) for trade in trades],
        source=f"ledger of {bot_id}",
    )
    return replace(found, end_ns=time.time_ns())


async def _all(call: Callable[[Any], Awaitable[Any]], request: Any, field: str) -> list[Any]:
    request.page_size = PAGE_SIZE_MAX
    found: list[Any] = []
    while True:
        page = await call(request)
        found += getattr(page, field)
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return found
