"""What must be so before anything is traded: a key that may trade, on an account we understand."""

from typing import Final, Protocol

import structlog

from opensqt.ports import AccountChecks, DependencyError, MarketFeed
from opensqt.runtime.config import refuse
from opensqt.runtime.retries import until_it_answers

PERMISSION_S: Final = 5.0
"""So long the exchange is asked whether the key may trade. One that answers questions and no
requests to trade is no reason to leave orders unsettled; without permission it refuses them all."""

_log = structlog.get_logger(__name__)


class CheckedVenue(MarketFeed, AccountChecks, Protocol):
    """What the checks need of an exchange."""


async def check_account(venue: CheckedVenue, *, timeout_s: float = 60.0) -> None:
    """Ask the exchange, until it answers, and refuse what does not fit.

    Args:
        venue: The exchange.
        timeout_s: How long it may be silent about the position mode.

    Raises:
        ConfigError: The key may not trade, or the account is in hedge mode.
        DependencyError: The exchange was silent for too long.
    """

    async def ask_whether_it_may_trade() -> str:
        listed = await venue.instruments()
        if not listed:
            raise DependencyError("the exchange lists no market")
        return await venue.trading_refusal(listed[0].symbol)

    try:
        refusal = await until_it_answers(
            "exchange", ask_whether_it_may_trade, errors=(DependencyError,), timeout_s=PERMISSION_S
        )
    except DependencyError as error:
        _log.warning("permission_to_trade_unknown", problem=str(error))
        refusal = ""
    if refusal:
        raise refuse(
            "exchange.api_key",
            f"a key that may not trade: {refusal}",
            "a key of this account that may trade, from this address",
        )
    hedging = await until_it_answers(
        "exchange", venue.hedge_mode, errors=(DependencyError,), timeout_s=timeout_s
    )
    if hedging:
        raise refuse(
            "exchange",
            "an account in hedge mode, which keeps long and short positions apart",
            "an account in one-way position mode",
        )
