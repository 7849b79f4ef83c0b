"""Comparing the ledger with the exchange at a start, against the number of open orders.

The ledger is the real state service on PostgreSQL, asked over gRPC as market_data asks it. The
exchange answers from memory, so that what is measured is ours. Two starts of every size: nothing
has happened meanwhile, and every order was filled while nobody looked. The floor reads the same
rows with psycopg, and commits one row for every fill.
"""

import argparse
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import psycopg

from benchmarks import report
from benchmarks.opensqt_stack import start_opensqt
from benchmarks.stage import Stage, open_stage
from opensqt.adapters.grpc.position_manager import GrpcPositionManager
from opensqt.core.actions import ActionBatch, Place
from opensqt.core.events import OrderUpdate, Position, UpdateSource
from opensqt.core.grid.book import Direction, GridIdentity
from opensqt.core.grid.results import PlacementResult
from opensqt.core.orders import EndReason, Execution, Order, OrderStatus, Purpose, Side
from opensqt.runtime.clock import SystemClock
from opensqt.runtime.config_models import PeerConfig, TlsConfig
from opensqt.runtime.grpc_channel import open_channel
from services.market_data.comparison import Comparison

SIZES = (10, 100, 1_000, 10_000)
BATCH = 500
REPEATS = 3
ACCOUNT, SYMBOL = "bench", "BTCUSDT"
ANCHOR, INTERVAL, QUANTITY = Decimal(200_000), Decimal(10), Decimal("0.001")
HORIZON_NS = 30 * 24 * 3600 * 10**9
DEADLINE_NS = 600 * 10**9
TIMEOUT_S = 30.0


@dataclass(slots=True)
class Books:
    """The exchange's side, as a feed that answers at once."""

    orders: dict[str, OrderUpdate] = field(default_factory=dict)
    executions: list[Execution] = field(default_factory=list)

    def accept(self, order: Order, number: int) -> None:
        """Have an order open."""
        self.orders[order.client_oid] = OrderUpdate(
            account=ACCOUNT,
            symbol=SYMBOL,
            client_oid=order.client_oid,
            exchange_order_id=str(number),
            side=order.side,
            status=OrderStatus.NEW,
            end_reason=EndReason.NONE,
            price=order.price,
            quantity=order.quantity,
            filled_quantity=Decimal(0),
            average_price=None,
            execution=None,
            source=UpdateSource.QUERY,
            exchange_time_ns=time.time_ns(),
            receive_time_ns=time.time_ns(),
        )

    def fill_all(self) -> None:
        """Have every order filled."""
        for client_oid, order in self.orders.items():
            assert order.price is not None
            assert order.quantity is not None
            now_ns = time.time_ns()
            self.orders[client_oid] = replace(
                order,
                status=OrderStatus.FILLED,
                filled_quantity=order.quantity,
                average_price=order.price,
                exchange_time_ns=now_ns,
            )
            self.executions.append(
                Execution(
                    execution_id=f"t{order.exchange_order_id}",
                    client_oid="",
                    symbol=SYMBOL,
                    side=order.side,
                    price=order.price,
                    quantity=order.quantity,
                    fee=Decimal("0.01"),
                    fee_asset="USDT",
                    maker=True,
                    exchange_time_ns=now_ns,
                    exchange_order_id=order.exchange_order_id,
                )
            )

    async def account_events(self) -> AsyncIterator[Any]:
        """Nobody listens here."""
        return
        yield

    async def open_orders(self, symbol: str) -> tuple[OrderUpdate, ...]:
        assert symbol == SYMBOL
        return tuple(o for o in self.orders.values() if o.status.resting)

    async def orders_since(self, symbol: str, since_ns: int) -> tuple[OrderUpdate, ...]:
        assert symbol == SYMBOL
        assert since_ns
        return tuple(self.orders.values())

    async def executions_since(self, symbol: str, since_ns: int) -> tuple[Execution, ...]:
        assert symbol == SYMBOL
        return tuple(e for e in self.executions if e.exchange_time_ns >= since_ns)

    async def find_order(self, symbol: str, client_oid: str) -> OrderUpdate | None:
        assert symbol == SYMBOL
        return self.orders.get(client_oid)

    async def find_order_by_exchange_id(
        self, symbol: str, exchange_order_id: str
    ) -> OrderUpdate | None:
        assert symbol == SYMBOL
        found = (o for o in self.orders.values() if o.exchange_order_id == exchange_order_id)
        return next(found, None)

    async def position(self, symbol: str) -> Position:
        quantity = sum((e.quantity for e in self.executions), Decimal(0))
        return Position(
            symbol=symbol,
            quantity=quantity,
            entry_price=None,
            mark_price=None,
            unrealised_pnl=None,
            liquidation_price=None,
        )


