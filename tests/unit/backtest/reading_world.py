"""What the tests of reading share: an instrument, files, and tapes as plain rows."""

from decimal import Decimal as D
from pathlib import Path

from opensqt.backtest.tape import Tape
from opensqt.core.instrument import Instrument

RECORDINGS = Path(__file__).parents[3] / "recordings"
START_MS = 1_700_000_000_000 - 1_700_000_000_000 % 60_000
HEADING = "ts_ms,open,high,low,close,volume\n"


def instrument(
    symbol: str = "BTCUSDT", *, tick: str | D = "0.1", step: str | D = "0.001"
) -> Instrument:
    return Instrument(
        symbol=symbol,
        base=symbol.removesuffix("USDT"),
        quote="USDT",
        tick_size=D(tick),
        step_size=D(step),
        min_quantity=D(step),
        max_quantity=D(10**9),
        min_notional=D(5),
    )


def candle(minute: int, text: str = "100,101,99,100.5,13", *, start_ms: int = START_MS) -> str:
    return f"{start_ms + minute * 60_000},{text}\n"


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def notes(tape: Tape) -> dict[str, int]:
    """How often each kind of problem was counted; a missing funding is not of interest."""
    counts: dict[str, int] = {}
    for note in tape.notes:
        if note.kind != "no_funding":
            counts[note.kind] = counts.get(note.kind, 0) + note.count
    return counts


def prices(tape: Tape) -> list[D]:
    return [int(price) * tape.tick for price in tape.trades.price]
