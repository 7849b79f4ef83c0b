"""Search: which trade is the next that can change something, found by vectors.

`Prices` finds the next trade beyond two prices, whatever they are. `Crossings` knows the lattice:
it lists the trades at which the market comes to another place of it, in runs that toggle about one
level, so that a run about a level where nothing is left to do is passed over at once.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from opensqt.backtest.columns import Flags, Ints

FIRST_BLOCK: Final = 256
LARGEST_BLOCK: Final = 1 << 16
PLACES_BLOCK: Final = 1 << 14
"""Prices that are looked at together: what is computed of them stays in the processor's cache."""
SEVERAL: Final = 2**62
"""No level."""


class Prices:
    """The prices of trades, in ticks."""

    def __init__(self, prices: Ints) -> None:
        self._prices = prices

    def next_beyond(self, after: int, low: int, high: int) -> int:
        """The next trade after `after` at or below `low`, or at or above `high`; else the end."""
        prices, start, size = self._prices, after + 1, FIRST_BLOCK
        end = len(prices)
        while start < end:
            block = prices[start : start + size]
            beyond = (block <= low) | (block >= high)
            found = int(beyond.argmax())
            if beyond[found]:
                return start + found
            start += size
            size = min(size * 4, LARGEST_BLOCK)
        return end


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossings:
    """Where the market comes to another place of the lattice.

    A place is a level, with the best bid on it or a tick below, or the space between two levels.
    """

    at: NDArray[np.int64]
    """Trades that come to another place."""
    starts: list[int]
    """Indices into `at` of the first trade of each run."""
    level: list[int]
    """The one level that a run's trades touch or cross; `SEVERAL` when they pass several."""

    @classmethod
    def of(cls, prices: Ints, buyer_is_maker: Flags, *, anchor: int, interval: int) -> Self:
        """Find them."""
        at, before, after = _changes(prices, buyer_is_maker, anchor, interval)
        lowest = -(-np.minimum(before, after) // 4)
        highest = (np.maximum(before, after) + 1) // 4
        level = np.where(lowest == highest, lowest, SEVERAL)
        new = np.ones(len(at), dtype=np.bool_)
        new[1:] = (level[1:] != level[:-1]) | (level[1:] == SEVERAL)
        starts = np.flatnonzero(new)
        return cls(at=at, starts=starts.tolist(), level=level[starts].tolist())


def _changes(
    prices: Ints, buyer_is_maker: Flags, anchor: int, interval: int
) -> tuple[Ints, Ints, Ints]:
    """The trades at another place than the one before, with the two places.

    Four places to a level: ``4n - 2`` between it and the one below, ``4n - 1`` on it with the best
    bid a tick below, ``4n`` on it with the best bid, ``4n + 2`` between it and the one above.
    """
    maker = buyer_is_maker.view(np.int8)
    found: list[tuple[Ints, Ints, Ints]] = []
    for start in range(0, len(prices), PLACES_BLOCK):
        # One more than the block, to compare its last with the next one's first.
        stretch = slice(start, start + PLACES_BLOCK + 1)
        away = prices[stretch] - anchor
        place = away // interval
        away -= place * interval
        on_level = np.flatnonzero(away == 0)
        place *= 4
        place += 2
        place[on_level] += maker[stretch][on_level] - np.int8(3)
        changed = np.flatnonzero(place[1:] != place[:-1])
        found.append((changed + (start + 1), place[changed], place[changed + 1]))
    at, before, after = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return at, before, after
