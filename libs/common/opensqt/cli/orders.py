"""`opensqt orders`: what we meant to trade, and what the exchange made of it."""

from typing import Annotated

import typer

from opensqt.cli.bots import choose_bot
from opensqt.cli.connection import BotOption, ConnectionOption, RunOption, Services, ask
from opensqt.cli.messages import Row
from opensqt.cli.output import JsonOption, command
from opensqt.cli.pages import all_rows
from opensqt.market_maker.v1.state_service_pb2 import ListOrdersRequest

COLUMNS = ("created", "side", "purpose", "price ", "quantity ", "filled ", "status", "why", "order")
FIELDS = (
    *("created_time", "side", "purpose", "price", "quantity"),
    *("filled_quantity", "status", "end_reason", "client_oid"),
)
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, help="Show at most this many.")]


def orders(
    bot: BotOption = None,
    live: Annotated[bool, typer.Option("--live", help="Only orders that have not ended.")] = False,
    unsettled: Annotated[
        bool, typer.Option("--unsettled", help="Only orders whose outcome is not proven yet.")
    ] = False,
    limit: LimitOption = 50,
    connection: ConnectionOption = None,
    run: RunOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a bot's orders, the newest first."""
    with command(as_json=as_json) as output:

        async def question(services: Services) -> list[Row]:
            state = await services.state()
            request = ListOrdersRequest(
                bot_id=await choose_bot(services, bot),
                live_only=live,
                unsettled_only=unsettled,
            )
            return await all_rows(state.ListOrders, request, "orders", limit=limit)

        found = ask(connection, run, question)
        if as_json:
            output.json(found)
        else:
            shown = [{**row, "end_reason": _reason(row)} for row in found]
            output.table(COLUMNS, [[row[name] for name in FIELDS] for row in shown])


def _reason(row: Row) -> str:
    return "" if row["end_reason"] == "UNSPECIFIED" else str(row["end_reason"])
