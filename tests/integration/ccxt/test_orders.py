"""Orders through ccxt on the paper exchange: placed, found, filled, cancelled, refused."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from opensqt.adapters.ccxt import BinanceUsdmExchange
from opensqt.core.orders import EndReason, Order, OrderStatus, Purpose, Side
from opensqt.ports import CancelOutcome, DependencyError
from services.paper_exchange.faults import Faults
from tests.integration.ccxt.conftest import SYMBOL, Paper

pytestmark = pytest.mark.integration


def order(client_oid: str = "gb0001", **changes: Any) -> Order:
    now = time.time_ns()
    built = Order(
        client_oid=client_oid,
        bot_id="btc",
        symbol=SYMBOL,
        side=Side.BUY,
        purpose=Purpose.OPEN,
        price=Decimal("59990.10"),
        quantity=Decimal("0.010"),
        slot_price=Decimal("59990.10"),
        cycle=0,
        reduce_only=False,
        post_only=True,
        batch_id="btc:1",
        created_ns=now,
        deadline_ns=now + 5_000_000_000,
        updated_ns=now,
    )
    return replace(built, **changes)


async def test_an_order_is_placed_found_and_cancelled(
    paper: Paper, exchange: BinanceUsdmExchange
) -> None:
    placed = await exchange.place(order())
    assert placed.status is OrderStatus.NEW
    found = await exchange.find_order(SYMBOL, "gb0001")
    assert found is not None
    assert found.exchange_order_id == placed.exchange_order_id
    assert (found.status, found.price, found.quantity) == (
        OrderStatus.NEW,
        Decimal("59990.10"),
        Decimal("0.010"),
    )
    (listed,) = await exchange.open_orders(SYMBOL)
    assert replace(listed, receive_time_ns=0) == replace(found, receive_time_ns=0)
    answer = await exchange.cancel(order())
    assert answer.outcome is CancelOutcome.CANCELED
    assert answer.update is not None
    assert answer.update.status is OrderStatus.CANCELED
    assert await exchange.open_orders(SYMBOL) == ()
    assert (await exchange.cancel(order())).outcome is CancelOutcome.GONE


async def test_an_order_that_never_was_is_not_found(exchange: BinanceUsdmExchange) -> None:
    assert await exchange.find_order(SYMBOL, "gb9999") is None
    assert (await exchange.cancel(order("gb9999"))).outcome is CancelOutcome.GONE


async def test_a_fill_shows_in_executions_and_position(
    paper: Paper, exchange: BinanceUsdmExchange
) -> None:
    before = time.time_ns() - 1_000_000_000
    await exchange.place(order())
    paper.trade("59980.0", "5")
    found = await exchange.find_order(SYMBOL, "gb0001")
    assert found is not None
    assert (found.status, found.filled_quantity) == (OrderStatus.FILLED, Decimal("0.010"))
    (execution,) = await exchange.executions_since(SYMBOL, before)
    assert execution.exchange_order_id == found.exchange_order_id
    assert (execution.price, execution.quantity) == (Decimal("59990.1"), Decimal("0.01"))
    assert execution.fee == Decimal("59990.1") * Decimal("0.01") * Decimal("0.0002")
    assert execution.maker
    position = await exchange.position(SYMBOL)
    assert (position.quantity, position.entry_price) == (Decimal("0.01"), Decimal("59990.1"))
    assert await exchange.executions_since(SYMBOL, time.time_ns() + 10**9) == ()
    (listed,) = await exchange.orders_since(SYMBOL, before)
    assert (listed.client_oid, listed.status) == ("gb0001", OrderStatus.FILLED)
    assert await exchange.orders_since(SYMBOL, time.time_ns() + 10**9) == ()


async def test_flat_without_a_position(exchange: BinanceUsdmExchange) -> None:
    assert (await exchange.position(SYMBOL)).quantity == 0


async def test_instruments_are_exact(exchange: BinanceUsdmExchange) -> None:
    (listed,) = await exchange.instruments()
    assert (listed.symbol, listed.tick_size, listed.step_size, listed.min_notional) == (
        SYMBOL,
        Decimal("0.10"),
        Decimal("0.001"),
        Decimal(100),
    )


REFUSALS = [
    ({"price": Decimal("60001.00")}, EndReason.POST_ONLY_WOULD_TAKE),
    ({"price": Decimal("59990.15")}, EndReason.FILTER),
    ({"quantity": Decimal("0.0015")}, EndReason.FILTER),
    ({"quantity": Decimal("0.001")}, EndReason.FILTER),
    ({"quantity": Decimal(900)}, EndReason.INSUFFICIENT_MARGIN),
    ({"reduce_only": True}, EndReason.REDUCE_ONLY_REJECTED),
    ({"symbol": "XYZUSDT"}, EndReason.OTHER),
]


@pytest.mark.parametrize(("changes", "reason"), REFUSALS, ids=[r.name for _, r in REFUSALS])
async def test_refusals_are_definite_and_have_their_reason(
    exchange: BinanceUsdmExchange, changes: dict[str, Any], reason: EndReason
) -> None:
    placed = await exchange.place(order(**changes))
    assert (placed.status, placed.end_reason) == (OrderStatus.REJECTED, reason)


@pytest.mark.invariant(36)
async def test_an_id_in_use_is_unknown_until_it_is_looked_up(
    exchange: BinanceUsdmExchange,
) -> None:
    await exchange.place(order())
    again = await exchange.place(order(price=Decimal("59980.00")))
    assert (again.status, again.end_reason) == (OrderStatus.UNKNOWN, EndReason.DUPLICATE_ID)


async def test_a_passed_deadline_is_not_sent(paper: Paper, exchange: BinanceUsdmExchange) -> None:
    placed = await exchange.place(order(deadline_ns=time.time_ns() - 1))
    assert placed.status is OrderStatus.NOT_PLACED
    assert await exchange.find_order(SYMBOL, "gb0001") is None


async def test_a_late_request_is_refused_by_the_exchange(paper: Paper) -> None:
    async with paper.connect() as exchange:
        paper.venue.injector.faults = Faults(latency_ms_min=300, latency_ms_max=300)
        placed = await exchange.place(order(deadline_ns=time.time_ns() + 100_000_000))
        paper.venue.injector.faults = Faults()
        # Latency may sit before or after the check; what must hold: no order after the deadline.
        found = await exchange.find_order(SYMBOL, "gb0001")
        if placed.status is OrderStatus.REJECTED:
            assert placed.end_reason is EndReason.TIMESTAMP
            assert found is None


FAULTS = [
    ({"lost_answer": 1}, OrderStatus.UNKNOWN, True),
    ({"lost_request": 1}, OrderStatus.UNKNOWN, False),
    ({"unknown_503": 1}, OrderStatus.UNKNOWN, None),
    ({"unavailable_503": 1}, OrderStatus.REJECTED, False),
    ({"internal_503": 1}, OrderStatus.REJECTED, False),
]


@pytest.mark.invariant(34)
@pytest.mark.parametrize(("fault", "status", "exists"), FAULTS, ids=[str(f[0]) for f in FAULTS])
async def test_faults_never_pass_for_something_else(
    paper: Paper,
    exchange: BinanceUsdmExchange,
    fault: dict[str, int],
    status: OrderStatus,
    exists: bool | None,  # noqa: FBT001
) -> None:
    paper.venue.injector.faults = Faults.model_validate(fault)
    placed = await exchange.place(order())
    paper.venue.injector.faults = Faults()
    assert placed.status is status
    found = await exchange.find_order(SYMBOL, "gb0001")
    if exists is not None:
        assert (found is not None) is exists


async def test_a_lost_answer_to_a_cancel_is_unknown(
    paper: Paper, exchange: BinanceUsdmExchange
) -> None:
    await exchange.place(order())
    paper.venue.injector.faults = Faults(lost_answer=1)
    answer = await exchange.cancel(order())
    paper.venue.injector.faults = Faults()
    # A DELETE is idempotent, so the HTTP client may have sent it twice: the order is gone anyway.
    assert answer.outcome in (CancelOutcome.UNKNOWN, CancelOutcome.GONE)
    found = await exchange.find_order(SYMBOL, "gb0001")
    assert found is not None
    assert found.status is OrderStatus.CANCELED


async def test_a_read_only_key_cannot_trade(paper: Paper) -> None:
    async with paper.connect(trade=False) as exchange:
        placed = await exchange.place(order())
        assert (placed.status, placed.end_reason) == (
            OrderStatus.REJECTED,
            EndReason.AUTHENTICATION,
        )
        assert await exchange.open_orders(SYMBOL) == ()


async def test_nobody_there_means_not_placed(paper: Paper) -> None:
    await paper.exchange.stop()
    async with paper.connect() as exchange:
        placed = await exchange.place(order())
        assert (placed.status, placed.end_reason) == (
            OrderStatus.NOT_PLACED,
            EndReason.EXCHANGE_UNAVAILABLE,
        )
        with pytest.raises(DependencyError):
            await exchange.find_order(SYMBOL, "gb0001")


@pytest.fixture
async def limited(
    run_paper: Callable[..., AbstractAsyncContextManager[Paper]],
) -> AsyncIterator[Paper]:
    async with run_paper(limits={"orders_per_10s": 2}) as running:
        yield running


async def test_too_many_orders_are_refused_and_cancels_still_pass(limited: Paper) -> None:
    async with limited.connect() as exchange:
        results = [await exchange.place(order(f"gb{n}")) for n in range(3)]
        assert [r.status for r in results] == [
            OrderStatus.NEW,
            OrderStatus.NEW,
            OrderStatus.REJECTED,
        ]
        assert results[2].end_reason is EndReason.RATE_LIMIT
        assert exchange.limits_used["ORDER-COUNT-10S"].count >= 2
        assert (await exchange.cancel(order("gb0"))).outcome is CancelOutcome.CANCELED


@pytest.mark.invariant(54)
async def test_a_ban_is_honoured(
    run_paper: Callable[..., AbstractAsyncContextManager[Paper]],
) -> None:
    async with run_paper(limits={"weight_per_minute": 60}) as paper, paper.connect() as exchange:
        with contextlib.suppress(DependencyError):
            for _ in range(100):
                await exchange.open_orders(SYMBOL)
        assert exchange.held_until_ns > time.time_ns()
        placed = await exchange.place(order())
        assert (placed.status, placed.end_reason) == (
            OrderStatus.NOT_PLACED,
            EndReason.RATE_LIMIT,
        )


async def test_whether_the_key_may_trade(paper: Paper, exchange: BinanceUsdmExchange) -> None:
    assert await exchange.trading_refusal(SYMBOL) == ""
    async with paper.connect(trade=False) as reader:
        assert "-2015" in await reader.trading_refusal(SYMBOL)
