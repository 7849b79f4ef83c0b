"""An account's books: wallet, positions, orders and fills.

Money is exact throughout. A position keeps what was paid for it, not an average price: an average
does not divide evenly, and its rounding would leak into the wallet with every partial close. What
a partial close releases is rounded to `MONEY_STEP` and the rest stays with the position, so that
realised plus unrealised profit equals the sum of all cash flows to the last digit.

This module knows nothing of matching: it books what it is told.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from opensqt.core.exchange.orders import Fill, Order
from opensqt.core.numbers import EXACT, ZERO, divide

MONEY_STEP: Final = Decimal("0.00000001")
"""Finest amount that the exchange books."""

DEFAULT_LEVERAGE: Final = 20


def round_money(amount: Decimal) -> Decimal:
    """Round to what the exchange books, half to even."""
    return EXACT.quantize(amount, MONEY_STEP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A one-way position; a negative quantity is a short."""

    symbol: str
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    """Signed quantity times price of what is open: negative for a short. In quote."""
    realised: Decimal = ZERO
    """Accumulated realised profit of this symbol before fees, in quote."""

    @property
    def entry_price(self) -> Decimal:
        """Average price of the open quantity; zero when flat, as Binance reports it."""
        return divide(self.cost, self.quantity) if self.quantity else ZERO

    def unrealised(self, price: Decimal) -> Decimal:
        """Profit if the whole position were closed at `price`, before fees."""
        return self.quantity * price - self.cost

    def traded(self, signed_quantity: Decimal, price: Decimal) -> "tuple[Position, Decimal]":
        """The position after a fill, and the profit that the fill realised.

        A fill beyond the position closes it and opens the rest on the other side.
        """
        closing = ZERO
        if self.quantity * signed_quantity < 0:
            closing = min(abs(signed_quantity), abs(self.quantity)).copy_sign(signed_quantity)
        opening = signed_quantity - closing
        if closing == -self.quantity:
            released = self.cost
        else:
            released = round_money(divide(self.cost * -closing, self.quantity))
        realised = -closing * price - released
        after = Position(
            symbol=self.symbol,
            quantity=self.quantity + signed_quantity,
            cost=self.cost - released + opening * price,
            realised=self.realised + realised,
        )
        return after, realised


@dataclass(slots=True, kw_only=True)
class Account:
    """Everything that the exchange keeps of one account, in one object.

    Only the engine writes to it. `wallet` is at all times exactly
    ``deposit + realised - fees + funding``.
    """

    name: str
    deposit: Decimal
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    """Funding received less funding paid."""
    positions: dict[str, Position] = field(default_factory=dict)
    leverage: dict[str, int] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    """Every order ever accepted, by order id."""
    open_orders: dict[int, Order] = field(default_factory=dict)
    """Those that may still fill, oldest first."""
    open_ids: dict[str, int] = field(default_factory=dict)
    """Client order ids in use: those of open orders only, as on Binance."""
    latest_ids: dict[str, int] = field(default_factory=dict)
    """The latest order that was ever accepted under a client order id."""
    fills: list[Fill] = field(default_factory=list)
    payments: list["Payment"] = field(default_factory=list)
    """Funding settlements, oldest first."""

    @property
    def wallet(self) -> Decimal:
        """Wallet balance: what is there without unrealised profit."""
        return self.deposit + self.realised - self.fees + self.funding

    def position(self, symbol: str) -> Position:
        """The position in `symbol`; flat if there never was one."""
        return self.positions.get(symbol) or Position(symbol=symbol)

    def leverage_of(self, symbol: str) -> int:
        """The leverage set for `symbol`, or Binance's default."""
        return self.leverage.get(symbol, DEFAULT_LEVERAGE)

    def find(
        self, symbol: str, *, order_id: int | None = None, client_order_id: str | None = None
    ) -> Order | None:
        """An order by its id, else the open one or the latest one of a client order id."""
        if order_id is None:
            order_id = self.latest_ids.get(client_order_id or "")
        order = self.orders.get(order_id) if order_id is not None else None
        return order if order and order.symbol == symbol else None

    def keep(self, order: Order) -> None:
        """Record an order as it now stands."""
        self.orders[order.order_id] = order
        if order.open:
            self.open_orders[order.order_id] = order
            self.open_ids[order.client_order_id] = order.order_id
            self.latest_ids[order.client_order_id] = order.order_id
        elif self.open_orders.pop(order.order_id, None):
            del self.open_ids[order.client_order_id]

    def book_fill(self, fill: Fill, position: Position) -> None:
        """Record a fill and the position after it."""
        self.positions[fill.symbol] = position
        self.realised += fill.realised
        self.fees += fill.fee
        self.fills.append(fill)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One funding settlement of one position."""

    payment_id: int
    symbol: str
    rate: Decimal
    position: Decimal
    """What was held, signed, in base."""
    amount: Decimal
    """Received if positive, paid if negative, in quote."""
    time_ns: int
