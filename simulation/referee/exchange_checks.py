"""What must be true on the exchange, whatever we believe: checked at every request and event there.

Invariants 1, 3, 4, 5, 6, 8, 10, 12, 13 and 17.
"""

from collections import defaultdict
from decimal import Decimal

from opensqt.core.exchange.orders import Fill
from opensqt.core.exchange.orders import Order as ExchangeOrder
from opensqt.core.grid.book import Direction
from opensqt.core.numbers import ZERO, is_multiple, plain
from opensqt.core.orders import Order, Purpose, Side
from opensqt.testing.virtual_time import START_NS
from simulation.observer import ViolationError
from simulation.referee.facts import Facts, is_forced


class ExchangeChecks:
    """Checks requests, acceptances and fills.

    Args:
        facts: What was seen so far.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._executed: dict[int, Decimal] = {}
        self._position = ZERO
        self._opened: defaultdict[tuple[Decimal, Side], Decimal] = defaultdict(Decimal)
        self._closed: defaultdict[tuple[Decimal, Side], Decimal] = defaultdict(Decimal)
        self._forced: defaultdict[Side, Decimal] = defaultdict(Decimal)

    def sent(self, order: Order) -> None:
        """A request of ours leaves: its intent is committed, with the same fields (8, 10, 13)."""
        oid = order.client_oid
        intent = self._facts.intents.get(oid)
        if intent is None:
            raise ViolationError(8, f"{oid} is sent, and no ledger has committed it", oid)
        for name in ("symbol", "side", "purpose", "price", "quantity", "reduce_only", "slot_price"):
            committed, asked = getattr(intent, name), getattr(order, name)
            if committed != asked:
                raise ViolationError(
                    8, f"{oid} is sent with {name} {asked}, committed was {committed}", oid
                )
        instrument = self._facts.world.exchange.markets[order.symbol].rules.instrument
        if not is_multiple(order.price, instrument.tick_size):
            raise ViolationError(13, f"{oid} is sent at {plain(order.price)}, off the tick", oid)
        if not is_multiple(order.quantity, instrument.step_size):
            raise ViolationError(13, f"{oid} is for {plain(order.quantity)}, off the step", oid)
        neutral = self._facts.world.plan.direction is Direction.NEUTRAL
        if order.purpose is Purpose.CLOSE and not order.reduce_only and not neutral:
            raise ViolationError(10, f"{oid} closes and is not reduce-only", oid)

    def accepted(self, order: ExchangeOrder, *, time_ns: int) -> None:
        """The exchange has an order more."""
        if not self._facts.ours(order):
            return
        oid = order.client_order_id
        known = self._facts.accepted.setdefault(oid, [])
        known.append(order.order_id)
        if len(known) > 1:
            raise ViolationError(
                1, f"{oid} has become {len(known)} orders on the exchange: {known}", oid
            )
        intent = self._facts.intents[oid]
        asked = (order.side, order.price, order.quantity, order.reduce_only)
        if asked != (intent.side, intent.price, intent.quantity, intent.reduce_only):
            raise ViolationError(8, f"{oid} was accepted as {asked}, committed was {intent}", oid)
        self._not_given_up(oid)
        beside = [o.client_order_id for o in self._facts.open_of_ours(intent.slot_price)]
        if len(beside) > 1:
            raise ViolationError(
                5,
                f"slot {plain(intent.slot_price)} has {len(beside)} open orders on the exchange: "
                + ", ".join(beside),
                oid,
            )
        if intent.purpose is Purpose.OPEN:
            self._may_open(intent, time_ns)

    def filled(self, order: ExchangeOrder, fill: Fill) -> None:
        """An order has filled: not beyond itself, and not beyond what its slot holds (3, 6, 10)."""
        oid = order.client_order_id
        before = self._executed.get(order.order_id, ZERO)
        if not before < order.executed <= order.quantity:
            raise ViolationError(
                3,
                f"{oid} had {plain(before)} filled and now has {plain(order.executed)} "
                f"of {plain(order.quantity)}",
                oid,
            )
        self._executed[order.order_id] = order.executed
        position = self._position
        self._position += fill.quantity * fill.side.sign
        if order.reduce_only and abs(self._position) >= abs(position):
            raise ViolationError(
                10,
                f"reduce-only {oid} moved the position from {plain(position)} "
                f"to {plain(self._position)}",
                oid,
            )
        if is_forced(order):
            self._forced[fill.side] += fill.quantity
        parsed = self._facts.parsed(oid)
        if parsed is None or not self._facts.ours(order):
            return
        key = (parsed.slot_price, fill.side)
        if parsed.purpose is Purpose.OPEN:
            self._opened[key] += fill.quantity
            return
        self._closed[key] += fill.quantity
        other = Side.BUY if fill.side is Side.SELL else Side.SELL
        # What was closed by force while a closing order was on its way is closed twice, where it
        # cannot be reduce-only; the slot then holds the other way, and closes that.
        if self._closed[key] > self._opened[parsed.slot_price, other] + self._forced[other]:
            raise ViolationError(
                6,
                f"{oid} closes more than slot {plain(parsed.slot_price)} ever opened: "
                f"{plain(self._closed[key])} of "
                f"{plain(self._opened[parsed.slot_price, other])}",
                oid,
            )

    def _not_given_up(self, oid: str) -> None:
        ledger = self._facts.ledger
        known = ledger.orders.get(oid) if ledger is not None else None
        if known is not None and known.status.terminal:
            raise ViolationError(
                4, f"{oid} is accepted, and the ledger says that it is {known.status}", oid
            )

    def _may_open(self, intent: Order, time_ns: int) -> None:
        facts, oid = self._facts, intent.client_oid
        age_ns = facts.price_age_ns(intent, time_ns)
        if age_ns is None:
            raise ViolationError(8, f"{oid} is of batch {intent.batch_id}, nobody's decision", oid)
        if age_ns > facts.bounds.price_age_ns:
            raise ViolationError(
                12,
                f"{oid} opens on a price that is {age_ns / 1e9:.3f} s old; "
                f"at most {facts.bounds.price_age_ns / 1e9:.3f} s",
                oid,
            )
        closed_ns = time_ns - facts.gate_changed_ns
        if facts.gate and not facts.gate.open and closed_ns > facts.bounds.gate_ns:
            raise ViolationError(
                17, f"{oid} opens {closed_ns / 1e9:.3f} s after the gate has closed", oid
            )
        ledger = facts.ledger
        if ledger is not None and ledger.halted_ns is not None:
            halted_ns = START_NS + time_ns - ledger.halted_ns
            if halted_ns > facts.bounds.placing_ns:
                raise ViolationError(
                    17, f"{oid} opens {halted_ns / 1e9:.3f} s after the bot was halted", oid
                )
