"""What positions and orders have to be backed by: initial and maintenance margin, cross mode.

Formulas as Binance documents them for USD-M futures: the initial margin of a symbol is the larger
of what it would be if all its buy orders, or all its sell orders, filled, divided by the leverage;
reduce-only orders need none. The tiers of maintenance margin are simplified to one rate.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from opensqt.core.exchange.account import Account, Position
from opensqt.core.exchange.market import Market
from opensqt.core.exchange.orders import Order
from opensqt.core.numbers import ZERO, divide
from opensqt.core.orders import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """An account's margin at given mark prices, in quote."""

    wallet: Decimal
    unrealised: Decimal
    position_initial: Decimal
    order_initial: Decimal
    maintenance: Decimal

    @property
    def equity(self) -> Decimal:
        """Wallet plus unrealised profit; Binance's margin balance."""
        return self.wallet + self.unrealised

    @property
    def initial(self) -> Decimal:
        """Initial margin of positions and open orders."""
        return self.position_initial + self.order_initial

    @property
    def available(self) -> Decimal:
        """What may back new orders; never negative."""
        return max(ZERO, self.equity - self.initial)


def symbol_initial(
    position: Position, orders: Iterable[Order], *, mark: Decimal, leverage: int
) -> tuple[Decimal, Decimal]:
    """Initial margin of one symbol: of its position, and what its orders add to that."""
    held = position.quantity * mark
    bids = asks = ZERO
    for order in orders:
        if order.symbol == position.symbol and not order.reduce_only:
            notional = order.remaining * (order.price or mark)
            if order.side is Side.BUY:
                bids += notional
            else:
                asks += notional
    for_position = divide(abs(held), Decimal(leverage))
    in_all = divide(max(abs(held), abs(held + bids), abs(held - asks)), Decimal(leverage))
    return for_position, in_all - for_position


def equity_and_maintenance(
    account: Account, markets: Mapping[str, Market]
) -> tuple[Decimal, Decimal]:
    """Equity and maintenance margin at the current marks, in quote; open orders need no look."""
    equity, maintenance = account.wallet, ZERO
    for symbol, position in account.positions.items():
        if position.quantity:
            market = markets[symbol]
            mark = market.mark
            assert mark is not None, f"{symbol}: a position without a market"
            equity += position.unrealised(mark)
            maintenance += abs(position.quantity) * mark * market.rules.maintenance_rate
    return equity, maintenance


def account_margin(account: Account, markets: Mapping[str, Market]) -> Margin:
    """The margin of all positions and open orders of an account."""
    symbols = dict.fromkeys(account.positions)
    symbols.update({order.symbol: None for order in account.open_orders.values()})
    unrealised = position_initial = order_initial = maintenance = ZERO
    for symbol in symbols:
        position = account.position(symbol)
        mark = markets[symbol].mark
        if mark is None:
            assert not position.quantity, f"{symbol}: a position without a market"
            mark = ZERO
        for_position, for_orders = symbol_initial(
            position,
            account.open_orders.values(),
            mark=mark,
            leverage=account.leverage_of(symbol),
        )
        unrealised += position.unrealised(mark)
        position_initial += for_position
        order_initial += for_orders
        maintenance += abs(position.quantity) * mark * markets[symbol].rules.maintenance_rate
    return Margin(
        wallet=account.wallet,
        unrealised=unrealised,
        position_initial=position_initial,
        order_initial=order_initial,
        maintenance=maintenance,
    )


def liquidation_price(account: Account, market: Market, margin: Margin) -> Decimal:
    """Mark price at which the account's equity meets its maintenance margin; zero if none.

    Other symbols' profit and margin are taken as they are now. From Binance's formula for cross
    margin, with one maintenance rate.
    """
    symbol = market.rules.instrument.symbol
    position, mark = account.position(symbol), market.mark
    if not position.quantity or mark is None:
        return ZERO
    rate = market.rules.maintenance_rate
    others = margin.unrealised - position.unrealised(mark)
    others_maintenance = margin.maintenance - abs(position.quantity) * mark * rate
    # equity(p) = wallet + others + q*p - cost; it meets others_maintenance + |q|*p*rate
    slope = position.quantity - abs(position.quantity) * rate
    backing = margin.wallet + others - others_maintenance - position.cost
    return max(ZERO, divide(-backing, slope))
