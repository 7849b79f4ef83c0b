"""A year of one-minute candles of twelve symbols, made from the bundled month.

Hours of the month follow each other in a random order, each shifted to where the one before ended,
and half of them upside down, so that the month's rise does not become the year's. So every candle
is as lively as a real one, and no two symbols have the same year.
"""

from pathlib import Path
from typing import Final

import numpy as np

from opensqt.backtest.data.parquet import write_parquet
from opensqt.backtest.data.sources.table import DataKind, Scaled, Table

MONTH: Final = Path("recordings/btcusdt_perp_1m_202505.csv.gz")
SYMBOLS: Final = tuple(f"BENCH{number:02}USDT" for number in range(1, 13))
HOUR: Final = 60
MINUTE_NS: Final = 60_000_000_000
START_NS: Final = 1_704_067_200_000_000_000
PRICES: Final = ("open", "high", "low", "close")


def write_year(folder: Path, *, hours: int) -> None:
    """Write the candles of every symbol as Parquet into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    month = np.loadtxt(MONTH, delimiter=",", skiprows=1)
    # Tenths of a quote unit are ticks; the volume has three decimals.
    ticks = np.rint(month[:, 1:5] * 10).astype(np.int64)
    volume = np.rint(month[:, 5] * 1_000).astype(np.int64)
    for seed, symbol in enumerate(SYMBOLS):
        write_parquet(_candles(ticks, volume, symbol, hours, seed), folder / f"{symbol}.parquet")


def _candles(ticks: np.ndarray, volume: np.ndarray, symbol: str, hours: int, seed: int) -> Table:
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, len(ticks) - HOUR, hours)
    minutes = (starts[:, None] + np.arange(HOUR)).ravel()
    moves = ticks[minutes].reshape(hours, HOUR, 4)
    moves -= moves[:, :1, :1]  # from where the hour began
    mirrored = rng.random(hours) < 0.5
    moves[mirrored] = -moves[mirrored][:, :, [0, 2, 1, 3]]  # what was a high is a low
    begins = ticks[0, 0] + np.concatenate(([0], np.cumsum(moves[:-1, -1, 3])))
    prices = (begins[:, None, None] + moves).reshape(-1, 4)
    assert prices.min() > 0, "the price of a year fell to nothing; another seed does not"
    count = len(prices)
    numbers = {
        name: Scaled(values=prices[:, column].copy(), decimals=1)
        for column, name in enumerate(PRICES)
    }
    return Table(
        kind=DataKind.CANDLES,
        path=Path(symbol),
        symbol=symbol,
        time_ns=START_NS + MINUTE_NS * np.arange(count, dtype=np.int64),
        line=np.arange(1, count + 1, dtype=np.int64),
        numbers=numbers | {"volume": Scaled(values=volume[minutes], decimals=3)},
    )
