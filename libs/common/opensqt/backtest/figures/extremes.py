"""The furthest that an account went: its largest exposure, and how near it came to its end."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from opensqt.backtest.figures.timeline import AccountPath, Floats, merged

_BLOCK: Final = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Extremes:
    """The furthest that an account went; None: nothing was held."""

    exposure: float = 0.0
    """Largest notional, in quote."""
    leverage: float | None = None
    """Largest notional over the equity at that time."""
    margin: float | None = None
    """Largest initial margin over the equity at that time."""
    distance: float | None = None
    """Least distance to liquidation, as `AccountState.distance` has it."""

    def and_of(
        self, equity: Floats, exposure: Floats, margin: Floats, distance: Floats
    ) -> "Extremes":
        """These, and those of more states of the account."""
        held = exposure > 0
        if not held.any():
            return self
        least = float(distance[held].min())
        return Extremes(
            exposure=max(self.exposure, float(exposure.max())),
            leverage=_larger(self.leverage, exposure[held], equity[held]),
            margin=_larger(self.margin, margin[held], equity[held]),
            distance=least if self.distance is None else min(least, self.distance),
        )


def _larger(sofar: float | None, amount: Floats, equity: Floats) -> float | None:
    """The largest amount over equity; infinite where the equity is used up, and then left out."""
    with np.errstate(divide="ignore"):
        ratios = np.where(equity > 0, amount / np.maximum(equity, 1e-300), np.inf)
    most = float(ratios.max())
    return max(most, sofar or 0.0) if np.isfinite(most) else sofar


def extremes_of(path: AccountPath, start_ns: int, end_ns: int) -> Extremes:
    """The furthest that an account went between two times, at every price and after every fill."""
    if len(path.bots) == 1:
        return _of_one(path)
    found = Extremes()
    changes = [series for bot in path.bots for series in (bot.time_ns, bot.mark.time_ns)]
    times = merged(changes)
    times = times[(times >= start_ns) & (times <= end_ns)]
    for block in range(0, len(times), _BLOCK):
        state = path.at(times[block : block + _BLOCK])
        found = found.and_of(state.equity, state.exposure, state.margin, state.distance)
    return found


def _of_one(path: AccountPath) -> Extremes:
    """With one market everything is extreme where the price is, between one fill and the next."""
    bot, rate = path.bots[0], path.maintenance[0]
    if not len(bot.mark.price):
        return Extremes()
    begin = np.maximum(np.searchsorted(bot.mark.time_ns, bot.time_ns, side="right") - 1, 0)
    # What comes at the very time of the next change belongs to that one.
    end = np.searchsorted(bot.mark.time_ns, bot.time_ns[1:], side="left")
    end = np.maximum(np.append(end, len(bot.mark.price)), begin + 1)
    to_the_end = end == len(bot.mark.price)  # which `reduceat` has no index for
    ranges = np.stack([begin, end - to_the_end], axis=1).ravel()
    found = Extremes()
    for of in (np.minimum, np.maximum):
        price = of.reduceat(bot.mark.price, ranges)[::2]
        price = np.where(to_the_end, of(price, bot.mark.price[-1]), price)
        notional = np.abs(bot.position) * price
        equity = path.deposit + bot.cash + bot.position * price
        weight = np.where(bot.position > 0, 1 - rate, 1 + rate) * notional
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.where(weight > 0, (equity - notional * rate) / weight, np.inf)
        found = found.and_of(equity, notional, notional / path.leverage[0], distance)
    return found
