"""The ticks that every engine runs on, and the grid that trades them.

Prices are even multiples of the tick and the levels of the grid odd ones, so that no trade is at
the price of an order: whether a touch fills is where engines differ by intention, and not what is
compared here. For the same reason no two ticks have the same time, and every trade is at least as
large as the orders that it can fill.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

RECORDING: Final = Path("recordings/btcusdt_usdm_20240808.jsonl.gz")
TICK: Final = Decimal("0.05")
"""Half of the markets' own tick: their prices are even, and the levels lie in between."""
STEP: Final = Decimal("0.001")
START_NS: Final = 1_723_075_200_000_000_000
START_TICKS: Final = 1_200_000  # 60,000.00
SEED: Final = 4
US: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticks:
    """Trades, in order; prices in `TICK`, quantities in `STEP`."""

    time_ns: NDArray[np.int64]
    price: NDArray[np.int64]
    quantity: NDArray[np.int64]
    buyer_is_maker: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.price)

    def save(self, path: Path) -> None:
        """Write them for processes of any environment."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **{name: getattr(self, name) for name in self.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A long grid of maker orders; prices in ticks, quantities in steps, money in quote."""

    interval: int
    anchor: int = START_TICKS + 1
    levels: int = 10
    slack: int = 1
    """Levels below the window at which an order is still kept."""
    quantity: int = 1
    tick: str = str(TICK)
    step: str = str(STEP)
    maker_fee: str = "0.0002"
    taker_fee: str = "0.0005"
    deposit: str = "1000000"

    def save(self, path: Path) -> None:
        """Write it for processes of any environment."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


def walk(count: int, *, seed: int = SEED) -> Ticks:
    """A random walk by one price step or none; one trade in two thousand jumps by tens of them."""
    rng = np.random.default_rng(seed)
    steps = rng.integers(-1, 2, count)
    jumps = rng.random(count) < 1 / 2_000
    steps[jumps] = np.rint(rng.normal(0, 25, jumps.sum()))
    steps[0] = 0
    return Ticks(
        time_ns=START_NS + np.cumsum(rng.integers(1 * US, 40_000 * US, count)),
        price=START_TICKS + 2 * np.cumsum(steps),
        quantity=rng.integers(1_000, 5_000, count),
        buyer_is_maker=_falling(steps),
    )


def recorded() -> Ticks:
    """The trades of the bundled recording, a microsecond apart where they share a millisecond."""
    rows = np.array(list(_recorded_rows()), dtype=np.int64)
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    number = np.arange(len(rows))
    first_of_ms = np.searchsorted(rows[:, 0], rows[:, 0])
    return Ticks(
        time_ns=rows[:, 0] * 1_000_000 + (number - first_of_ms) * US,
        price=rows[:, 1],
        quantity=rows[:, 2],
        buyer_is_maker=rows[:, 3].astype(np.bool_),
    )


def _recorded_rows() -> Iterator[tuple[int, int, int, bool]]:
    with gzip.open(RECORDING, "rt", encoding="utf-8") as lines:
        for line in lines:
            message = json.loads(line.split(" ", 1)[1])["data"]
            if message["e"] == "trade" and message.get("X", "MARKET") == "MARKET":
                price, quantity = Decimal(message["p"]) / TICK, Decimal(message["q"]) / STEP
                yield message["T"], int(price), int(quantity), message["m"]


def _falling(steps: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the last change of the price was a fall: then the seller was the aggressor."""
    changed = np.maximum.accumulate(np.where(steps != 0, np.arange(len(steps)), 0))
    return np.asarray(steps[changed] < 0)
