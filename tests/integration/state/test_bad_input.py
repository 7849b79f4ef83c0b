"""Bad requests: each has its own status code and reason, and changes nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from opensqt.core.actions import ActionBatch
from opensqt.core.errors import RefusalReason
from opensqt.core.grid.results import PlacementResult
from opensqt.core.orders import Order, OrderStatus
from opensqt.market_maker.v1 import state_pb2, state_service_pb2
from opensqt.market_maker.v1.state_service_pb2_grpc import StateServiceStub
from opensqt.runtime.errors import refusal_of
from opensqt.testing.contracts.state_store import place, register
from opensqt.testing.grids import DEADLINE_NS, batch_on, cancel, filled, identity, opening
from opensqt.testing.loopback import Loopback
from opensqt.testing.memory_store import MemoryStore
from opensqt.wire.actions import encode_batch
from opensqt.wire.events import encode_order_update
from opensqt.wire.fields import encode_time
from opensqt.wire.intents import encode_placement
from opensqt.wire.state import encode_identity

pytestmark = pytest.mark.integration

pb = state_service_pb2

INVALID = grpc.StatusCode.INVALID_ARGUMENT
PLACE = "batch.actions[0].place"


@pytest.fixture
async def order(store: MemoryStore) -> Order:
    """The grid's one order, at 99."""
    await register(store)
    (order,) = await place(store, opening(99))
    return order


def good_requests(order: Order, batch: ActionBatch) -> dict[str, Message]:
    result = PlacementResult(client_oid=order.client_oid, status=OrderStatus.NEW)
    return {
        "RegisterGrid": pb.RegisterGridRequest(
            request_id="r", identity=encode_identity(identity("eth"))
        ),
        "ReserveOrders": pb.ReserveOrdersRequest(
            request_id="r", batch=encode_batch(batch), deadline=encode_time(DEADLINE_NS)
        ),
        "RecordResults": pb.RecordResultsRequest(bot_id="btc", results=[encode_placement(result)]),
        "ApplyOrderUpdate": pb.ApplyOrderUpdateRequest(
            update=encode_order_update(filled(order, "e1"))
        ),
        "ConfirmGrid": pb.ConfirmGridRequest(bot_id="btc", epoch=identity().epoch),
        "HaltGrid": pb.HaltGridRequest(bot_id="btc", reason="why"),
        "ResumeGrid": pb.ResumeGridRequest(bot_id="btc"),
        "ListQuarantined": pb.ListQuarantinedRequest(),
        "GetGrid": pb.GetGridRequest(bot_id="btc"),
        "ListGrids": pb.ListGridsRequest(),
        "ListSlots": pb.ListSlotsRequest(bot_id="btc"),
        "ListOrders": pb.ListOrdersRequest(bot_id="btc"),
        "ListTrades": pb.ListTradesRequest(bot_id="btc"),
        "WatchGrid": pb.WatchGridRequest(bot_id="btc"),
    }


CALLERS = {
    "RegisterGrid": "strategy",
    "ReserveOrders": "execution",
    "RecordResults": "execution",
    "HaltGrid": "cli",
    "ResumeGrid": "risk",
}


async def ask(service: Loopback, method: str, request: Message, who: str = "") -> Any:
    stub = StateServiceStub(service.channel(who or CALLERS.get(method, "market_data")))
    call = getattr(stub, method)(request, timeout=5)
    return await call.read() if method == "WatchGrid" else await call


def place_(request: Any) -> Any:
    return request.batch.actions[0].place


EPOCH = identity().epoch


def set_revision(request: Any, revision: int) -> None:
    request.batch.state_revision = revision
    request.batch.batch_id = f"btc:{EPOCH}:{revision}"


def reserve_with(action: Any) -> Callable[[Any], None]:
    def change(request: Any) -> None:
        book_now = ActionBatch(
            bot_id="btc", epoch=EPOCH, state_revision=2, actions=(action,), price_time_ns=1
        )
        request.batch.CopyFrom(encode_batch(book_now))

    return change


