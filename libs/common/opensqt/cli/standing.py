"""`opensqt bots`: halt a bot, and let it trade again."""

from typing import Annotated
from uuid import uuid4

import typer

from opensqt.cli.connection import ConnectionOption, RunOption, Services, ask
from opensqt.cli.exit_codes import EPILOG
from opensqt.cli.messages import Row, as_row
from opensqt.cli.output import JsonOption, Output, command
from opensqt.market_maker.v1.state_service_pb2 import (
    GetGridRequest,
    HaltGridRequest,
    ResumeGridRequest,
)

app = typer.Typer(
    help="""Halt a bot, and let it trade again.

    RECONCILING: registered, and compared with the exchange; it places nothing.

    TRADING: the ledger has everything that the exchange has of it.

    HALTED: by `halt`, by an order that the exchange forced on it (a
    liquidation), or by an exchange that contradicts the ledger. It opens
    nothing until `resume`; closing and cancelling go on.

    `opensqt status` shows which, and why; `opensqt quarantine` shows the orders
    that were put aside.""",
    no_args_is_help=True,
    epilog=EPILOG,
)

BotArgument = Annotated[str, typer.Argument(metavar="NAME", help="The bot.")]


@app.command(epilog=EPILOG)
def halt(
    bot: BotArgument,
    reason: Annotated[
        str, typer.Option("--reason", "-r", help="Why, for the people who will read it.")
    ],
    connection: ConnectionOption = None,
    run: RunOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop a bot from opening anything; what it holds it may close. A restart changes nothing."""
    with command(as_json=as_json) as output:

        async def question(services: Services) -> Row:
            state = await services.state()
            await state.HaltGrid(
                HaltGridRequest(request_id=str(uuid4()), bot_id=bot, reason=reason)
            )
            return await _standing(services, bot)

        _show(output, ask(connection, run, question))


@app.command(epilog=EPILOG)
def resume(
    bot: BotArgument,
    connection: ConnectionOption = None,
    run: RunOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a bot's halt: it is compared with the exchange once more, and then trades.

    Find out first why it was halted: `opensqt status` says it.
    """
    with command(as_json=as_json) as output:

        async def question(services: Services) -> Row:
            state = await services.state()
            await state.ResumeGrid(ResumeGridRequest(request_id=str(uuid4()), bot_id=bot))
            return await _standing(services, bot)

        _show(output, ask(connection, run, question))


def described(row: Row) -> str:
    """The standing of a bot in a few words: ``trading``, ``HALTED: liquidated``."""
    if row["standing"] == "HALTED":
        return f"HALTED: {row['standing_reason']}"
    return str(row["standing"]).lower()


async def _standing(services: Services, bot: str) -> Row:
    grid = (await (await services.state()).GetGrid(GetGridRequest(bot_id=bot))).grid
    row = as_row(grid)
    return {"bot": bot, **{key: row[key] for key in ("revision", "standing", "standing_reason")}}


def _show(output: Output, row: Row) -> None:
    if output.as_json:
        output.json(row)
    else:
        output.line(f"{row['bot']} is {described(row)} (revision {row['revision']})")
