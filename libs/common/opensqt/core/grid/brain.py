"""`Brain`: what decides for one grid, in memory: its book, the market as last heard, its settings.

Events go in through `hear_*`, `apply` and `record`; `decide` plans, reserves the slots of what it
plans, and returns the orders to send. Whatever runs it (an exchange, a backtest) sends them and
brings back the answers. It is pure: no clock, no wire, and nothing that is kept beyond the object.

The book has the live orders only. Orders that ended are kept beside it for a while, since news of
them may still come (the answer that a fill has outrun, a fill after a cancel); whoever keeps older
ones brings them back through `recall`.
"""

from collections import OrderedDict
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from opensqt.core.actions import Action, ActionBatch
from opensqt.core.events import Candle, Forced, OrderUpdate
from opensqt.core.grid.agenda import Agenda
from opensqt.core.grid.atr import Atr
from opensqt.core.grid.book import GridBook, GridChange
from opensqt.core.grid.config import GridConfig
from opensqt.core.grid.forced import forced_order_id
from opensqt.core.grid.quiet import Band, quiet_band
from opensqt.core.grid.results import Applied, Outcome, PlacementResult, Reservation, T
from opensqt.core.grid.slots import SlotManager
from opensqt.core.grid.strategy import Decision, decide, hold_what_rests
from opensqt.core.grid.windows import MarketView, spacing_of
from opensqt.core.instrument import Instrument
from opensqt.core.numbers import ZERO
from opensqt.core.orders import Order
from opensqt.core.risk.exposure import Exposure
from opensqt.core.risk.openings import Openings
from opensqt.core.values import replace

ENDED_KEPT: Final = 1000
"""Orders that are remembered after they ended; the oldest are forgotten first."""


def _nothing(_client_oid: str) -> Order | None:
    return None


def _nobody(_change: GridChange) -> None:
    return None


