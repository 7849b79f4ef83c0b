"""`opensqt fills`: every execution of a bot's orders."""

from opensqt.cli.bots import choose_bot
from opensqt.cli.connection import BotOption, ConnectionOption, RunOption, Services, ask
from opensqt.cli.messages import Row
from opensqt.cli.orders import LimitOption
from opensqt.cli.output import JsonOption, command
from opensqt.cli.pages import all_rows
from opensqt.market_maker.v1.state_service_pb2 import ListTradesRequest

COLUMNS = ("time", "side", "price ", "quantity ", "fee ", "asset", "realised ", "slot ", "order")
FIELDS = (
    *("exchange_time", "side", "price", "quantity", "fee"),
    *("fee_asset", "realised_pnl", "slot_price", "client_oid"),
)


def fills(
    bot: BotOption = None,
    limit: LimitOption = 50,
    connection: ConnectionOption = None,
    run: RunOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a bot's fills, the newest first."""
    with command(as_json=as_json) as output:

        async def question(services: Services) -> list[Row]:
            state = await services.state()
            request = ListTradesRequest(bot_id=await choose_bot(services, bot))
            return await all_rows(state.ListTrades, request, "trades", limit=limit)

        found = ask(connection, run, question)
        if as_json:
            output.json(found)
        else:
            output.table(COLUMNS, [[row[name] for name in FIELDS] for row in found])
