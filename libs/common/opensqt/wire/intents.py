"""Intents: what is committed of a batch, and what placing its orders came to."""

from typing import Final

from opensqt.core.grid.results import PlacementResult, Reservation
from opensqt.core.orders import OrderStatus
from opensqt.market_maker.v1 import state_service_pb2 as pb
from opensqt.wire.enums import END_REASON, ORDER_STATUS
from opensqt.wire.fields import not_allowed, path, read_count, read_optional_text, read_text
from opensqt.wire.resources import decode_order, encode_order

PLACEMENT_STATUSES: Final = (
    OrderStatus.NEW,
    OrderStatus.REJECTED,
    OrderStatus.NOT_PLACED,
    OrderStatus.UNKNOWN,
)
"""What a request to place an order can come to."""


def encode_placement(result: PlacementResult) -> pb.PlacementResult:
    """What a request to place an order came to."""
    return pb.PlacementResult(
        client_oid=result.client_oid,
        status=ORDER_STATUS.encode(result.status),
        exchange_order_id=result.exchange_order_id,
        end_reason=END_REASON.encode(result.end_reason),
        end_text=result.end_text[:200],
    )


def decode_placement(message: pb.PlacementResult, where: str = "result") -> PlacementResult:
    """What a request to place an order came to.

    Raises:
        Refusal: A field is missing or not allowed.
    """
    status = ORDER_STATUS.read(message, "status", where)
    if status not in PLACEMENT_STATUSES:
        raise not_allowed(path(where, "status"), status, ", ".join(PLACEMENT_STATUSES))
    return PlacementResult(
        client_oid=read_text(message, "client_oid", where),
        status=status,
        exchange_order_id=read_optional_text(message, "exchange_order_id", where),
        end_reason=END_REASON.read(message, "end_reason", where),
        end_text=read_optional_text(message, "end_text", where),
    )


def encode_reservation(reservation: Reservation) -> pb.ReserveOrdersResponse:
    """The committed intents of a batch."""
    return pb.ReserveOrdersResponse(
        revision=reservation.revision,
        to_place=[encode_order(order) for order in reservation.to_place],
        to_cancel=[encode_order(order) for order in reservation.to_cancel],
        repeated=reservation.repeated,
    )


def decode_reservation(message: pb.ReserveOrdersResponse, where: str = "") -> Reservation:
    """The committed intents of a batch.

    Raises:
        Refusal: A field is missing or not allowed.
    """
    return Reservation(
        revision=read_count(message, "revision", where),
        to_place=tuple(
            decode_order(order, path(where, f"to_place[{i}]"))
            for i, order in enumerate(message.to_place)
        ),
        to_cancel=tuple(
            decode_order(order, path(where, f"to_cancel[{i}]"))
            for i, order in enumerate(message.to_cancel)
        ),
        repeated=message.repeated,
    )
