"""Decisions: batches of actions."""

from typing import Final

from opensqt.core.actions import Action, ActionBatch, Cancel, Place
from opensqt.market_maker.v1 import actions_pb2 as pb
from opensqt.wire.enums import PURPOSE, SIDE
from opensqt.wire.fields import (
    encode_decimal,
    encode_optional,
    encode_time,
    missing,
    not_allowed,
    path,
    read_count,
    read_optional_decimal,
    read_positive,
    read_text,
    read_time,
)

ACTIONS_MAX: Final = 1000
"""Most actions of one batch; twice what Binance lets one symbol have as open orders."""


def encode_batch(batch: ActionBatch) -> pb.ActionBatch:
    """One decision."""
    return pb.ActionBatch(
        batch_id=batch.batch_id,
        bot_id=batch.bot_id,
        state_revision=batch.state_revision,
        epoch=batch.epoch,
        actions=[encode_action(action) for action in batch.actions],
        price_time=encode_time(batch.price_time_ns),
    )


def decode_batch(message: pb.ActionBatch, where: str = "batch") -> ActionBatch:
    """One decision.

    Raises:
        Refusal: A field is missing or not allowed; the batch id must be that of the bot, the
            epoch and the revision, and there is at least one action.
    """
    actions = message.actions
    if not 1 <= len(actions) <= ACTIONS_MAX:
        raise not_allowed(path(where, "actions"), len(actions), f"1 to {ACTIONS_MAX} actions")
    batch = ActionBatch(
        bot_id=read_text(message, "bot_id", where),
        epoch=read_count(message, "epoch", where),
        state_revision=read_count(message, "state_revision", where),
        actions=tuple(
            decode_action(action, path(where, f"actions[{index}]"))
            for index, action in enumerate(actions)
        ),
        price_time_ns=read_time(message, "price_time", where),
    )
    if read_text(message, "batch_id", where) != batch.batch_id:
        raise not_allowed(path(where, "batch_id"), message.batch_id, batch.batch_id)
    return batch


def encode_action(action: Action) -> pb.Action:
    """One thing to do."""
    match action:
        case Place():
            return pb.Action(
                place=pb.PlaceAction(
                    slot_price=encode_decimal(action.slot_price),
                    side=SIDE.encode(action.side),
                    purpose=PURPOSE.encode(action.purpose),
                    price=encode_decimal(action.price),
                    quantity=encode_decimal(action.quantity),
                    reduce_only=action.reduce_only,
                    post_only=action.post_only,
                    exit_price=encode_optional(action.exit_price),
                )
            )
        case Cancel():
            return pb.Action(
                cancel=pb.CancelAction(
                    slot_price=encode_decimal(action.slot_price), client_oid=action.client_oid
                )
            )


def decode_action(message: pb.Action, where: str = "action") -> Action:
    """One thing to do.

    Raises:
        Refusal: A field is missing or not allowed.
    """
    match message.WhichOneof("action"):
        case "place":
            place, place_where = message.place, path(where, "place")
            exit_price = read_optional_decimal(place, "exit_price", place_where)
            if exit_price is not None and exit_price <= 0:
                raise not_allowed(path(place_where, "exit_price"), exit_price, "greater than 0")
            return Place(
                slot_price=read_positive(place, "slot_price", place_where),
                side=SIDE.read(place, "side", place_where),
                purpose=PURPOSE.read(place, "purpose", place_where),
                price=read_positive(place, "price", place_where),
                quantity=read_positive(place, "quantity", place_where),
                reduce_only=place.reduce_only,
                post_only=place.post_only,
                exit_price=exit_price,
            )
        case "cancel":
            cancel, cancel_where = message.cancel, path(where, "cancel")
            return Cancel(
                slot_price=read_positive(cancel, "slot_price", cancel_where),
                client_oid=read_text(cancel, "client_oid", cancel_where),
            )
        case _:
            raise missing(path(where, "action"), "place or cancel")
