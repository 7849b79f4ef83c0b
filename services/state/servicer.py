"""The state service over gRPC: decode, call, encode."""

import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, Final

from opensqt.core.grid.book import GridBook, GridChange
from opensqt.core.numbers import plain
from opensqt.market_maker.v1 import state_service_pb2 as pb
from opensqt.market_maker.v1 import state_service_pb2_grpc as pb_grpc
from opensqt.ports import Checkpoint, WatchEvent
from opensqt.runtime.authorisation import Allowlist, peer_identity
from opensqt.wire.actions import decode_batch
from opensqt.wire.comparison import encode_quarantined
from opensqt.wire.events import decode_order_update
from opensqt.wire.fields import (
    missing,
    not_allowed,
    read_count,
    read_optional_text,
    read_text,
    read_time,
)
from opensqt.wire.intents import decode_placement, encode_reservation
from opensqt.wire.resources import encode_execution, encode_order
from opensqt.wire.state import (
    decode_identity,
    encode_change,
    encode_grid,
    encode_slot,
)
from services.state.ledger import Ledger
from services.state.pages import item_before, size_of_page, token_after

DESCRIPTOR: Final = pb.DESCRIPTOR.services_by_name["StateService"]

RESULTS_MAX: Final = 1000
"""Most results of one request; as many as a batch has actions."""

REASON_LENGTH_MAX: Final = 200

_READERS: Final = ("strategy", "execution", "market_data", "risk", "cli")

ALLOWLIST: Final = Allowlist(
    {
        DESCRIPTOR.full_name: _READERS,
        f"{DESCRIPTOR.full_name}/RegisterGrid": ("strategy",),
        f"{DESCRIPTOR.full_name}/ReserveOrders": ("execution",),
        f"{DESCRIPTOR.full_name}/RecordResults": ("execution",),
        f"{DESCRIPTOR.full_name}/ApplyOrderUpdate": ("execution", "market_data"),
        # Whoever compares the ledger with the exchange.
        f"{DESCRIPTOR.full_name}/ConfirmGrid": ("market_data",),
        # A person, through the command line; or the watch over risk.
        f"{DESCRIPTOR.full_name}/HaltGrid": ("cli", "risk"),
        f"{DESCRIPTOR.full_name}/ResumeGrid": ("cli", "risk"),
    }
)
"""Everyone of ours may read; each write belongs to the service whose work it is."""


