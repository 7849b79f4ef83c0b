"""The slot table: FREE -> PENDING -> LOCKED -> FREE, and what moves a slot from one to the next.

All that changes a slot's status goes through `step`. A pair that is not in the table is refused.
"""

from enum import StrEnum
from typing import Final

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.grid.book import Slot, SlotStatus
from opensqt.core.numbers import plain


class SlotEvent(StrEnum):
    """What happens to a slot's order."""

    RESERVED = "RESERVED"
    DOUBTED = "DOUBTED"
    CONFIRMED = "CONFIRMED"
    ENDED = "ENDED"
    REVIVED = "REVIVED"


SLOT_TABLE: Final[dict[tuple[SlotStatus, SlotEvent], SlotStatus]] = {
    (SlotStatus.FREE, SlotEvent.RESERVED): SlotStatus.PENDING,
    (SlotStatus.PENDING, SlotEvent.DOUBTED): SlotStatus.PENDING,  # asking, never sending again
    (SlotStatus.PENDING, SlotEvent.CONFIRMED): SlotStatus.LOCKED,
    (SlotStatus.LOCKED, SlotEvent.CONFIRMED): SlotStatus.LOCKED,  # a partial fill, a repeated ack
    (SlotStatus.PENDING, SlotEvent.ENDED): SlotStatus.FREE,  # refused, or filled before the ack
    (SlotStatus.LOCKED, SlotEvent.ENDED): SlotStatus.FREE,
    (SlotStatus.FREE, SlotEvent.REVIVED): SlotStatus.LOCKED,  # given up, and found open after all
}


def step(slot: Slot, event: SlotEvent) -> SlotStatus:
    """The slot's status after `event`.

    Raises:
        Refusal: ILLEGAL_TRANSITION, naming the events that the slot's status allows.
    """
    status = SLOT_TABLE.get((slot.status, event))
    if status is None:
        allowed = ", ".join(e for s, e in SLOT_TABLE if s is slot.status)
        raise Refusal(
            RefusalReason.ILLEGAL_TRANSITION,
            field=f"slot {plain(slot.price)}",
            value=f"{event} while {slot.status}",
            allowed=allowed,
        )
    return status