TABLE: list[tuple[str, Callable[[Any], object], grpc.StatusCode, str, str]] = [
    # method, what is spoilt, status code, reason, field
    ("RegisterGrid", lambda r: r.ClearField("identity"), INVALID, "FIELD_MISSING", "identity"),
    ("RegisterGrid", lambda r: r.identity.ClearField("anchor"), INVALID, "FIELD_MISSING", "identity.anchor"),
    ("RegisterGrid", lambda r: setattr(r.identity.anchor, "value", "NaN"), INVALID, "NOT_A_DECIMAL", "identity.anchor"),
    ("RegisterGrid", lambda r: setattr(r.identity.interval, "value", "-1"), INVALID, "VALUE_NOT_ALLOWED", "identity.interval"),
    ("RegisterGrid", lambda r: setattr(r.identity, "bot_id", "Not A Bot"), INVALID, "VALUE_NOT_ALLOWED", "identity.bot_id"),
    ("RegisterGrid", lambda r: setattr(r.identity, "direction", state_pb2.GRID_DIRECTION_UNSPECIFIED), INVALID, "ENUM_UNSPECIFIED", "identity.direction"),
    ("RegisterGrid", lambda r: setattr(r.identity, "direction", 77), INVALID, "ENUM_UNSPECIFIED", "identity.direction"),
    ("RegisterGrid", lambda r: r.identity.CopyFrom(encode_identity(replace(identity(), symbol="ETHUSDT"))), grpc.StatusCode.ALREADY_EXISTS, "BOT_DIFFERS", "identity.symbol"),
    ("RegisterGrid", lambda r: setattr(r, "request_id", "x" * 300), INVALID, "VALUE_NOT_ALLOWED", "request_id"),
    ("ReserveOrders", lambda r: r.ClearField("batch"), INVALID, "FIELD_MISSING", "batch"),
    ("ReserveOrders", lambda r: r.ClearField("deadline"), INVALID, "FIELD_MISSING", "deadline"),
    ("ReserveOrders", lambda r: r.deadline.CopyFrom(Timestamp(seconds=-5)), INVALID, "VALUE_NOT_ALLOWED", "deadline"),
    ("ReserveOrders", lambda r: setattr(place_(r).price, "value", ""), INVALID, "NOT_A_DECIMAL", f"{PLACE}.price"),
    ("ReserveOrders", lambda r: setattr(place_(r).quantity, "value", "nan"), INVALID, "NOT_A_DECIMAL", f"{PLACE}.quantity"),
    ("ReserveOrders", lambda r: setattr(place_(r).quantity, "value", "Infinity"), INVALID, "NOT_A_DECIMAL", f"{PLACE}.quantity"),
    ("ReserveOrders", lambda r: setattr(place_(r).quantity, "value", "0"), INVALID, "VALUE_NOT_ALLOWED", f"{PLACE}.quantity"),
    ("ReserveOrders", lambda r: place_(r).ClearField("price"), INVALID, "FIELD_MISSING", f"{PLACE}.price"),
    ("ReserveOrders", lambda r: place_(r).ClearField("side"), INVALID, "ENUM_UNSPECIFIED", f"{PLACE}.side"),
    ("ReserveOrders", lambda r: place_(r).ClearField("purpose"), INVALID, "ENUM_UNSPECIFIED", f"{PLACE}.purpose"),
    ("ReserveOrders", lambda r: r.batch.ClearField("actions"), INVALID, "VALUE_NOT_ALLOWED", "batch.actions"),
    ("ReserveOrders", lambda r: r.batch.actions.extend([r.batch.actions[0]] * 1000), INVALID, "VALUE_NOT_ALLOWED", "batch.actions"),
    ("ReserveOrders", lambda r: setattr(r.batch, "batch_id", "btc:7"), INVALID, "VALUE_NOT_ALLOWED", "batch.batch_id"),
    ("ReserveOrders", lambda r: setattr(place_(r).slot_price, "value", "98.5"), INVALID, "VALUE_NOT_ALLOWED", f"{PLACE}.slot_price"),
    ("ReserveOrders", lambda r: set_revision(r, 99), grpc.StatusCode.ABORTED, "STALE_REVISION", "batch.state_revision"),
    ("ReserveOrders", reserve_with(opening(99)), grpc.StatusCode.FAILED_PRECONDITION, "ILLEGAL_TRANSITION", PLACE),
    ("RecordResults", lambda r: r.ClearField("bot_id"), INVALID, "FIELD_MISSING", "bot_id"),
    ("RecordResults", lambda r: r.ClearField("results"), INVALID, "VALUE_NOT_ALLOWED", "results"),
    ("RecordResults", lambda r: r.results[0].ClearField("status"), INVALID, "ENUM_UNSPECIFIED", "results[0].status"),
    ("RecordResults", lambda r: setattr(r.results[0], "status", 5), INVALID, "VALUE_NOT_ALLOWED", "results[0].status"),
    ("RecordResults", lambda r: setattr(r.results[0], "client_oid", "stranger"), grpc.StatusCode.NOT_FOUND, "ORDER_UNKNOWN", "results[0].client_oid"),
    ("RecordResults", lambda r: setattr(r, "bot_id", "nobody"), grpc.StatusCode.NOT_FOUND, "BOT_UNKNOWN", "bot_id"),
    ("ApplyOrderUpdate", lambda r: r.ClearField("update"), INVALID, "FIELD_MISSING", "update"),
    ("ApplyOrderUpdate", lambda r: r.update.ClearField("source"), INVALID, "ENUM_UNSPECIFIED", "update.source"),
    ("ApplyOrderUpdate", lambda r: r.update.ClearField("filled_quantity"), INVALID, "FIELD_MISSING", "update.filled_quantity"),
    ("ApplyOrderUpdate", lambda r: setattr(r.update.filled_quantity, "value", "-1"), INVALID, "VALUE_NOT_ALLOWED", "update.filled_quantity"),
    ("ApplyOrderUpdate", lambda r: setattr(r.update.trade.price, "value", "free"), INVALID, "NOT_A_DECIMAL", "update.trade.price"),
    ("ConfirmGrid", lambda r: r.ClearField("bot_id"), INVALID, "FIELD_MISSING", "bot_id"),
    ("ConfirmGrid", lambda r: setattr(r, "bot_id", "nobody"), grpc.StatusCode.NOT_FOUND, "BOT_UNKNOWN", "bot_id"),
    ("ConfirmGrid", lambda r: setattr(r, "epoch", -1), INVALID, "VALUE_NOT_ALLOWED", "epoch"),
    ("ConfirmGrid", lambda r: setattr(r, "epoch", 7), grpc.StatusCode.ALREADY_EXISTS, "BOT_DIFFERS", "epoch"),
    ("HaltGrid", lambda r: r.ClearField("bot_id"), INVALID, "FIELD_MISSING", "bot_id"),
    ("HaltGrid", lambda r: r.ClearField("reason"), INVALID, "FIELD_MISSING", "reason"),
    ("HaltGrid", lambda r: setattr(r, "reason", "x" * 201), INVALID, "VALUE_NOT_ALLOWED", "reason"),
    ("HaltGrid", lambda r: setattr(r, "reason", "a\0b"), INVALID, "VALUE_NOT_ALLOWED", "reason"),
    ("HaltGrid", lambda r: setattr(r, "bot_id", "nobody"), grpc.StatusCode.NOT_FOUND, "BOT_UNKNOWN", "bot_id"),
    ("ResumeGrid", lambda r: r.ClearField("bot_id"), INVALID, "FIELD_MISSING", "bot_id"),
    ("ResumeGrid", lambda r: setattr(r, "bot_id", "nobody"), grpc.StatusCode.NOT_FOUND, "BOT_UNKNOWN", "bot_id"),
    ("ListQuarantined", lambda r: setattr(r, "page_size", 1001), INVALID, "VALUE_NOT_ALLOWED", "page_size"),
    ("ListQuarantined", lambda r: setattr(r, "page_token", "forged"), INVALID, "PAGE_TOKEN", "page_token"),
    ("GetGrid", lambda r: r.ClearField("bot_id"), INVALID, "FIELD_MISSING", "bot_id"),
    ("GetGrid", lambda r: setattr(r, "bot_id", "nobody"), grpc.StatusCode.NOT_FOUND, "BOT_UNKNOWN", "bot_id"),
    ("ListGrids", lambda r: setattr(r, "page_size", -1), INVALID, "VALUE_NOT_ALLOWED", "page_size"),
    ("ListGrids", lambda r: setattr(r, "page_token", "forged"), INVALID, "PAGE_TOKEN", "page_token"),
    ("ListSlots", lambda r: setattr(r, "page_size", 5000), INVALID, "VALUE_NOT_ALLOWED", "page_size"),
    ("ListSlots", lambda r: setattr(r, "page_token", "forged"), INVALID, "PAGE_TOKEN", "page_token"),
    ("ListOrders", lambda r: setattr(r, "page_token", "forged"), INVALID, "PAGE_TOKEN", "page_token"),
    ("ListTrades", lambda r: setattr(r, "bot_id", "nobody"), grpc.StatusCode.NOT_FOUND, "BOT_UNKNOWN", "bot_id"),
    ("WatchGrid", lambda r: setattr(r, "from_revision", -1), INVALID, "VALUE_NOT_ALLOWED", "from_revision"),
    ("WatchGrid", lambda r: setattr(r, "from_revision", 99), grpc.StatusCode.OUT_OF_RANGE, "REVISION_COMPACTED", "from_revision"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "spoil", "code", "reason", "field"), TABLE)