class StateServicer(pb_grpc.StateServiceServicer):
    """Answers for the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def RegisterGrid(
        self, request: pb.RegisterGridRequest, context: Any
    ) -> pb.RegisterGridResponse:
        """Register a grid, or return the registered one."""
        read_optional_text(request, "request_id", "")
        if not request.HasField("identity"):
            raise missing("identity", "the grid's identity")
        book, created = await self._ledger.register(decode_identity(request.identity))
        return pb.RegisterGridResponse(grid=encode_grid(book), created=created)

    async def ReserveOrders(
        self, request: pb.ReserveOrdersRequest, context: Any
    ) -> pb.ReserveOrdersResponse:
        """Commit the intents of a batch."""
        if not request.HasField("batch"):
            raise missing("batch", "the batch to commit")
        reservation = await self._ledger.reserve(
            decode_batch(request.batch),
            deadline_ns=read_time(request, "deadline", ""),
            request_id=read_optional_text(request, "request_id", ""),
        )
        return encode_reservation(reservation)

    async def RecordResults(
        self, request: pb.RecordResultsRequest, context: Any
    ) -> pb.RecordResultsResponse:
        """Record what the exchange answered."""
        read_optional_text(request, "request_id", "")
        if not 1 <= len(request.results) <= RESULTS_MAX:
            raise not_allowed("results", len(request.results), f"1 to {RESULTS_MAX} results")
        results = tuple(
            decode_placement(result, f"results[{index}]")
            for index, result in enumerate(request.results)
        )
        revision = await self._ledger.record(read_text(request, "bot_id", ""), results)
        return pb.RecordResultsResponse(revision=revision)

    async def ApplyOrderUpdate(
        self, request: pb.ApplyOrderUpdateRequest, context: Any
    ) -> pb.ApplyOrderUpdateResponse:
        """Apply what is known of an order."""
        read_optional_text(request, "request_id", "")
        if not request.HasField("update"):
            raise missing("update", "what is known of an order")
        applied = await self._ledger.apply(decode_order_update(request.update))
        return pb.ApplyOrderUpdateResponse(
            revision=applied.revision,
            changed=applied.changed,
            quarantined=bool(applied.quarantined),
            quarantine_reason=applied.quarantined,
        )

    async def ConfirmGrid(
        self, request: pb.ConfirmGridRequest, context: Any
    ) -> pb.ConfirmGridResponse:
        """Let a grid trade that is as the exchange has it."""
        read_optional_text(request, "request_id", "")
        revision = await self._ledger.confirm_grid(
            read_text(request, "bot_id", ""), epoch=read_count(request, "epoch", "")
        )
        return pb.ConfirmGridResponse(revision=revision)

    async def HaltGrid(self, request: pb.HaltGridRequest, context: Any) -> pb.HaltGridResponse:
        """Stop a grid from opening anything."""
        read_optional_text(request, "request_id", "")
        reason = read_text(request, "reason", "")
        if len(reason) > REASON_LENGTH_MAX:
            raise not_allowed("reason", reason[:80], f"at most {REASON_LENGTH_MAX} characters")
        revision = await self._ledger.halt_grid(
            read_text(request, "bot_id", ""), reason=reason, by=peer_identity(context) or ""
        )
        return pb.HaltGridResponse(revision=revision)

    async def ResumeGrid(
        self, request: pb.ResumeGridRequest, context: Any
    ) -> pb.ResumeGridResponse:
        """End a halt."""
        read_optional_text(request, "request_id", "")
        revision = await self._ledger.resume_grid(
            read_text(request, "bot_id", ""), by=peer_identity(context) or ""
        )
        return pb.ResumeGridResponse(revision=revision)

    async def ListQuarantined(
        self, request: pb.ListQuarantinedRequest, context: Any
    ) -> pb.ListQuarantinedResponse:
        """A page of what was put aside, newest first."""
        page = await self._ledger.quarantine(
            page_size=read_count(request, "page_size", ""), page_token=request.page_token
        )
        return pb.ListQuarantinedResponse(
            orders=[encode_quarantined(order) for order in page.items],
            next_page_token=page.next_token,
        )

    async def GetGrid(self, request: pb.GetGridRequest, context: Any) -> pb.GetGridResponse:
        """A grid with all its slots."""
        book = await self._ledger.grid(read_text(request, "bot_id", ""))
        return pb.GetGridResponse(grid=encode_grid(book))

    async def ListGrids(self, request: pb.ListGridsRequest, context: Any) -> pb.ListGridsResponse:
        """A page of grids, without their slots."""
        size = size_of_page(request.page_size)
        after = item_before(request.page_token, "grids")
        books = [b for b in await self._ledger.grids() if b.identity.bot_id > after]
        return pb.ListGridsResponse(
            grids=[encode_grid(book) for book in books[:size]],
            next_page_token=(
                token_after(books[size - 1].identity.bot_id, "grids") if len(books) > size else ""
            ),
        )

    async def ListSlots(self, request: pb.ListSlotsRequest, context: Any) -> pb.ListSlotsResponse:
        """A page of slots, by price."""
        bot_id = read_text(request, "bot_id", "")
        size = size_of_page(request.page_size)
        after = Decimal(item_before(request.page_token, "slots", bot_id) or 0)
        book = await self._ledger.grid(bot_id)
        prices = [price for price in sorted(book.slots) if price > after]
        return pb.ListSlotsResponse(
            slots=[encode_slot(book.slots[price]) for price in prices[:size]],
            next_page_token=(
                token_after(plain(prices[size - 1]), "slots", bot_id) if len(prices) > size else ""
            ),
            revision=book.revision,
        )

    async def ListOrders(
        self, request: pb.ListOrdersRequest, context: Any
    ) -> pb.ListOrdersResponse:
        """A page of orders, newest first."""
        page = await self._ledger.orders(
            read_text(request, "bot_id", ""),
            live_only=request.live_only,
            unsettled_only=request.unsettled_only,
            batch_id=read_optional_text(request, "batch_id", ""),
            page_size=read_count(request, "page_size", ""),
            page_token=request.page_token,
        )
        return pb.ListOrdersResponse(
            orders=[encode_order(order) for order in page.items], next_page_token=page.next_token
        )

    async def ListTrades(
        self, request: pb.ListTradesRequest, context: Any
    ) -> pb.ListTradesResponse:
        """A page of executions, newest first."""
        page = await self._ledger.executions(
            read_text(request, "bot_id", ""),
            page_size=read_count(request, "page_size", ""),
            page_token=request.page_token,
        )
        return pb.ListTradesResponse(
            trades=[encode_execution(execution) for execution in page.items],
            next_page_token=page.next_token,
        )

    async def WatchGrid(
        self, request: pb.WatchGridRequest, context: Any
    ) -> AsyncIterator[pb.WatchGridResponse]:
        """A snapshot, then every change, then checkpoints."""
        watching = self._ledger.watch(
            read_text(request, "bot_id", ""),
            from_revision=read_count(request, "from_revision", ""),
        )
        async with contextlib.aclosing(watching) as events:
            async for event in events:
                yield _encode_watch_event(event)


def _encode_watch_event(event: WatchEvent) -> pb.WatchGridResponse:
    match event:
        case GridBook():
            return pb.WatchGridResponse(snapshot=encode_grid(event))
        case GridChange():
            return pb.WatchGridResponse(change=encode_change(event))
        case Checkpoint():
            return pb.WatchGridResponse(checkpoint_revision=event.revision)