async def run(options: argparse.Namespace) -> dict[str, Any]:
    del options
    async with open_stage() as stage, _managers(stage) as managers:
        floor = await _floor(stage)
        try:
            result = {}
            for size in SIZES:
                result[str(size)] = await _measure(size, managers, floor)
                print(f"  {size} orders: done", flush=True)
            return compare(result)
        finally:
            await floor.close()


@asynccontextmanager
async def _managers(stage: Stage) -> AsyncIterator[dict[str, GrpcPositionManager]]:
    """The state service, as each of its callers sees it."""
    started = await start_opensqt(stage, stage.port(), services=("state",))
    peer = PeerConfig(target=started.settings.address("state"))
    channels = {
        identity: open_channel(
            peer, identity="state", tls=TlsConfig.model_validate(stage.tls(identity))
        )
        for identity in ("execution", "strategy", "market_data")
    }
    try:
        yield {
            identity: GrpcPositionManager(channel, timeout_s=TIMEOUT_S)
            for identity, channel in channels.items()
        }
    finally:
        for channel in channels.values():
            await channel.close()


async def _floor(stage: Stage) -> psycopg.AsyncConnection[Any]:
    dsn = await stage.postgres.add_database("bare")
    connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
    await connection.execute(
        "CREATE TABLE live (client_oid text PRIMARY KEY, price numeric, quantity numeric,"
        " filled numeric, status text, exchange_order_id text, size int)"
    )
    return connection


async def _measure(
    size: int,
    managers: dict[str, GrpcPositionManager],
    floor: psycopg.AsyncConnection[Any],
) -> dict[str, float]:
    """Two starts with so many orders, and their floors."""
    bot_id = f"bench-{size}"
    books = Books()
    await _place(size, bot_id, managers, books)
    async with floor.cursor() as cursor:
        rows = [
            (o.client_oid, o.price, o.quantity, 0, "NEW", o.exchange_order_id, size)
            for o in books.orders.values()
        ]
        await cursor.executemany("INSERT INTO live VALUES (%s,%s,%s,%s,%s,%s,%s)", rows)
    ledger = _Only(managers["market_data"], bot_id)
    best: dict[str, float] = {}
    for _ in range(REPEATS):
        started = time.perf_counter()
        answer = await floor.execute("SELECT * FROM live WHERE size = %s", (size,))
        assert len(await answer.fetchall()) == size
        _keep(best, "floor_quiet_ms", started)
        started = time.perf_counter()
        findings = await _comparison(books, ledger).run()
        _keep(best, "quiet_ms", started)
        assert not findings.updates
    books.fill_all()
    started = time.perf_counter()
    for client_oid in books.orders:
        await floor.execute(
            "UPDATE live SET filled = quantity, status = 'FILLED' WHERE client_oid = %s",
            (client_oid,),
        )
    _keep(best, "floor_filled_ms", started)
    started = time.perf_counter()
    findings = await _comparison(books, ledger).run()
    _keep(best, "found_ms", started)
    for update in findings.updates:
        await managers["market_data"].apply(update)
    _keep(best, "filled_ms", started)
    book = await managers["market_data"].grid(bot_id)
    assert book.position == QUANTITY * size, f"{book.position} of {QUANTITY * size}"
    assert not (await _comparison(books, ledger).run()).updates
    return best