async def test_is_refused_and_changes_nothing(
    *,
    service: Loopback,
    store: MemoryStore,
    order: Order,
    method: str,
    spoil: Callable[[Any], object],
    code: grpc.StatusCode,
    reason: str,
    field: str,
) -> None:
    before = await store.load("btc")
    request = good_requests(order, batch_on(before, opening(98)))[method]
    spoil(request)
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await ask(service, method, request)
    refusal = refusal_of(failed.value)
    assert refusal is not None
    assert (failed.value.code(), refusal.reason, refusal.field) == (code, reason, field)
    assert refusal.allowed
    assert await store.load("btc") == before
    assert [book.identity.bot_id for book in await store.identities()] == ["btc"]
    assert not store.put_aside


async def test_the_same_requests_unspoilt_are_answered(
    service: Loopback, store: MemoryStore, order: Order
) -> None:
    requests = good_requests(order, batch_on(await store.load("btc"), opening(98)))
    for method, request in requests.items():
        await ask(service, method, request)


@pytest.mark.parametrize(
    "method", ["RegisterGrid", "ReserveOrders", "ApplyOrderUpdate", "ResumeGrid", "GetGrid"]
)
async def test_the_wrong_identity_is_denied(
    service: Loopback, store: MemoryStore, order: Order, method: str
) -> None:
    before = await store.load("btc")
    request = good_requests(order, batch_on(before, opening(98)))[method]
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await ask(service, method, request, who="paper_exchange")
    refusal = refusal_of(failed.value)
    assert failed.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert refusal is not None
    assert refusal.reason is RefusalReason.IDENTITY_NOT_ALLOWED
    assert await store.load("btc") == before


