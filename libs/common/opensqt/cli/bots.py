"""Which bot a command is about, and its pages of things."""

from collections.abc import AsyncIterator

from opensqt.cli.connection import Services
from opensqt.cli.exit_codes import ExitCode
from opensqt.cli.output import CommandError
from opensqt.market_maker.v1.state_pb2 import GridState
from opensqt.market_maker.v1.state_service_pb2 import ListGridsRequest


async def grids(services: Services) -> AsyncIterator[GridState]:
    """Every registered grid, without slots."""
    stub = await services.state()
    token = ""
    while True:
        page = await stub.ListGrids(ListGridsRequest(page_token=token))
        for grid in page.grids:
            yield grid
        token = page.next_page_token
        if not token:
            return


async def choose_bot(services: Services, bot: str | None) -> str:
    """The named bot, or the only one there is.

    Raises:
        CommandError: None is named, and there is none or more than one.
    """
    if bot is not None:
        return bot
    names = [grid.identity.bot_id async for grid in grids(services)]
    if not names:
        raise CommandError("no bot is registered yet", ExitCode.UNREACHABLE)
    if len(names) > 1:
        raise CommandError(f"name one of the bots with --bot: {', '.join(names)}", ExitCode.USAGE)
    return names[0]
