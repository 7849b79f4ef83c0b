"""`opensqt slots`: every slot of a grid, once or as it changes."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live

from opensqt.cli.bots import choose_bot
from opensqt.cli.connection import BotOption, ConnectionOption, RunOption, Services, ask
from opensqt.cli.messages import as_row
from opensqt.cli.output import JsonOption, Output, command, make_table
from opensqt.market_maker.v1.state_pb2 import GridState, InventorySlot
from opensqt.market_maker.v1.state_service_pb2 import (
    GetGridRequest,
    WatchGridRequest,
    WatchGridResponse,
)

COLUMNS = ("price ", "slot", "position", "quantity ", "entry ", "exit ", "cycle ", "order")
FIELDS = (
    *("price", "slot_status", "position_status", "position_qty"),
    *("entry_price", "exit_price", "cycle", "client_oid"),
)
ROWS_SHOWN_MAX = 60


def slots(
    bot: BotOption = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on showing the slots as they change.")
    ] = False,
    connection: ConnectionOption = None,
    run: RunOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the slots of a grid, the highest price first.

    With --watch and --json: first the whole grid, then every change, one JSON value a line.
    """
    with command(as_json=as_json) as output:
        if watch:
            with suppress(KeyboardInterrupt):
                _watch(output, bot, connection, run)
            return

        async def question(services: Services) -> GridState:
            state = await services.state()
            request = GetGridRequest(bot_id=await choose_bot(services, bot))
            return (await state.GetGrid(request)).grid

        grid = ask(connection, run, question)
        if as_json:
            output.json(as_row(grid))
        else:
            output.table(COLUMNS, table_rows(grid.slots))
            output.line(f"{grid.identity.bot_id}, revision {grid.revision}")


def table_rows(slots: Iterable[InventorySlot]) -> list[list[object]]:
    """The rows of the table, as on a trader's ladder: the highest price first."""
    rows = [as_row(slot) for slot in slots]
    rows.sort(key=lambda row: Decimal(row["price"]), reverse=True)
    return [[row[name] for name in FIELDS] for row in rows]


def _watch(output: Output, bot: str | None, connection: Path | None, run: str | None) -> None:
    seen: dict[str, InventorySlot] = {}

    def remember(event: WatchGridResponse) -> None:
        if event.HasField("snapshot"):
            seen.clear()
            seen.update({slot.price.value: slot for slot in event.snapshot.slots})
        else:
            seen.update({slot.price.value: slot for slot in event.change.slots})

    async def question(services: Services) -> None:
        state = await services.state()
        request = WatchGridRequest(bot_id=await choose_bot(services, bot))
        with Live(console=output.console, auto_refresh=False) as screen:
            async for event in state.WatchGrid(request):
                if event.HasField("checkpoint_revision"):
                    continue
                if output.as_json:
                    output.json({key: v for key, v in as_row(event).items() if v is not None})
                    continue
                remember(event)
                rows = table_rows(seen.values())[:ROWS_SHOWN_MAX]
                if output.is_terminal:
                    screen.update(make_table(COLUMNS, rows), refresh=True)
                else:
                    for slot in table_rows(event.change.slots) or rows:
                        output.line("  ".join(str(value) for value in slot))

    with suppress(asyncio.CancelledError):
        ask(connection, run, question)