class Brain:
    """Decides for one grid.

    Args:
        book: The grid as it stands; it decides nothing while that is RECONCILING.
        config: How it trades.
        instrument: What it trades.
        atr: The average true range so far; None: of the closed candles that it will hear.
        recall: Finds an order that ended long ago, by its client order id.
        on_change: Is told every change of the book, in order.
        openings: Those of its account, shared with the other grids there; None: it is alone.
    """

    def __init__(
        self,
        book: GridBook,
        *,
        config: GridConfig,
        instrument: Instrument,
        atr: Atr | None = None,
        recall: Callable[[str], Order | None] = _nothing,
        on_change: Callable[[GridChange], None] = _nobody,
        openings: Openings | None = None,
    ) -> None:
        self.agenda = Agenda.of(book.trimmed())
        """What is to be decided on, and in which book."""
        self.config = config
        self.instrument = instrument
        self.atr = (atr or Atr(period=config.atr.period)) if config.atr else None
        self.last: Decimal | None = None
        self.bid: Decimal | None = None
        self.ask: Decimal | None = None
        self.price_time_ns = 0
        """When the price was heard that decisions are made on."""
        self.openings = Openings() if openings is None else openings
        self._latest = Decision()
        self._recall = recall
        self._on_change = on_change
        self._ended: OrderedDict[str, Order] = OrderedDict()

    @property
    def book(self) -> GridBook:
        """The grid as it stands."""
        return self.agenda.book

    # --- what comes in ---------------------------------------------------------------------------

    def hear_price(
        self, *, last: Decimal | None, bid: Decimal | None, ask: Decimal | None, time_ns: int
    ) -> None:
        """The market moved; None means unknown."""
        self.last, self.bid, self.ask, self.price_time_ns = last, bid, ask, time_ns

    def hear_candle(self, candle: Candle) -> None:
        """A one-minute candle closed."""
        if self.atr is not None:
            self.atr = self.atr.after(candle)

    def apply(self, update: OrderUpdate, *, now_ns: int) -> Applied:
        """Apply what is known of an order; what shows that the book may be wrong halts the grid.

        What the exchange forced is taken to be this grid's: no other trades the symbol on its
        account.
        """
        if update.forced is not Forced.NONE:
            return self._force(update, now_ns=now_ns)
        book = self._with(update.client_oid)
        outcome = SlotManager(book).apply(update, now_ns=now_ns)
        applied = self._take(outcome)
        if applied.halts:
            reason = f"order {update.client_oid}: {applied.quarantined}"
            self._take(SlotManager(self.book).halt(reason, now_ns=now_ns))
        return applied

    def record(self, results: tuple[PlacementResult, ...], *, now_ns: int) -> None:
        """Record what the exchange answered.

        Raises:
            Refusal: ORDER_UNKNOWN for an order that is neither in the book nor remembered.
        """
        book = self._with(*(result.client_oid for result in results))
        self._take(SlotManager(book).record(results, now_ns=now_ns))

    def confirm(self, *, now_ns: int) -> None:
        """Let it trade, if it was RECONCILING: all that the exchange has of it is in the book."""
        epoch = self.book.identity.epoch
        self._take(SlotManager(self.book).confirm(epoch=epoch, now_ns=now_ns))

    def halt(self, reason: str, *, now_ns: int) -> None:
        """Open nothing more until a person resumes it; the first reason stays."""
        self._take(SlotManager(self.book).halt(reason, now_ns=now_ns))

    # --- what comes out --------------------------------------------------------------------------

    def decide(
        self, *, now_ns: int, deadline_ns: int, exposure: Exposure = Exposure.ADD
    ) -> Reservation | None:
        """Decide once: the orders that are to be sent, their slots reserved; None: nothing.

        One decision has at most `GridConfig.max_actions`, so it is asked until it has nothing.

        Args:
            now_ns: The time.
            deadline_ns: When the requests that follow from it expire.
            exposure: What may be done.
        """
        actions = self._planned(now_ns, exposure)
        if not actions:
            return None
        batch = ActionBatch(
            bot_id=self.book.identity.bot_id,
            epoch=self.book.identity.epoch,
            state_revision=self.book.revision,
            actions=actions,
            price_time_ns=self.price_time_ns,
        )
        manager = SlotManager(self.book)
        return self._take(manager.reserve(batch, deadline_ns=deadline_ns, now_ns=now_ns))

    @property
    def spacing(self) -> int:
        """Every how many levels is in use."""
        return spacing_of(None if self.atr is None else self.atr.value, self.config)

    def quiet(self) -> Band | None:
        """Between which prices it goes on having nothing to do; None: it may have.

        Only right after `decide` has had nothing, until it hears of anything but prices, and until
        `wakes_ns`.
        """
        return quiet_band(self._latest)

    def market(self, now_ns: int, exposure: Exposure = Exposure.ADD) -> MarketView:
        """What a decision at `now_ns` sees of the market."""
        return MarketView(
            last=self.last,
            bid=self.bid,
            ask=self.ask,
            now_ns=now_ns,
            exposure_allowed=exposure is Exposure.ADD,
            instrument=self.instrument,
            paused=self.openings.paused(now_ns),
            atr=None if self.atr is None else self.atr.value,
        )

    def wakes_ns(self, now_ns: int) -> int | None:
        """When a back-off or a pause ends next, which may let it decide without any event."""
        times = (self.agenda.wakes_ns(now_ns), self.openings.wakes_ns(now_ns))
        return min((time_ns for time_ns in times if time_ns is not None), default=None)

    # --- inside ----------------------------------------------------------------------------------

    def _planned(self, now_ns: int, exposure: Exposure) -> tuple[Action, ...]:
        self._latest = decide(self.agenda, self.market(now_ns, exposure), self.config)
        actions = self._latest.actions
        if exposure is Exposure.HOLD:
            actions = hold_what_rests(self.book, actions, self.config)
        return actions

    def _force(self, update: OrderUpdate, *, now_ns: int) -> Applied:
        if update.execution is None:  # the forced order was made; what it closes comes next
            return Applied(revision=self.book.revision, changed=False)
        first = forced_order_id(self.book.identity.bot_id, update.execution.execution_id)
        outcome = SlotManager(self._with(first)).force(
            update, offered=update.execution.quantity, elsewhere=ZERO, now_ns=now_ns
        )
        self._take(outcome)
        return Applied(revision=self.book.revision, changed=outcome.change is not None)

    def _with(self, *client_oids: str) -> GridBook:
        """The book, with those of the orders in it that have ended."""
        book = self.book
        for client_oid in client_oids:
            if client_oid in book.orders:
                continue
            ended = self._ended.get(client_oid) or self._recall(client_oid)
            if ended is not None:
                book = replace(book, orders={**book.orders, client_oid: ended})
        return book

    def _take(self, outcome: Outcome[T]) -> T:
        change = outcome.change
        if change is None:
            return outcome.value
        self.openings.learn(self.book.orders, change.orders, now_ns=change.commit_time_ns)
        self.agenda = self.agenda.after(outcome.book.trimmed(), change)
        for order in change.orders:
            if order.status.terminal:
                self._ended[order.client_oid] = order
                self._ended.move_to_end(order.client_oid)
            else:
                self._ended.pop(order.client_oid, None)
        while len(self._ended) > ENDED_KEPT:
            self._ended.popitem(last=False)
        self._on_change(change)
        return outcome.value
