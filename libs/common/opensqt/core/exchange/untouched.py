"""What the market may do without any account being the worse or the better for it.

Between the nearest client orders a trade or a quote changes nothing but the market itself; between
the bounds of the mark price nobody is liquidated. Whoever replays a recording may pass over such
events, and show the market the latest of them when it matters again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from opensqt.core.exchange.account import Account
from opensqt.core.exchange.margin import equity_and_maintenance
from opensqt.core.exchange.market import Market
from opensqt.core.numbers import ZERO, divide


@dataclass(frozen=True, slots=True, kw_only=True)
class Untouched:
    """A market's prices, themselves excluded, between which nothing is touched; None: no bound."""

    above: Decimal | None = None
    """The best of the clients' bids. A trade or a displayed bid at it, or below, may matter."""
    below: Decimal | None = None
    """The best of the clients' asks."""
    settled: bool = False
    """A quote that a trade implies touches nothing at the bounds either; the trade itself may."""


@dataclass(slots=True, kw_only=True)
class Solvent:
    """A market's mark prices, themselves excluded, between which nobody is liquidated."""

    above: Decimal | None = None
    below: Decimal | None = None


def solvent(
    accounts: Iterable[Account], markets: Mapping[str, Market]
) -> dict[str, Solvent] | None:
    """Between which marks every account keeps more than its maintenance margin.

    The bounds hold together: all marks may be anywhere between theirs at once. An account's reserve
    is shared out evenly among its positions, so with several the bounds are narrower than what
    would do for each. They hold as long as no account changes.

    Returns:
        By market; None when an account has no reserve already, so that the next look will tell.
    """
    bounds = {symbol: Solvent() for symbol in markets}
    for owner in accounts:
        held = [position for position in owner.positions.values() if position.quantity]
        if not held:
            continue
        equity, maintenance = equity_and_maintenance(owner, markets)
        reserve = equity - maintenance
        if reserve <= ZERO:
            return None
        for position in held:
            market, bound = markets[position.symbol], bounds[position.symbol]
            mark, rate = market.mark, market.rules.maintenance_rate
            assert mark is not None, f"{position.symbol}: a position without a market"
            # A loss of the position also changes what it has to be backed by.
            sign = 1 if position.quantity > ZERO else -1
            weight = abs(position.quantity) * (1 - sign * rate)
            if weight <= ZERO:
                return None
            edge = mark - sign * divide(reserve, weight * len(held))
            if sign > 0:
                bound.above = edge if bound.above is None else max(bound.above, edge)
            else:
                bound.below = edge if bound.below is None else min(bound.below, edge)
    return bounds