async def test_without_a_client_certificate_nobody_is_heard(
    service: Loopback, store: MemoryStore, order: Order
) -> None:
    ca = (service.certificates / "ca.pem").read_bytes()
    options = [("grpc.ssl_target_name_override", "state")]
    for channel in (
        grpc.aio.insecure_channel(service.server.address),
        grpc.aio.secure_channel(
            service.server.address, grpc.ssl_channel_credentials(ca), options=options
        ),
    ):
        async with channel:
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await StateServiceStub(channel).ApplyOrderUpdate(
                    pb.ApplyOrderUpdateRequest(update=encode_order_update(filled(order, "e1"))),
                    timeout=5,
                )
            assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
    assert (await store.load("btc")).revision == 2


async def test_a_request_id_serves_one_batch(
    service: Loopback, store: MemoryStore, order: Order
) -> None:
    for revision, actions in ((2, (opening(98),)), (3, (cancel(order),))):
        batch = ActionBatch(
            bot_id="btc", epoch=EPOCH, state_revision=revision, actions=actions, price_time_ns=1
        )
        request = pb.ReserveOrdersRequest(
            request_id="r1", batch=encode_batch(batch), deadline=encode_time(DEADLINE_NS)
        )
        if revision == 2:
            assert not (await ask(service, "ReserveOrders", request)).repeated
            assert (await ask(service, "ReserveOrders", request)).repeated
            continue
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await ask(service, "ReserveOrders", request)
        refusal = refusal_of(failed.value)
        assert failed.value.code() is grpc.StatusCode.ALREADY_EXISTS
        assert refusal is not None
        assert refusal.reason is RefusalReason.REQUEST_ID_REUSED
    assert (await store.load("btc")).revision == 3


async def test_lists_are_paged(service: Loopback, store: MemoryStore, order: Order) -> None:
    await place(store, *(opening(98 - n) for n in range(4)))
    for n in range(3):
        await store.register(identity(f"bot{n}"), now_ns=1)
    prices, token = [], ""
    while True:
        request = pb.ListSlotsRequest(bot_id="btc", page_size=2, page_token=token)
        page = await ask(service, "ListSlots", request)
        prices += [slot.price.value for slot in page.slots]
        assert page.revision == 3
        token = page.next_page_token
        if not token:
            break
    assert prices == ["95", "96", "97", "98", "99"]
    first = await ask(service, "ListGrids", pb.ListGridsRequest(page_size=3))
    rest = await ask(
        service, "ListGrids", pb.ListGridsRequest(page_size=3, page_token=first.next_page_token)
    )
    names = [grid.identity.bot_id for grid in (*first.grids, *rest.grids)]
    assert names == ["bot0", "bot1", "bot2", "btc"]
    assert not rest.next_page_token
