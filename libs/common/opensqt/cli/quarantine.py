"""`opensqt quarantine`: the orders that were put aside."""

from opensqt.cli.connection import ConnectionOption, RunOption, Services, ask
from opensqt.cli.messages import Row
from opensqt.cli.orders import LimitOption
from opensqt.cli.output import JsonOption, command
from opensqt.cli.pages import all_rows
from opensqt.market_maker.v1.state_service_pb2 import ListQuarantinedRequest

COLUMNS = (
    *("since", "account", "symbol", "side", "status", "price ", "quantity ", "filled "),
    *("heard ", "order", "why"),
)
FIELDS = ("account", "symbol", "side", "status", "price", "quantity", "filled_quantity")


def quarantine(
    limit: LimitOption = 50,
    connection: ConnectionOption = None,
    run: RunOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the orders that were put aside, the newest first.

    They are on an account of ours, and of no bot of this ledger, or contradict
    it: placed by hand, by another program, by the exchange itself. They are
    left alone, never cancelled: what becomes of them is for you to say, at the
    exchange.

    An order that contradicts a bot's ledger halts that bot; `opensqt bots
    resume` lets it trade again.
    """
    with command(as_json=as_json) as output:

        async def question(services: Services) -> list[Row]:
            state = await services.state()
            request = ListQuarantinedRequest()
            return await all_rows(state.ListQuarantined, request, "orders", limit=limit)

        found = ask(connection, run, question)
        if as_json:
            output.json(found)
        elif not found:
            output.line("nothing was put aside")
        else:
            output.table(COLUMNS, [_shown(row) for row in found])


def _shown(row: Row) -> list[object]:
    update = row["update"]
    forced = update["forced"]
    why = row["reason"] if forced == "UNSPECIFIED" else f"{row['reason']} ({forced.lower()})"
    return [
        row["since"],
        *(update[name] for name in FIELDS),
        row["updates"],
        update["client_oid"] or update["exchange_order_id"],
        why,
    ]
