"""`Floor`: the exchange's end of a backtest: the simulated exchange on the recorded markets."""

from opensqt.backtest.case import Case
from opensqt.backtest.exact.timeline import Course, Kind, Timeline
from opensqt.core.exchange import told
from opensqt.core.exchange.engine import SimulatedExchange
from opensqt.core.exchange.events import Event
from opensqt.core.orders import Order


class Floor:
    """The exchange.

    Args:
        case: Who has accounts, and what trades.
        timeline: What happens in the markets.
    """

    def __init__(self, case: Case, timeline: Timeline) -> None:
        self.courses = timeline.courses
        self.exchange = SimulatedExchange(case.markets[symbol] for symbol in timeline.courses)
        for name, account in case.accounts.items():
            self.exchange.open_account(name, deposit=account.deposit)
        for bot in case.bots:
            leverage = case.accounts[bot.account].leverage_of(bot.symbol)
            refused = self.exchange.set_leverage(bot.account, bot.symbol, leverage)
            if refused is not None:
                raise ValueError(
                    f"account {bot.account}: leverage of {bot.symbol} is {leverage}; "
                    f"allowed: {refused.allowed}"
                )
        self._seen = dict.fromkeys(self.courses, 0)
        """How many of a course's events the exchange's markets have seen."""

    def happen(self, course: Course, index: int) -> tuple[Event, ...]:
        """Let an event happen; what came before it has been caught up with.

        When it moves the mark price, every account is looked at for its liquidation.
        """
        symbol, now_ns = course.tape.symbol, int(course.time_ns[index])
        market = self.exchange.markets[symbol]
        before = market.mark
        events: tuple[Event, ...] = ()
        match course.kind[index]:
            case Kind.TRADE:
                trade = course.trade(course.latest(course.tape.trades, index))
                events = self.exchange.on_trade(symbol, trade, now_ns=now_ns)
            case Kind.QUOTE:
                self.exchange.on_quote(
                    symbol, course.quote(course.latest(course.tape.quotes, index))
                )
            case Kind.MARK:
                market.set_mark(course.mark_price(course.latest(course.tape.marks, index)))
            case Kind.FUNDING:
                rate = course.rate(course.latest(course.tape.fundings, index))
                events = self.exchange.settle_funding(symbol, rate, now_ns=now_ns)
        if market.mark != before:
            events += self.exchange.on_mark_price(symbol, None, now_ns=now_ns)
        self._seen[symbol] = index + 1
        return events

    def catch_up(self, happened: int) -> None:
        """Show the exchange's markets what events have left behind that were passed over."""
        for symbol, course in self.courses.items():
            seen, end = self._seen[symbol], course.before(happened)
            if end > seen:
                self._pass_over(course, seen, end - 1)
                self._seen[symbol] = end

    def place(self, order: Order, account: str, *, now_ns: int) -> tuple[Event, ...]:
        """Carry out the request to place an order."""
        return self.exchange.place(account, told.request_of(order), now_ns=now_ns)

    def cancel(self, order: Order, account: str, *, now_ns: int) -> tuple[Event, ...]:
        """Carry out the request to cancel an order."""
        return self.exchange.cancel(
            account, order.symbol, client_order_id=order.client_oid, now_ns=now_ns
        )

    def _pass_over(self, course: Course, seen: int, index: int) -> None:
        market, tape = self.exchange.markets[course.tape.symbol], course.tape
        trade = course.latest(tape.trades, index)
        if trade >= 0 and tape.trades.row[trade] >= course.row[seen]:
            market.show_trade(course.trade(trade))
        quote = course.latest(tape.quotes, index)
        if quote >= 0 and tape.quotes.row[quote] >= course.row[seen]:
            market.show_quote(course.quote(quote))
        mark = course.latest(tape.marks, index)
        if mark >= 0 and tape.marks.row[mark] >= course.row[seen]:
            market.set_mark(course.mark_price(mark))
