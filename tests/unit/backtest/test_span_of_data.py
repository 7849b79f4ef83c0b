"""What is wrong outside the span that was asked for does not count; what is missing in it does."""

from pathlib import Path

import pytest

from opensqt.adapters.replay.source import DamagedData
from opensqt.backtest.data.coverage import compared
from opensqt.backtest.data.reading import read_tape
from opensqt.backtest.tape import Tape
from tests.unit.backtest.reading_world import (
    HEADING,
    START_MS,
    candle,
    instrument,
    notes,
    write,
)

TRADE = "{id},100.1,0.5,1,{ms},true\n"


def minute(number: float) -> int:
    """The beginning of a minute of the data, in nanoseconds."""
    return (START_MS * 10**6) + int(number * 60 * 10**9)


def span(path: Path, begin: float | None, end: float | None, *, strict: bool = False) -> Tape:
    return read_tape(
        path,
        instrument(),
        start_ns=None if begin is None else minute(begin),
        end_ns=None if end is None else minute(end),
        strict=strict,
    )


BROKEN = {
    "gap": (candle(6), "candles are missing"),
    "duplicate": (candle(4) + candle(4) + candle(5) + candle(6), "was there before"),
    "time_travel": (candle(5) + candle(4) + candle(6), "goes back"),
    "zero_price": (
        candle(4, "0,1,0,1,1") + candle(5, "0,1,0,1,1") + candle(6),
        "must be positive",
    ),
    "not_a_number": (candle(4) + candle(5, "NaN,1,1,1,1") + candle(6), "not finite"),
    "unreadable": (candle(4) + candle(5, "x,1,1,1,1") + candle(6), "no decimal|not a decimal"),
    "negative_volume": (candle(4) + candle(5, "100,101,99,100,-1") + candle(6), "negative"),
    "off_tick": (candle(4, "100.05,101,99,100,1") + candle(5) + candle(6), "multiples of 0.1"),
}
"""Something wrong in the minutes 4 and 5 of twelve."""


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_wrong_counts_within_the_span_alone(kind: str, tmp_path: Path) -> None:
    broken, reason = BROKEN[kind]
    rows = [*map(candle, range(4)), broken, *map(candle, range(7, 12))]
    path = write(tmp_path, "btcusdt_1m.csv", HEADING + "".join(rows))
    assert notes(span(path, 0, 4, strict=True)) == {}
    assert notes(span(path, 6, 12, strict=True)) == {}
    assert notes(span(path, 2, 8))[kind] >= 1
    with pytest.raises(DamagedData, match=reason):
        span(path, 2, 8, strict=True)


def test_a_gap_that_reaches_into_the_span_counts(tmp_path: Path) -> None:
    rows = "".join(map(candle, [0, 1, 2, 3, 8, 9, 10]))
    path = write(tmp_path, "btcusdt_1m.csv", HEADING + rows)
    for begin, end, gaps in ((0, 4, 0), (0, 5, 1), (7, 11, 1), (8, 11, 0), (3, 9, 1)):
        assert notes(span(path, begin, end)) == ({"gap": 1} if gaps else {}), (begin, end)


def test_what_has_no_time_counts_always(tmp_path: Path) -> None:
    rows = [*map(candle, range(4)), "soon,1,1,1,1,1\n", *map(candle, range(4, 12))]
    path = write(tmp_path, "btcusdt_1m.csv", HEADING + "".join(rows))
    assert notes(span(path, 8, 12)) == {"unreadable": 1}


def test_a_gap_between_files_outside_the_span_does_not_count(tmp_path: Path) -> None:
    for name, minutes in (("1", range(4)), ("2", range(6, 10)), ("3", range(10, 14))):
        write(tmp_path, f"btcusdt-1m-2025-0{name}.csv", HEADING + "".join(map(candle, minutes)))
    assert notes(span(tmp_path, 6, 14, strict=True)) == {}
    assert notes(span(tmp_path, 3, 14)) == {"gap": 1}


def test_data_that_does_not_reach_as_far_as_was_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, "btcusdt_1m.csv", HEADING + "".join(map(candle, range(4))))
    assert notes(span(path, -1, 5, strict=True)) == {}, "a candle is no matter"
    tape = span(path, -2, 4)
    (late,) = [note for note in tape.notes if note.kind == "begins_late"]
    assert "2 min after the beginning" in late.text
    assert notes(span(path, 0, 3 * 1440)) == {"ends_early": 1}
    assert notes(span(path, None, None, strict=True)) == {}
    with pytest.raises(DamagedData, match="2 d 23 h before the end that was asked for"):
        span(path, 0, 3 * 1440, strict=True)


def test_a_market_may_be_silent_as_long_as_it_ever_was(tmp_path: Path) -> None:
    heading = "id,price,qty,quote_qty,time,is_buyer_maker\n"
    rows = [TRADE.format(id=i, ms=START_MS + i * 300_000) for i in range(4)]  # every 5 minutes
    path = write(tmp_path, "btcusdt_trades.csv", heading + "".join(rows))
    assert notes(span(path, -5, 20, strict=True)) == {}
    assert notes(span(path, -6, 21)) == {"begins_late": 1, "ends_early": 1}


class TestSeveralSymbols:
    def tapes(self, tmp_path: Path, *minutes: range) -> dict[str, Tape]:
        found = {}
        for symbol, held in zip(("BTCUSDT", "ETHUSDT"), minutes, strict=True):
            text = HEADING + "".join(map(candle, held))
            path = write(tmp_path, f"{symbol.lower()}_1m.csv", text)
            found[symbol] = read_tape(path, instrument(symbol))
        return found

    def test_one_that_spans_much_less_is_said(self, tmp_path: Path) -> None:
        tapes = self.tapes(tmp_path, range(100), range(30, 80))
        told = compared(tapes, tmp_path, strict=False)
        assert notes(told["BTCUSDT"]) == {}
        assert notes(told["ETHUSDT"]) == {"begins_late": 1, "ends_early": 1}
        with pytest.raises(DamagedData, match=r"ETHUSDT: data begins .* 30 min after another's"):
            compared(tapes, tmp_path, strict=True)

    def test_what_was_asked_for_says_it_already(self, tmp_path: Path) -> None:
        tapes = self.tapes(tmp_path, range(100), range(30, 80))
        told = compared(tapes, tmp_path, strict=False, start_ns=minute(0))
        assert notes(told["ETHUSDT"]) == {"ends_early": 1}

    def test_a_little_less_is_no_matter(self, tmp_path: Path) -> None:
        tapes = self.tapes(tmp_path, range(100), range(5, 95))
        assert compared(tapes, tmp_path, strict=True) == tapes
