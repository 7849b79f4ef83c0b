"""Carrying out a plan: each fault begins and ends at its time."""

import random
from collections.abc import Callable
from typing import Final

from opensqt.core.events import Forced
from opensqt.core.exchange.orders import OrderRequest, OrderType, TimeInForce
from opensqt.core.identifiers import grid_order_id, parse_order_id
from opensqt.core.orders import Purpose, Side
from simulation.database import at_once
from simulation.market import INSTRUMENT
from simulation.parts import Supervised
from simulation.person import Person
from simulation.plan import Fault, FaultKind, Part, Plan
from simulation.surroundings import BOT, Surroundings

MS: Final = 10**6
FORCES: Final = (Forced.LIQUIDATION, Forced.DELEVERAGING)


class Faults:
    """What goes wrong in a run.

    Args:
        plan: Says so.
        around: What the services live in.
        parts: The services.
        person: Trips the gate, and opens it again.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        around: Surroundings,
        parts: dict[Part, Supervised],
        person: Person,
    ) -> None:
        network, exchange, market = around.network, around.exchange, around.market
        self._plan = plan
        self._loop = around.loop
        self._parts = parts
        self._broker = around.broker
        self._database = around.database
        self._exchange = exchange
        self._market = market
        self._trace = around.trace
        self._outages = {"bus": 0, "store": 0}
        self._begins: dict[FaultKind, Callable[[Fault, random.Random], object]] = {
            FaultKind.KILL: lambda f, _: self._part(f).kill(down_s=f.length_ms / 1000),
            FaultKind.KILL_AT_POINT: self._kill_at_point,
            FaultKind.STALL: lambda f, _: self._part(f).stall(),
            FaultKind.LOSE: lambda f, _: network.begin(f),
            FaultKind.DELAY: lambda f, _: network.begin(f),
            FaultKind.REPEAT: lambda f, _: network.begin(f),
            FaultKind.LOSE_ANSWERS: lambda f, _: network.begin(f),
            FaultKind.BUS_DOWN: lambda _, __: self._bus_stops(),
            FaultKind.BUS_WIPED: lambda _, __: self._bus_stops(wiped=True),
            FaultKind.STORE_DOWN: lambda _, __: self._store_stops(),
            FaultKind.STORE_WIPED: lambda _, __: self._store_stops(wiped=True),
            FaultKind.EXCHANGE_DOWN: self._exchange_stops,
            FaultKind.EXCHANGE_REFUSES: lambda _, __: self._condition("refuses", 1),
            FaultKind.RATE_LIMIT: lambda _, __: self._condition("limited", 1),
            FaultKind.STREAM_DROP: self._stream_drops,
            FaultKind.STREAM_SILENT: self._stream_falls_silent,
            FaultKind.STALE_READS: lambda f, _: self._stale(f, begins=True),
            FaultKind.SKEW: lambda f, _: self._part(f).skew(f.value * MS),
            FaultKind.MANUAL_ORDER: self._manual_order,
            FaultKind.OTHER_BOT_ORDER: self._other_bot_order,
            FaultKind.FORCED: self._force,
            FaultKind.SELF_TRADE: self._self_trade,
            FaultKind.CANCELED_BY_EXCHANGE: lambda _, __: exchange.side.cancel_all(
                INSTRUMENT.symbol
            ),
            FaultKind.PRICE_JUMP: lambda f, _: market.jump(f.value),
            FaultKind.GATE_TRIP: lambda _, __: person.trip(),
            FaultKind.SECOND_EXECUTOR: lambda _, __: parts[Part.EXECUTION].start_second(),
        }
        self._ends: dict[FaultKind, Callable[[Fault], object]] = {
            FaultKind.STALL: lambda f: self._part(f).wake(),
            FaultKind.LOSE: network.end,
            FaultKind.DELAY: network.end,
            FaultKind.REPEAT: network.end,
            FaultKind.LOSE_ANSWERS: network.end,
            FaultKind.BUS_DOWN: lambda _: self._bus_starts(),
            FaultKind.BUS_WIPED: lambda _: self._bus_starts(),
            FaultKind.STORE_DOWN: lambda _: self._store_starts(),
            FaultKind.STORE_WIPED: lambda _: self._store_starts(),
            FaultKind.EXCHANGE_DOWN: lambda _: self._condition("down", -1),
            FaultKind.EXCHANGE_REFUSES: lambda _: self._condition("refuses", -1),
            FaultKind.RATE_LIMIT: lambda _: self._condition("limited", -1),
            FaultKind.STREAM_DROP: lambda _: self._condition("streams_down", -1),
            FaultKind.STALE_READS: lambda f: self._stale(f, begins=False),
            FaultKind.SKEW: self._clock_is_set,
            FaultKind.GATE_TRIP: lambda _: person.reset(),
            FaultKind.SECOND_EXECUTOR: lambda _: parts[Part.EXECUTION].kill_second(),
        }

    def schedule(self) -> None:
        """Have every fault begin and end at its time; the run's length ends them all."""
        for fault in self._plan.faults:
            begin_ms = min(fault.at_ms, self._plan.length_ms)
            end_ms = min(fault.at_ms + fault.length_ms, self._plan.length_ms)
            world = self._loop.world
            # By its content, so that leaving out another fault changes nothing here.
            chance = self._plan.stream(f"fault {fault} at {fault.at_ms}")
            world.later(begin_ms / 1000, self._begin, fault, chance)
            if fault.kind in self._ends:
                world.later(end_ms / 1000, self._end, fault)

    def mend(self) -> None:
        """Everything is well from now on."""
        for part in self._parts.values():
            part.forget_points()
            part.start()

    # --- beginnings and ends ---------------------------------------------------------------------

    def _begin(self, fault: Fault, chance: random.Random) -> None:
        self._note(str(fault))
        self._begins[fault.kind](fault, chance)

    def _end(self, fault: Fault) -> None:
        self._note(f"over: {fault.kind}")
        self._ends[fault.kind](fault)

    def _part(self, fault: Fault) -> Supervised:
        assert fault.part is not None
        return self._parts[fault.part]

    def _clock_is_set(self, fault: Fault) -> None:
        if fault.at_ms + fault.length_ms <= self._plan.length_ms:
            self._part(fault).skew(0)

    def _kill_at_point(self, fault: Fault, _: random.Random) -> None:
        assert fault.point is not None
        self._part(fault).kill_at(fault.point, down_s=fault.length_ms / 1000)

    def _bus_stops(self, *, wiped: bool = False) -> None:
        self._outages["bus"] += 1
        self._broker.stop()
        if wiped:
            self._broker.wipe()

    def _bus_starts(self) -> None:
        self._outages["bus"] -= 1
        if not self._outages["bus"]:
            self._broker.start()

    def _store_stops(self, *, wiped: bool = False) -> None:
        self._outages["store"] += 1
        self._database.stop()
        if wiped:
            self._database.wipe()

    def _store_starts(self) -> None:
        self._outages["store"] -= 1
        if not self._outages["store"]:
            self._database.start()

    def _condition(self, name: str, more: int) -> None:
        conditions = self._exchange.conditions
        setattr(conditions, name, getattr(conditions, name) + more)

    def _exchange_stops(self, _: Fault, __: random.Random) -> None:
        self._condition("down", 1)
        self._exchange.cut()

    def _stream_drops(self, _: Fault, __: random.Random) -> None:
        self._condition("streams_down", 1)
        self._exchange.drop_streams("the connection broke")

    def _stream_falls_silent(self, _: Fault, __: random.Random) -> None:
        for stream in self._exchange.streams:
            stream.silent = True

    def _stale(self, fault: Fault, *, begins: bool) -> None:
        stale = list(self._exchange.conditions.stale_ns)
        if begins:
            stale.append(fault.value * MS)
        else:
            stale.remove(fault.value * MS)
        self._exchange.conditions.stale_ns = tuple(stale)

    # --- other hands on the account --------------------------------------------------------------

    def _manual_order(self, fault: Fault, chance: random.Random) -> None:
        self._place(f"web{fault.at_ms}", chance)

    def _other_bot_order(self, fault: Fault, chance: random.Random) -> None:
        """Another program's, whose ids are made as ours are."""
        books = at_once(self._database.store.identities())
        epoch = books[0].identity.epoch if books else 1
        side = Side.BUY if chance.random() < 0.5 else Side.SELL
        client_oid = grid_order_id(
            bot_id=BOT,
            epoch=epoch,
            slot_price=INSTRUMENT.round_price(self._market.price),
            side=side,
            purpose=Purpose.OPEN,
            cycle=1000 + fault.at_ms,
        )
        self._place(client_oid, chance, side)

    def _place(self, client_oid: str, chance: random.Random, side: Side | None = None) -> None:
        side = side or (Side.BUY if chance.random() < 0.5 else Side.SELL)
        steps = chance.randrange(-5, 30)
        price = self._market.price - side.sign * self._plan.interval * steps / 10
        order = self._exchange.side.place_by(
            OrderRequest(
                symbol=INSTRUMENT.symbol,
                client_order_id=client_oid,
                side=side,
                type=OrderType.LIMIT,
                quantity=self._plan.quantity * chance.randrange(1, 4),
                price=INSTRUMENT.round_price(price),
                time_in_force=TimeInForce.GTC,
            )
        )
        if order is None:
            self._note(f"{client_oid} is refused")

    def _force(self, fault: Fault, chance: random.Random) -> None:
        held = abs(self._exchange.side.books.position(INSTRUMENT.symbol).quantity)
        share = round(fault.chance * 1000)
        quantity = INSTRUMENT.quantity_at_most(held * share / 1000)
        if quantity:
            kind = FORCES[chance.randrange(len(FORCES))]
            self._exchange.side.force_close(INSTRUMENT.symbol, kind, quantity)

    def _self_trade(self, _: Fault, chance: random.Random) -> None:
        ours = [
            order.client_order_id
            for order in self._exchange.side.books.open_orders.values()
            if parse_order_id(order.client_order_id) is not None
        ]
        if ours:
            self._exchange.side.expire_in_match(
                ours[chance.randrange(len(ours))], INSTRUMENT.symbol
            )

    def _note(self, what: str) -> None:
        self._trace.note(self._loop.now_ns, "fault", what)
