"""What an exchange lets one symbol trade: tick, step, minimum quantity and notional.

Rules as Binance documents them in `exchangeInfo` (PRICE_FILTER, LOT_SIZE, MIN_NOTIONAL); the other
exchanges state the same limits under other names.
"""

from dataclasses import dataclass
from decimal import Decimal

from opensqt.core.numbers import ceil_to, divide, floor_to, is_multiple, plain, round_to


class InstrumentRuleError(ValueError):
    """A price, quantity or notional that the exchange would refuse, and what it allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """The trading rules of one symbol on one exchange.

    Prices are in `quote` per `base`, quantities in `base`, notionals in `quote`.
    """

    symbol: str
    """The exchange's own name of the market, such as ``BTCUSDT``."""
    base: str
    quote: str
    tick_size: Decimal
    """Prices are multiples of this."""
    step_size: Decimal
    """Quantities are multiples of this."""
    min_quantity: Decimal
    max_quantity: Decimal
    min_notional: Decimal
    """Least price times quantity of an order that adds exposure; reduce-only orders are exempt."""

    def __post_init__(self) -> None:
        for name in ("tick_size", "step_size", "min_quantity", "max_quantity"):
            if getattr(self, name) <= 0:
                raise InstrumentRuleError(
                    f"{self.symbol}: {name} is {getattr(self, name)}; it must be positive"
                )
        if self.min_notional < 0:
            raise InstrumentRuleError(f"{self.symbol}: min_notional is negative")

    def round_price(self, price: Decimal) -> Decimal:
        """The nearest price that the exchange takes."""
        return round_to(price, self.tick_size)

    def price_at_most(self, price: Decimal) -> Decimal:
        """The highest price that the exchange takes at or below `price`."""
        return floor_to(price, self.tick_size)

    def price_at_least(self, price: Decimal) -> Decimal:
        """The lowest price that the exchange takes at or above `price`."""
        return ceil_to(price, self.tick_size)

    def quantity_at_most(self, quantity: Decimal) -> Decimal:
        """The largest quantity that the exchange takes at or below `quantity`; may be zero."""
        return floor_to(min(quantity, self.max_quantity), self.step_size)

    def quantity_for_quote(self, amount: Decimal, price: Decimal) -> Decimal:
        """The largest quantity whose notional at `price` does not exceed `amount` of quote."""
        return self.quantity_at_most(divide(amount, price))

    def check_order(self, *, price: Decimal, quantity: Decimal, reduce_only: bool) -> None:
        """Refuse an order that the exchange would refuse.

        Raises:
            InstrumentRuleError: Naming the rule that is broken and the allowed values.
        """
        if price <= 0 or not is_multiple(price, self.tick_size):
            raise InstrumentRuleError(
                f"{self.symbol}: price {plain(price)} is not a positive multiple of the tick "
                f"{plain(self.tick_size)}"
            )
        self.check_quantity(quantity)
        if not reduce_only and price * quantity < self.min_notional:
            raise InstrumentRuleError(
                f"{self.symbol}: {plain(price)} x {plain(quantity)} is a notional below "
                f"{plain(self.min_notional)} {self.quote}"
            )

    def check_quantity(self, quantity: Decimal) -> None:
        """Refuse a quantity that the exchange would refuse at any price.

        Raises:
            InstrumentRuleError: Naming the rule that is broken and the allowed values.
        """
        if not is_multiple(quantity, self.step_size):
            raise InstrumentRuleError(
                f"{self.symbol}: quantity {plain(quantity)} is not a multiple of the step "
                f"{plain(self.step_size)}"
            )
        if not self.min_quantity <= quantity <= self.max_quantity:
            raise InstrumentRuleError(
                f"{self.symbol}: quantity {plain(quantity)} is outside "
                f"{plain(self.min_quantity)} to {plain(self.max_quantity)}"
            )
