"""Random markets and bots through both: whatever the settings, and however short the margin."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from opensqt.backtest.case import Mode
from opensqt.backtest.diff.compare import Comparison, compare
from opensqt.backtest.recorded.run import RunEnd, RunPurpose
from opensqt.backtest.recorded.sources import run_of
from opensqt.backtest.run import run
from opensqt.testing.tapes import random_case
from simulation.parity.stack import run_stack

TRADES = 100
"""Of each market."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What became of one random case."""

    seed: int
    found: Comparison
    refused: int
    """Orders that the exchange refused in the backtest."""
    forced: int
    """Orders that it made itself: liquidations."""


def through_both(seeds: Iterable[int], *, mode: Mode) -> Iterator[Drawn]:
    """Hold a backtest of each seed's case against the services.

    Raises:
        ValueError: The mode does not do a case.
    """
    for seed in seeds:
        case = random_case(seed, trades=TRADES)
        backtest = run_of(case, run(case, mode=mode))
        services = run_stack(case, seed=seed)
        yield Drawn(
            seed=seed,
            found=compare(backtest, services, tolerance_ns=0, same_clock=True),
            refused=sum(order.end is RunEnd.REFUSED for order in backtest.orders),
            forced=sum(order.purpose is RunPurpose.FORCED for order in backtest.orders),
        )
