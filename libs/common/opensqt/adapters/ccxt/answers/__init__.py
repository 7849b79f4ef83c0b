"""What an exchange's answer proves: a table for each, and UNKNOWN for whatever is not in it.

A request is only known to have failed when the exchange says so in words that are listed here.
ccxt's own mapping is not used: it depends on the URL, calls truncated answers rejects, and has no
word for "may have happened".
"""

from collections.abc import Mapping
from typing import Final

from opensqt.adapters.ccxt.answers import (
    binance_spot,
    binance_usdm,
    bitget,
    bybit,
    gate,
    okx,
)
from opensqt.adapters.ccxt.answers.verdicts import (
    TEXT_MAX,
    UNLISTED,
    Answer,
    Proof,
    Row,
    Verdict,
)

__all__ = ["TABLES", "TEXT_MAX", "Answer", "Proof", "Row", "Verdict", "classify", "row_for"]

TABLES: Final[Mapping[str, tuple[Row, ...]]] = {
    "binanceusdm": binance_usdm.TABLE,
    "binance": binance_spot.TABLE,
    "bybit": bybit.TABLE,
    "okx": okx.TABLE,
    "bitget": bitget.TABLE,
    "gate": gate.TABLE,
}
"""By the exchange's name, which is that of ccxt."""


def row_for(exchange: str, answer: Answer) -> Row | None:
    """The line that decides about `answer`: the first that fits; None when none does."""
    return next((row for row in TABLES[exchange] if row.fits(answer)), None)


def classify(exchange: str, answer: Answer) -> Verdict:
    """What `answer` proves; UNKNOWN when no line is about it."""
    row = row_for(exchange, answer)
    return UNLISTED if row is None else row.verdict
