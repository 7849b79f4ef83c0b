"""`GrpcPositionManager`: the state service over a channel, as the `PositionManager` port."""

from __future__ import annotations  # grpc is generic in its stubs only

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Final

import grpc
import grpc.aio

from opensqt.adapters.grpc.calls import Calls
from opensqt.core.actions import ActionBatch
from opensqt.core.events import OrderUpdate
from opensqt.core.grid.book import GridBook, GridIdentity
from opensqt.core.grid.results import Applied, PlacementResult, Reservation
from opensqt.core.orders import Execution, Order
from opensqt.market_maker.v1 import state_service_pb2 as pb
from opensqt.market_maker.v1.state_service_pb2_grpc import StateServiceStub
from opensqt.ports import Checkpoint, DependencyError, Page, Quarantined, WatchEvent
from opensqt.runtime.errors import domain_errors
from opensqt.wire.actions import encode_batch
from opensqt.wire.comparison import decode_quarantined
from opensqt.wire.events import encode_order_update
from opensqt.wire.fields import encode_time
from opensqt.wire.intents import decode_reservation, encode_placement
from opensqt.wire.resources import decode_execution, decode_order
from opensqt.wire.state import (
    decode_change,
    decode_grid,
    encode_identity,
)

GRIDS_PAGE: Final = 1000

SILENCE_MAX_S: Final = 5.0
"""A watch hears at least one checkpoint a second; after this silence its connection is dead."""


