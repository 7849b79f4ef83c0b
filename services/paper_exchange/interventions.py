"""What an exchange does to an account that the account did not ask for, when it is told to.

``POST /control/force_close`` closes a position, or a part of it, by liquidation, deleveraging or
settlement; ``POST /control/expire_in_match`` lets self-trade prevention take back an open order;
``POST /control/cancel_all`` takes back every open order of a market. Bodies are JSON.
"""

from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from opensqt.core.events import Forced
from opensqt.core.exchange.events import Event, OrderRefused
from opensqt.core.numbers import plain
from opensqt.runtime.bot_config import Symbol
from opensqt.runtime.config_models import ConfigModel, ExactDecimal
from services.paper_exchange.venue import Venue

Json = dict[str, Any]


class InterventionError(Exception):
    """It cannot be done: why, and what could."""


class _OnMarket(ConfigModel):
    account: Annotated[str, Field(min_length=1)]
    symbol: Symbol


class ForceClose(_OnMarket):
    """Close a position."""

    kind: Literal[Forced.LIQUIDATION, Forced.DELEVERAGING, Forced.SETTLEMENT] = Forced.LIQUIDATION
    quantity: ExactDecimal | None = Field(default=None, gt=0)
    """How much, in base; neither this nor fraction: all."""
    fraction: ExactDecimal | None = Field(default=None, gt=0, le=1)
    """How much of it, rounded up to the step."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.quantity is not None and self.fraction is not None:
            raise ValueError("quantity and fraction: allowed is one of both")
        return self


class ExpireInMatch(_OnMarket):
    """Expire an open order by self-trade prevention."""

    client_order_id: Annotated[str, Field(min_length=1)]


class CancelAll(_OnMarket):
    """Take back every open order."""


Intervention = ForceClose | ExpireInMatch | CancelAll
INTERVENTIONS: Final[dict[str, type[Intervention]]] = {
    "force_close": ForceClose,
    "expire_in_match": ExpireInMatch,
    "cancel_all": CancelAll,
}


def intervene(venue: Venue, wanted: Intervention) -> Json:
    """Do it, and say what is left.

    Raises:
        InterventionError: No such account, market or open order.
    """
    if wanted.account not in venue.exchange.accounts:
        raise InterventionError(
            f"account {wanted.account!r}; allowed: {', '.join(venue.exchange.accounts)}"
        )
    if wanted.symbol not in venue.exchange.markets:
        raise InterventionError(
            f"symbol {wanted.symbol!r}; allowed: {', '.join(venue.exchange.markets)}"
        )
    events = _events(venue, wanted)
    refused = next((event for event in events if isinstance(event, OrderRefused)), None)
    if refused is not None:
        raise InterventionError(f"{refused.reason}; allowed: {refused.allowed}")
    venue.user_streams.send(events)
    account = venue.account(wanted.account)
    return {
        "events": len(events),
        "position": plain(account.position(wanted.symbol).quantity),
        "open_orders": sum(o.symbol == wanted.symbol for o in account.open_orders.values()),
    }


def _events(venue: Venue, wanted: Intervention) -> tuple[Event, ...]:
    exchange, now_ns = venue.exchange, venue.clock.now_ns()
    match wanted:
        case ForceClose():
            return exchange.force_close(
                wanted.account,
                wanted.symbol,
                kind=wanted.kind,
                quantity=_quantity(venue, wanted),
                now_ns=now_ns,
            )
        case ExpireInMatch():
            order = venue.account(wanted.account).find(
                wanted.symbol, client_order_id=wanted.client_order_id
            )
            if order is None:
                raise InterventionError(f"no order {wanted.client_order_id!r}")
            return exchange.expire_in_match(
                wanted.account, wanted.symbol, order_id=order.order_id, now_ns=now_ns
            )
        case CancelAll():
            return exchange.cancel_all(wanted.account, wanted.symbol, now_ns=now_ns)


def _quantity(venue: Venue, wanted: ForceClose) -> Decimal | None:
    if wanted.fraction is None:
        return wanted.quantity
    held = abs(venue.account(wanted.account).position(wanted.symbol).quantity)
    instrument = venue.exchange.markets[wanted.symbol].rules.instrument
    down = instrument.quantity_at_most(held * wanted.fraction)
    return down if down == held * wanted.fraction else down + instrument.step_size
