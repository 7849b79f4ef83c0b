"""Rate limits: request weight per address, orders per account, 429 and then 418.

Windows are whole minutes and ten-second spans of the wall clock, as Binance's are.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from opensqt.ports import Clock
from services.paper_exchange.config import LimitsConfig
from services.paper_exchange.errors import ApiError

_S: Final = 1_000_000_000


@dataclass(slots=True, kw_only=True)
class _Window:
    length_s: int
    number: int = -1
    count: int = 0

    def add(self, amount: int, now_ns: int) -> int:
        number = now_ns // (self.length_s * _S)
        if number != self.number:
            self.number, self.count = number, 0
        self.count += amount
        return self.count

    def rest_s(self, now_ns: int) -> int:
        """Whole seconds until the window is over, at least one."""
        return max(1, -(-((self.number + 1) * self.length_s * _S - now_ns) // _S))


class RateLimits:
    """Counts what every address and account uses.

    Args:
        limits: How much is allowed.
        clock: The wall clock.
    """

    def __init__(self, limits: LimitsConfig, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._weights: dict[str, _Window] = defaultdict(lambda: _Window(length_s=60))
        self._excesses: dict[str, _Window] = defaultdict(lambda: _Window(length_s=60))
        self._banned_until_ns: dict[str, int] = {}
        self._orders_10s: dict[str, _Window] = defaultdict(lambda: _Window(length_s=10))
        self._orders_1m: dict[str, _Window] = defaultdict(lambda: _Window(length_s=60))

    def weigh(self, address: str, weight: int) -> int:
        """Count a request; the weight that the address has used in this minute.

        Raises:
            ApiError: -1003 with 429, or with 418 while the address is banned.
        """
        now = self._clock.now_ns()
        banned_until = self._banned_until_ns.get(address, 0)
        if banned_until > now:
            raise _banned(address, banned_until, now)
        used = self._weights[address].add(weight, now)
        if used <= self._limits.weight_per_minute:
            return used
        if self._excesses[address].add(1, now) > self._limits.ban_after:
            until = now + round(self._limits.ban_s * _S)
            self._banned_until_ns[address] = until
            raise _banned(address, until, now)
        raise ApiError(
            -1003,
            f"Too many requests; current limit of IP({address}) is "
            f"{self._limits.weight_per_minute} requests per minute. Please use the websocket for "
            "live updates to avoid polling the API.",
            status=429,
            headers={"Retry-After": str(self._weights[address].rest_s(now))},
        )

    def count_order(self, account: str, orders: int = 1) -> tuple[int, int]:
        """Count new orders; how many there were in ten seconds and in this minute.

        Raises:
            ApiError: -1015 with 429.
        """
        now = self._clock.now_ns()
        counts = []
        for windows, most, span in (
            (self._orders_10s, self._limits.orders_per_10s, "10 SECOND"),
            (self._orders_1m, self._limits.orders_per_minute, "1 MINUTE"),
        ):
            counts.append(windows[account].add(orders, now))
            if counts[-1] > most:
                raise ApiError(
                    -1015,
                    f"Too many new orders; current limit is {most} orders per {span}.",
                    status=429,
                    headers={"Retry-After": str(windows[account].rest_s(now))},
                )
        return counts[0], counts[1]


def _banned(address: str, until_ns: int, now_ns: int) -> ApiError:
    return ApiError(
        -1003,
        f"Way too many requests; IP({address}) banned until {until_ns // 1_000_000}. Please use "
        "the websocket for live updates to avoid bans.",
        status=418,
        headers={"Retry-After": str(max(1, -(-(until_ns - now_ns) // _S)))},
    )