class GrpcPositionManager:
    """Implements `ports.PositionManager`.

    Args:
        channel: To the state service; stays the caller's to close.
        timeout_s: Deadline of each attempt of a call.
    """

    def __init__(self, channel: grpc.aio.Channel, *, timeout_s: float = 2.0) -> None:
        self._stub = StateServiceStub(channel)
        self._calls = Calls("state", timeout_s=timeout_s)

    async def register_grid(self, identity: GridIdentity) -> GridBook:
        """Register a grid, or return the registered one with its own anchor and epoch."""
        request = pb.RegisterGridRequest(identity=encode_identity(identity))
        response = await self._calls.repeated(self._stub.RegisterGrid, request)
        return self._calls.read(decode_grid, response.grid)

    async def reserve(self, batch: ActionBatch, *, deadline_ns: int) -> Reservation:
        """Commit a batch's intents; never repeated here, since prices grow old."""
        request = pb.ReserveOrdersRequest(
            request_id=batch.batch_id,
            batch=encode_batch(batch),
            deadline=encode_time(deadline_ns),
        )
        response = await self._calls.once(self._stub.ReserveOrders, request)
        return self._calls.read(decode_reservation, response)

    async def record(self, bot_id: str, results: tuple[PlacementResult, ...]) -> int:
        """Record what the exchange answered; the revision after it."""
        request = pb.RecordResultsRequest(
            bot_id=bot_id, results=[encode_placement(result) for result in results]
        )
        response = await self._calls.repeated(self._stub.RecordResults, request)
        return int(response.revision)

    async def apply(self, update: OrderUpdate) -> Applied:
        """Apply what is known of an order."""
        request = pb.ApplyOrderUpdateRequest(update=encode_order_update(update))
        response = await self._calls.repeated(self._stub.ApplyOrderUpdate, request)
        return Applied(
            revision=response.revision,
            changed=response.changed,
            quarantined=response.quarantine_reason if response.quarantined else "",
        )

    async def confirm_grid(self, bot_id: str, *, epoch: int) -> int:
        """Say that everything the exchange has of a grid is in its book; the revision after it."""
        request = pb.ConfirmGridRequest(bot_id=bot_id, epoch=epoch)
        response = await self._calls.repeated(self._stub.ConfirmGrid, request)
        return int(response.revision)

    async def halt_grid(self, bot_id: str, *, reason: str, by: str) -> int:  # noqa: ARG002 - see below
        """Halt a grid; the revision after it.

        Who does it (`by`) the service reads from our certificate.
        """
        request = pb.HaltGridRequest(bot_id=bot_id, reason=reason)
        response = await self._calls.repeated(self._stub.HaltGrid, request)
        return int(response.revision)

    async def resume_grid(self, bot_id: str, *, by: str) -> int:  # noqa: ARG002 - see below
        """End a halt: the grid trades once it is confirmed; the revision after it.

        Who does it (`by`) the service reads from our certificate. Never repeated here: between two
        attempts the grid may have been halted anew, for a reason that nobody has seen.
        """
        request = pb.ResumeGridRequest(bot_id=bot_id)
        response = await self._calls.once(self._stub.ResumeGrid, request)
        return int(response.revision)

    async def quarantine(self, *, page_size: int = 0, page_token: str = "") -> Page[Quarantined]:
        """What was put aside, newest first."""
        request = pb.ListQuarantinedRequest(page_size=page_size, page_token=page_token)
        response = await self._calls.repeated(self._stub.ListQuarantined, request)
        return Page(
            items=tuple(self._calls.read(decode_quarantined, order) for order in response.orders),
            next_token=response.next_page_token,
        )

    async def grid(self, bot_id: str) -> GridBook:
        """A grid with all its slots and live orders."""
        response = await self._calls.repeated(self._stub.GetGrid, pb.GetGridRequest(bot_id=bot_id))
        return self._calls.read(decode_grid, response.grid)

    async def grids(self) -> tuple[GridBook, ...]:
        """Every registered grid, without slots."""
        books: list[GridBook] = []
        token = ""
        while True:
            request = pb.ListGridsRequest(page_size=GRIDS_PAGE, page_token=token)
            response = await self._calls.repeated(self._stub.ListGrids, request)
            books += (self._calls.read(decode_grid, grid) for grid in response.grids)
            token = response.next_page_token
            if not token:
                return tuple(books)

    async def orders(
        self,
        bot_id: str,
        *,
        live_only: bool = False,
        unsettled_only: bool = False,
        batch_id: str = "",
        page_size: int = 0,
        page_token: str = "",
    ) -> Page[Order]:
        """Orders, newest first."""
        request = pb.ListOrdersRequest(
            bot_id=bot_id,
            live_only=live_only,
            unsettled_only=unsettled_only,
            batch_id=batch_id,
            page_size=page_size,
            page_token=page_token,
        )
        response = await self._calls.repeated(self._stub.ListOrders, request)
        return Page(
            items=tuple(self._calls.read(decode_order, order) for order in response.orders),
            next_token=response.next_page_token,
        )

    async def executions(
        self, bot_id: str, *, page_size: int = 0, page_token: str = ""
    ) -> Page[Execution]:
        """Executions, newest first."""
        request = pb.ListTradesRequest(bot_id=bot_id, page_size=page_size, page_token=page_token)
        response = await self._calls.repeated(self._stub.ListTrades, request)
        return Page(
            items=tuple(self._calls.read(decode_execution, trade) for trade in response.trades),
            next_token=response.next_page_token,
        )

    async def watch(
        self, bot_id: str, *, from_revision: int = 0
    ) -> AsyncGenerator[WatchEvent, None]:
        """A snapshot (unless `from_revision` is given), then every change, then checkpoints."""
        request = pb.WatchGridRequest(bot_id=bot_id, from_revision=from_revision)
        with domain_errors():
            stream = self._stub.WatchGrid(request)
            try:
                while (message := await _heard(stream)) is not grpc.aio.EOF:
                    yield self._calls.read(_decode_watch_event, message)
            finally:
                stream.cancel()
        raise DependencyError("the state service ended the watch")


async def _heard(stream: Any) -> Any:
    try:
        async with asyncio.timeout(SILENCE_MAX_S):
            return await stream.read()
    except TimeoutError:
        raise DependencyError(f"the watch has been silent for {SILENCE_MAX_S} s") from None


def _decode_watch_event(message: pb.WatchGridResponse) -> WatchEvent:
    match message.WhichOneof("event"):
        case "snapshot":
            return decode_grid(message.snapshot)
        case "change":
            return decode_change(message.change)
        case _:
            return Checkpoint(revision=message.checkpoint_revision)
