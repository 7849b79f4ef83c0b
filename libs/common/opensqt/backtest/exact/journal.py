"""`Journal`: what is written down while a case runs, as the columns of its result."""

from decimal import Decimal

from opensqt.backtest.case import Case, Mode
from opensqt.backtest.exact.timeline import Timeline
from opensqt.backtest.result import BotRun, End, Fills, Kind, Orders, Payments, Result, money_unit
from opensqt.backtest.tape import RATE_UNIT
from opensqt.core.events import Forced
from opensqt.core.exchange.account import Account
from opensqt.core.exchange.events import OrderChanged
from opensqt.core.exchange.forced import forced_by_id
from opensqt.core.grid.book import GridBook, Standing
from opensqt.core.numbers import EXACT, plain
from opensqt.core.orders import Order, OrderStatus, Purpose

_ENDS = {
    OrderStatus.NEW: End.OPEN,
    OrderStatus.PARTIALLY_FILLED: End.OPEN,
    OrderStatus.FILLED: End.FILLED,
    OrderStatus.CANCELED: End.CANCELED,
    OrderStatus.EXPIRED: End.EXPIRED,
}
_COLUMNS = tuple(Orders.__dataclass_fields__)


def count_of(number: Decimal, unit: Decimal) -> int:
    """How many units a number is.

    Raises:
        ValueError: It is not a whole number of them.
    """
    count = EXACT.divide(number, unit)
    whole = int(count)
    if count != whole:
        raise ValueError(f"{plain(number)} is not a multiple of {plain(unit)}")
    return whole


class Journal:
    """Writes down orders and fills."""

    def __init__(self, case: Case) -> None:
        self._bots = case.bots
        self._number = {(bot.account, bot.symbol): n for n, bot in enumerate(case.bots)}
        self._orders: dict[str, list[int]] = {name: [] for name in _COLUMNS}
        self._fills: dict[str, list[int]] = {name: [] for name in Fills.__dataclass_fields__}
        self._row: dict[tuple[str, str], int] = {}
        """Row of an order, by account and client order id."""
        self._units = tuple(money_unit(bot.instrument) for bot in case.bots)

    def bot_of(self, account: str, symbol: str) -> int:
        """The number of the bot that trades a symbol on an account."""
        return self._number[account, symbol]

    def decided(self, number: int, book: GridBook, order: Order, now_ns: int) -> None:
        """A bot decided to place an order."""
        self._add(
            (self._bots[number].account, order.client_oid),
            bot=number,
            level=book.identity.lattice.nearest(order.slot_price),
            side=order.side.sign,
            kind=Kind.OPEN if order.purpose is Purpose.OPEN else Kind.CLOSE,
            cycle=order.cycle,
            price=self._ticks(number, order.price),
            quantity=self._steps(number, order.quantity),
            decided_ns=now_ns,
            placed_ns=-1,
        )

    def refused(self, account: str, order: Order, now_ns: int) -> None:
        """The exchange did not take an order."""
        self._set(self._row[account, order.client_oid], end=End.REFUSED, ended_ns=now_ns)

    def changed(self, event: OrderChanged) -> None:
        """Something happened to an order on the exchange."""
        order = event.order
        key = (order.account, order.client_order_id)
        if forced_by_id(order.client_order_id) is not Forced.NONE:
            # The id of a deleveraging is always the same one; that of the exchange is not.
            key = (order.account, f"forced {order.order_id}")
        if key not in self._row:
            self._forced(key, event)
        row = self._row[key]
        number = self._orders["bot"][row]
        if self._orders["placed_ns"][row] < 0:
            self._set(row, placed_ns=order.created_ns)
        end = _ENDS[order.status]
        ended_ns = -1 if end is End.OPEN else event.time_ns
        self._set(row, end=end, ended_ns=ended_ns, filled=self._steps(number, order.executed))
        if event.fill is not None:
            self._fill(row, number, event)

    def result(
        self,
        timeline: Timeline,
        books: list[GridBook],
        accounts: dict[str, Account],
        *,
        mode: Mode,
        acted: int,
    ) -> Result:
        """What came of the case."""
        runs = tuple(
            BotRun(
                identity=book.identity,
                instrument=bot.instrument,
                halted=book.standing_reason if book.standing is Standing.HALTED else "",
            )
            for bot, book in zip(self._bots, books, strict=True)
        )
        return Result(
            bots=runs,
            orders=Orders.of(**self._orders),
            fills=Fills.of(**self._fills),
            payments=self._payments(accounts),
            start_ns=int(timeline.time_ns[0]),
            end_ns=int(timeline.time_ns[-1]),
            events=len(timeline),
            mode=mode,
            acted=acted,
        )

    def _add(self, key: tuple[str, str], **values: int) -> None:
        self._row[key] = len(self._orders["bot"])
        values = {"ended_ns": -1, "end": End.ON_ITS_WAY, "filled": 0} | values
        for name in _COLUMNS:
            self._orders[name].append(int(values[name]))

    def _set(self, row: int, **values: int) -> None:
        for name, value in values.items():
            self._orders[name][row] = int(value)

    def _forced(self, key: tuple[str, str], event: OrderChanged) -> None:
        order = event.order
        number = self.bot_of(order.account, order.symbol)
        self._add(
            key,
            bot=number,
            level=0,
            side=order.side.sign,
            kind=Kind.FORCED,
            cycle=0,
            price=0,  # a market order has none; its fill will
            quantity=self._steps(number, order.quantity),
            decided_ns=event.time_ns,
            placed_ns=event.time_ns,
        )

    def _fill(self, row: int, number: int, event: OrderChanged) -> None:
        fill = event.fill
        assert fill is not None
        price = self._ticks(number, fill.price)
        if self._orders["kind"][row] == Kind.FORCED:
            self._set(row, price=price)
        values = {
            "order": row,
            "time_ns": event.time_ns,
            "price": price,
            "quantity": self._steps(number, fill.quantity),
            "maker": fill.maker,
            "fee": self._money(number, fill.fee),
            "realised": self._money(number, fill.realised),
        }
        for name, value in values.items():
            self._fills[name].append(value)

    def _payments(self, accounts: dict[str, Account]) -> Payments:
        rows = sorted(
            (payment.payment_id, self.bot_of(name, payment.symbol), payment)
            for name, account in accounts.items()
            for payment in account.payments
        )
        return Payments.of(
            bot=[number for _, number, _ in rows],
            time_ns=[payment.time_ns for _, _, payment in rows],
            rate=[count_of(payment.rate, RATE_UNIT) for _, _, payment in rows],
            position=[self._steps(number, payment.position) for _, number, payment in rows],
            amount=[self._money(number, payment.amount) for _, number, payment in rows],
        )

    def _ticks(self, number: int, price: Decimal) -> int:
        return count_of(price, self._bots[number].instrument.tick_size)

    def _steps(self, number: int, quantity: Decimal) -> int:
        return count_of(quantity, self._bots[number].instrument.step_size)

    def _money(self, number: int, amount: Decimal) -> int:
        return count_of(amount, self._units[number])
