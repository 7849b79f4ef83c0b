"""When an account opens nothing for a while, because the exchange has just refused to.

An order that is refused for want of margin, or because too many are open, says something of every
opening of its account: the next one would fare alike, whatever slot it is of. So all of them pause,
twice as long with each refusal that comes after a pause. What closes and what cancels never waits:
it needs no margin, and makes room.

Whoever decides for an account and whoever sends for it go by this one rule.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from opensqt.core.orders import EndReason, Order, OrderStatus, Purpose

PAUSING: Final = frozenset({EndReason.RATE_LIMIT, EndReason.INSUFFICIENT_MARGIN})
"""Refusals that would meet the next opening of any slot as well."""

PAUSE_FIRST_NS: Final = 1_000_000_000
PAUSE_LAST_NS: Final = 120_000_000_000
"""A pause doubles as long as the exchange goes on refusing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """The pause that is on, or was on last; and how long the next one will be."""

    until_ns: int = 0
    length_ns: int = PAUSE_FIRST_NS
    next_ns: int = PAUSE_FIRST_NS

    def on(self, now_ns: int) -> bool:
        """Tell whether nothing is opened now."""
        return now_ns < self.until_ns

    def after(
        self, purpose: Purpose, status: OrderStatus, reason: EndReason, *, now_ns: int
    ) -> "Pause":
        """What follows from the exchange's answer to an order, when it is heard.

        Orders that were under way together are refused together, which is one refusal: only one
        that comes after a pause makes the next one longer. Once an opening was taken outside of a
        pause, the next one is short again; one that was under way when the pause began says
        nothing.

        Args:
            purpose: The order's.
            status: What the exchange says of it.
            reason: Why it has ended, if it has.
            now_ns: The time.
        """
        if status.terminal and reason in PAUSING:
            length_ns, next_ns = self.length_ns, self.next_ns
            if not self.on(now_ns):
                length_ns, next_ns = next_ns, min(next_ns * 2, PAUSE_LAST_NS)
            until_ns = max(self.until_ns, now_ns + length_ns)
            return Pause(until_ns=until_ns, length_ns=length_ns, next_ns=next_ns)
        taken = status.resting or status is OrderStatus.FILLED
        if taken and purpose is Purpose.OPEN and not self.on(now_ns):
            return replace(self, next_ns=PAUSE_FIRST_NS)
        return self


class Openings:
    """An account's openings: what all who decide for it, in one process, share."""

    def __init__(self) -> None:
        self.pause = Pause()

    def paused(self, now_ns: int) -> bool:
        """Tell whether nothing is opened now."""
        return self.pause.on(now_ns)

    def wakes_ns(self, now_ns: int) -> int | None:
        """When the pause ends, which no event tells; None when none is on."""
        return self.pause.until_ns if self.pause.on(now_ns) else None

    def learn(self, known: Mapping[str, Order], orders: Iterable[Order], *, now_ns: int) -> None:
        """Learn from how orders stand now; what was known of them before tells what is new.

        Args:
            known: Orders by their ids, as they stood before.
            orders: Those that have changed.
            now_ns: When they did.
        """
        for order in orders:
            before = known.get(order.client_oid)
            if before is None or before.status.terminal:
                continue  # not an answer: nobody was waiting for one
            if not before.status.resting or order.end_reason in PAUSING:
                self.pause = self.pause.after(
                    order.purpose, order.status, order.end_reason, now_ns=now_ns
                )
