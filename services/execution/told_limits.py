"""What the exchange says is used of its limits: it counts what others send for the account, too.

Our own budget begins empty with every process; the exchange's count does not.
"""

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from opensqt.ports import Clock, LimitUse
from services.execution.config import RateLimitConfig

Used = Callable[[], Mapping[str, LimitUse]]

ORDERS_10S: Final = "ORDER-COUNT-10S"
ORDERS_MINUTE: Final = "ORDER-COUNT-1M"
WEIGHT_MINUTE: Final = "USED-WEIGHT-1M"


class ToldLimits:
    """Room that the exchange's own counts leave.

    Args:
        limits: The exchange's limits.
        used: What it said last, by the limit's name; a limit that it did not name has room.
        clock: Tells the time.
    """

    def __init__(self, limits: RateLimitConfig, *, used: Used, clock: Clock) -> None:
        told = partial(
            _ToldLimit, used=used, clock=clock, reserve_share=float(limits.reserve_share)
        )
        self._orders = (
            told(ORDERS_10S, limits.orders_per_10s, window_s=10),
            told(ORDERS_MINUTE, limits.orders_per_minute, window_s=60),
        )
        self._weight = told(WEIGHT_MINUTE, limits.weight_per_minute, window_s=60)

    def affords_order(self, *, reserve: bool) -> bool:
        """Whether there is room for an order; a part is left for what may use the reserve."""
        return all(limit.left(reserve=reserve) >= 1 for limit in (*self._orders, self._weight))

    def affords_request(self, *, reserve: bool) -> bool:
        """Whether there is room for another request."""
        return self._weight.left(reserve=reserve) >= 1

    def request_wait_s(self) -> float:
        """How long a request that can wait should, so that the reserve is left alone."""
        return 0.0 if self.affords_request(reserve=False) else self._weight.told_for_s()

    def note_order(self) -> None:
        """An order will be sent."""
        for limit in (*self._orders, self._weight):
            limit.note()

    def note_request(self) -> None:
        """Another request will be sent."""
        self._weight.note()


class _ToldLimit:
    """One limit: what was told, and what was sent since."""

    def __init__(
        self,
        name: str,
        limit: int,
        *,
        window_s: int,
        reserve_share: float,
        used: Used,
        clock: Clock,
    ) -> None:
        self._name = name
        self._limit = limit
        self._window_ns = window_s * 10**9
        self._reserve = limit * reserve_share
        self._used = used
        self._clock = clock
        self._sent_ns: deque[int] = deque(maxlen=limit)

    def left(self, *, reserve: bool) -> float:
        """How much may be sent; without the part that is kept unless `reserve` may be used."""
        kept = 0.0 if reserve else self._reserve
        use = self._used().get(self._name)
        if use is None or not self.told_for_s():
            return self._limit - kept
        while self._sent_ns and self._sent_ns[0] <= use.told_ns:
            self._sent_ns.popleft()
        return self._limit - kept - use.count - len(self._sent_ns)

    def told_for_s(self) -> float:
        """How long what was told still counts: the exchange begins anew with every window."""
        use = self._used().get(self._name)
        age_ns = self._window_ns if use is None else self._clock.now_ns() - use.told_ns
        return max(0, self._window_ns - age_ns) / 1e9

    def note(self) -> None:
        """One will be sent now."""
        self._sent_ns.append(self._clock.now_ns())
