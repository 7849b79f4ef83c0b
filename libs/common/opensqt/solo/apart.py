"""Several bots in one process: each on an exchange of its own, and each comes back by itself."""

from opensqt.backtest.case import Case
from opensqt.runtime.config import refuse


def apart(case: Case) -> tuple[Case, ...]:
    """A case for each bot of a case.

    Raises:
        ConfigError: Two of them are on one account, whose margin they would have to share.
    """
    seen: dict[str, str] = {}
    for bot in case.bots:
        other = seen.setdefault(bot.account, bot.bot_id)
        if other != bot.bot_id:
            allowed = (
                f"an account for each bot, and {other} trades on this one; name another in the "
                f"configuration of {bot.bot_id}, or assume `accounts: separate`"
            )
            raise refuse("account", bot.account, allowed)
    return tuple(
        Case(
            bots=(bot,),
            markets={bot.symbol: case.markets[bot.symbol]},
            tapes={bot.symbol: case.tapes[bot.symbol]},
            accounts={bot.account: case.accounts[bot.account]},
        )
        for bot in case.bots
    )
