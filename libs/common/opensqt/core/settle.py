"""Settling: what to do about an order whose standing is not proven.

A request without a definite answer may or may not have made an order. It is never sent again, under
whatever id; the exchange is asked for the order until it shows, or until its absence is conclusive.
Start, restart and the periodic scan all decide by this table. Who asks and who records is no
business of this module.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from opensqt.core.events import OrderUpdate
from opensqt.core.orders import Order

PAUSE_FIRST_NS: Final = 250_000_000
PAUSE_LAST_NS: Final = 60_000_000_000
"""Between two questions about one order: half of the doubt's age, from 0.25 s to a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """How late a request may still take effect, and how long an order may stay out of sight."""

    clock_skew_ns: int
    """The most by which our clock and the exchange's differ."""
    visibility_ns: int
    """The longest that an accepted order is missing from look-ups."""

    def conclusive_from_ns(self, order: Order) -> int:
        """From when on "no such order" is proof.

        Before its deadline the request may still arrive; after that, an accepted order may still
        be out of sight. An order that the exchange has confirmed can only be out of sight.
        """
        since_ns = order.updated_ns if order.status.resting else order.deadline_ns
        return since_ns + self.clock_skew_ns + self.visibility_ns


class Doubt(StrEnum):
    """What is not proven about an order."""

    NONE = "NONE"
    PLACING = "PLACING"
    """Whether it reached the exchange."""
    PLACING_AND_CANCELING = "PLACING_AND_CANCELING"
    """Whether it reached the exchange, and it shall not stay there."""
    CANCELING = "CANCELING"
    """Whether an order that was open is still open; it shall not be."""


class Finding(StrEnum):
    """What a look-up showed."""

    ABSENT = "ABSENT"
    """No such order, which proves nothing yet."""
    ABSENT_FOR_GOOD = "ABSENT_FOR_GOOD"
    """No such order, asked behind the fence."""
    OPEN = "OPEN"
    ENDED = "ENDED"


class Step(StrEnum):
    """What to do next."""

    ASK_AGAIN = "ASK_AGAIN"
    ADOPT = "ADOPT"
    """Record what the exchange shows; the record keeper compares it with the intent."""
    NOT_PLACED = "NOT_PLACED"
    """Record that the order never came to be: its slot is free, under a new cycle and id."""
    CANCEL = "CANCEL"
    """Send the cancel again: cancelling twice does no harm."""
    ALERT = "ALERT"
    """The exchange contradicts itself: leave everything as it is and call a person."""


_D, _F, _S = Doubt, Finding, Step

SETTLE_TABLE: Final[dict[tuple[Doubt, Finding], tuple[Step, ...]]] = {
    (_D.PLACING, _F.ABSENT): (_S.ASK_AGAIN,),  # still on its way, or accepted and not yet in sight
    (_D.PLACING, _F.ABSENT_FOR_GOOD): (_S.NOT_PLACED,),
    (_D.PLACING, _F.OPEN): (_S.ADOPT,),
    (_D.PLACING, _F.ENDED): (_S.ADOPT,),  # filled, more often than not
    (_D.PLACING_AND_CANCELING, _F.ABSENT): (
        _S.ASK_AGAIN,
    ),  # a cancel cannot catch what comes later
    (_D.PLACING_AND_CANCELING, _F.ABSENT_FOR_GOOD): (_S.NOT_PLACED,),
    (_D.PLACING_AND_CANCELING, _F.OPEN): (_S.ADOPT, _S.CANCEL),
    (_D.PLACING_AND_CANCELING, _F.ENDED): (_S.ADOPT,),
    (_D.CANCELING, _F.ABSENT): (_S.ASK_AGAIN,),  # it was open, so it is only out of sight
    (_D.CANCELING, _F.ABSENT_FOR_GOOD): (_S.ALERT,),  # it was open, and is now said not to exist
    (_D.CANCELING, _F.OPEN): (_S.ADOPT, _S.CANCEL),
    (_D.CANCELING, _F.ENDED): (_S.ADOPT,),  # cancelled, or filled before the cancel came
}


def doubt_of(order: Order) -> Doubt:
    """What is in doubt about `order`; NONE exactly when it is settled."""
    if order.settled:
        return Doubt.NONE
    if order.status.resting:
        return Doubt.CANCELING
    return Doubt.PLACING_AND_CANCELING if order.cancel_requested else Doubt.PLACING


def finding_of(order: Order, found: OrderUpdate | None, *, asked_ns: int, fence: Fence) -> Finding:
    """What a look-up showed.

    Args:
        order: The order in doubt.
        found: What the exchange said; None: it has no such order.
        asked_ns: When the question was sent, which is before the exchange looked.
        fence: From when on absence is proof.
    """
    if found is not None:
        return Finding.ENDED if found.status.terminal else Finding.OPEN
    conclusive = asked_ns >= fence.conclusive_from_ns(order)
    return Finding.ABSENT_FOR_GOOD if conclusive else Finding.ABSENT


def steps_after(
    order: Order, found: OrderUpdate | None, *, asked_ns: int, fence: Fence
) -> tuple[Step, ...]:
    """What to do about an unsettled order after a look-up; arguments as of `finding_of`."""
    return SETTLE_TABLE[doubt_of(order), finding_of(order, found, asked_ns=asked_ns, fence=fence)]


def next_question_ns(order: Order, *, asked_ns: int, fence: Fence) -> int:
    """When to ask again about an order that is still in doubt after a question at `asked_ns`.

    The pauses grow with the doubt's age. The first question behind the fence is not put off, since
    it ends the doubt.
    """
    age_ns = asked_ns - order.updated_ns
    pause_ns = min(max(age_ns // 2, PAUSE_FIRST_NS), PAUSE_LAST_NS)
    conclusive_ns = fence.conclusive_from_ns(order)
    if asked_ns < conclusive_ns:
        return min(asked_ns + pause_ns, conclusive_ns)
    return asked_ns + pause_ns
