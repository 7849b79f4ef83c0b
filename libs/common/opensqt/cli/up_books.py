"""Asks the state service for our half of a paper run's books."""

from decimal import Decimal

import grpc

from opensqt.cli.connection import Services
from opensqt.cli.messages import Row, as_row
from opensqt.cli.pages import all_rows
from opensqt.core.numbers import ZERO, parse_decimal
from opensqt.embedded.paper.books import LedgerBooks, OpenOrder
from opensqt.market_maker.v1.state_service_pb2 import GetGridRequest, ListOrdersRequest

NOTHING = LedgerBooks(
    position=ZERO,
    open_orders={},
    unsettled=0,
    intents=frozenset(),
    fills=0,
    realised=ZERO,
    fees=ZERO,
)


async def read_ledger(services: Services, bot_id: str) -> LedgerBooks:
    """What the state service has of a bot; nothing, if the bot never came to register."""
    state = await services.state()
    try:
        grid = (await state.GetGrid(GetGridRequest(bot_id=bot_id))).grid
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        return NOTHING
    orders = await _all_orders(services, ListOrdersRequest(bot_id=bot_id))
    live = await _all_orders(services, ListOrdersRequest(bot_id=bot_id, live_only=True))
    unsettled = await _all_orders(services, ListOrdersRequest(bot_id=bot_id, unsettled_only=True))
    held: list[Decimal] = [parse_decimal(slot.position_qty.value) for slot in grid.slots]
    return LedgerBooks(
        position=sum(held, ZERO),
        open_orders={
            order["client_oid"]: OpenOrder(
                client_oid=order["client_oid"],
                side=order["side"],
                price=parse_decimal(order["price"]),
                quantity=parse_decimal(order["quantity"]),
                filled=parse_decimal(order["filled_quantity"]),
            )
            for order in live
        },
        unsettled=len(unsettled),
        intents=frozenset(order["client_oid"] for order in orders),
        fills=grid.totals.fills,
        realised=parse_decimal(grid.totals.realised_pnl.value),
        fees=parse_decimal(grid.totals.fees.value),
        standing=str(as_row(grid)["standing"]),
        standing_reason=grid.standing_reason,
    )


async def _all_orders(services: Services, request: ListOrdersRequest) -> list[Row]:
    state = await services.state()
    return await all_rows(state.ListOrders, request, "orders")