def _keep(best: dict[str, float], name: str, started: float) -> None:
    taken = (time.perf_counter() - started) * 1000
    best[name] = min(best.get(name, math.inf), taken)


def _comparison(books: Books, ledger: Any) -> Comparison:
    """As at a start: nothing is remembered."""
    return Comparison(
        ACCOUNT, feed=books, positions=ledger, clock=SystemClock(), horizon_ns=HORIZON_NS
    )


class _Only:
    """The ledger as if it had this one grid, so that the sizes do not disturb each other."""

    def __init__(self, positions: GrpcPositionManager, bot_id: str) -> None:
        self._positions = positions
        self._bot_id = bot_id

    def __getattr__(self, name: str) -> Any:
        return getattr(self._positions, name)

    async def grids(self) -> tuple[Any, ...]:
        grids = await self._positions.grids()
        return tuple(grid for grid in grids if grid.identity.bot_id == self._bot_id)


async def _place(
    size: int, bot_id: str, managers: dict[str, GrpcPositionManager], books: Books
) -> None:
    """A grid with an order resting in each of so many slots."""
    identity = GridIdentity(
        bot_id=bot_id,
        account=ACCOUNT,
        symbol=SYMBOL,
        quote="USDT",
        direction=Direction.LONG,
        anchor=ANCHOR,
        interval=INTERVAL,
        epoch=0,
    )
    book = await managers["strategy"].register_grid(identity)
    revision = await managers["market_data"].confirm_grid(bot_id, epoch=book.identity.epoch)
    state = managers["execution"]
    for first in range(0, size, BATCH):
        batch = ActionBatch(
            bot_id=bot_id,
            epoch=book.identity.epoch,
            state_revision=revision,
            actions=tuple(_opening(n) for n in range(first, min(first + BATCH, size))),
            price_time_ns=time.time_ns(),
        )
        reserved = await state.reserve(batch, deadline_ns=time.time_ns() + DEADLINE_NS)
        results = []
        for number, order in enumerate(reserved.to_place, first):
            books.accept(order, number)
            results.append(
                PlacementResult(
                    client_oid=order.client_oid,
                    status=OrderStatus.NEW,
                    exchange_order_id=str(number),
                )
            )
        revision = await state.record(bot_id, tuple(results))


def _opening(number: int) -> Place:
    price = ANCHOR - number * INTERVAL
    return Place(
        slot_price=price,
        side=Side.BUY,
        purpose=Purpose.OPEN,
        price=price,
        quantity=QUANTITY,
        reduce_only=False,
        post_only=True,
        exit_price=price + INTERVAL,
    )


def compare(result: dict[str, Any]) -> dict[str, Any]:
    """Print the table; the same as data."""
    rows = []
    before: dict[str, float] | None = None
    for size, one in result.items():
        for case in ("quiet", "filled"):
            one[f"{case}_ratio"] = report.ratio(one[f"{case}_ms"], one[f"floor_{case}_ms"])
            # 10 times the orders: 10 times the time is an exponent of 1, less is better.
            one[f"{case}_exponent"] = (
                math.log10(one[f"{case}_ms"] / before[f"{case}_ms"]) if before else math.nan
            )
        rows.append(
            (
                size,
                *(
                    text
                    for case in ("quiet", "filled")
                    for text in (
                        report.times(one[f"{case}_ratio"]),
                        report.number(one[f"{case}_ms"], 1),
                        report.number(one[f"{case}_ms"] / int(size), 3),
                        report.number(one[f"{case}_exponent"]),
                    )
                ),
            )
        )
        before = one
    case = ("ratio", "ms", "ms an order", "exponent")
    header = ("open orders", *case, *(f"{name}, filled" for name in case))
    print(report.table("comparing ledger and exchange at a start", header, rows))
    return result
