"""Both sides' books: every order and execution, as the exchange has them and as the ledger does."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeVar

from opensqt.core.grid.book import GridBook
from opensqt.core.numbers import ZERO, parse_decimal
from opensqt.core.orders import Execution, Order, Side
from opensqt.ports import Page, PositionManager

T = TypeVar("T")

PAGE_SIZE: Final = 1000
OPEN: Final = frozenset({"NEW", "PARTIALLY_FILLED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeOrder:
    """An order that the exchange took."""

    order_id: str
    client_oid: str
    status: str
    price: Decimal
    quantity: Decimal
    executed: Decimal

    @property
    def open(self) -> bool:
        """It rests in the exchange's book."""
        return self.status in OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeFill:
    """An execution. Price in quote per base, quantity in base, fee in quote."""

    execution_id: str
    order_id: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Theirs:
    """The exchange's books of one account and symbol, from its first order on."""

    orders: tuple[ExchangeOrder, ...]
    fills: tuple[ExchangeFill, ...]
    position: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """The ledger's books of one bot.

    Attributes:
        grid: Slots, live orders and totals.
        orders: Every order that the ledger has.
        executions: Every execution that it has counted.
    """

    grid: GridBook
    orders: tuple[Order, ...]
    executions: tuple[Execution, ...]


def read_theirs(answer: Mapping[str, Any], account: str, symbol: str) -> Theirs:
    """Read what the paper exchange's control endpoint says of an account.

    Raises:
        KeyError: It says nothing of the account.
        NotExactError: A number is not exact.
    """
    books = answer["accounts"][account]
    position = books["positions"].get(symbol)  # a market that was never traded is not in there
    return Theirs(
        orders=tuple(
            ExchangeOrder(
                order_id=str(order["orderId"]),
                client_oid=order["clientOrderId"],
                status=order["status"],
                price=parse_decimal(order["price"]),
                quantity=parse_decimal(order["origQty"]),
                executed=parse_decimal(order["executedQty"]),
            )
            for order in books["orders"]
            if order["symbol"] == symbol
        ),
        fills=tuple(
            ExchangeFill(
                execution_id=str(fill["id"]),
                order_id=str(fill["orderId"]),
                side=Side(fill["side"]),
                price=parse_decimal(fill["price"]),
                quantity=parse_decimal(fill["qty"]),
                fee=parse_decimal(fill["commission"]),
            )
            for fill in books["fills"]
            if fill["symbol"] == symbol
        ),
        position=parse_decimal(position["quantity"]) if position else ZERO,
    )


async def read_ours(positions: PositionManager, bot_id: str) -> Ours:
    """Read everything that the ledger has of a bot.

    Raises:
        Refusal: BOT_UNKNOWN: it has nothing.
        DependencyError: The state service does not answer.
    """
    return Ours(
        grid=await positions.grid(bot_id),
        orders=await _all(
            lambda token: positions.orders(bot_id, page_size=PAGE_SIZE, page_token=token)
        ),
        executions=await _all(
            lambda token: positions.executions(bot_id, page_size=PAGE_SIZE, page_token=token)
        ),
    )


async def _all(page_at: Callable[[str], Awaitable[Page[T]]]) -> tuple[T, ...]:
    items: list[T] = []
    token = ""
    while True:
        page = await page_at(token)
        items += page.items
        token = page.next_token
        if not token:
            return tuple(items)
