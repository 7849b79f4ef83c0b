"""Data that is not as it should be: an error when strict, otherwise counted and said."""

from pathlib import Path

import pytest

from opensqt.adapters.replay.source import DamagedData
from opensqt.backtest.reading import read_tape
from tests.unit.backtest.reading_world import (
    HEADING,
    START_MS,
    candle,
    instrument,
    notes,
    prices,
    write,
)

TRADE = "{id},100.1,0.5,1,1,{ms},true\n"


def candles(*rows: str) -> str:
    return HEADING + candle(0) + candle(1) + "".join(rows) + candle(6) + candle(7)


FIVE = candle(2) + candle(3) + candle(4) + candle(5)


@pytest.mark.parametrize(
    ("text", "line", "reason", "counted", "candles_left"),
    [
        (candles(), 4, "candles are missing", {"gap": 1}, 4),
        (candles(FIVE, candle(5)), 8, "was there before", {"duplicate": 1}, 8),
        (candles(FIVE, candle(2)), 8, "time goes back", {"time_travel": 1, "duplicate": 1}, 8),
        (candles(candle(3), candle(2), candle(4), candle(5)), 5, "back", {"time_travel": 1}, 8),
        (
            candles(candle(2, "NaN,1,1,1,1"), candle(3), candle(4), candle(5)),
            4,
            "open: 'NaN' is not finite",
            {"not_a_number": 1, "gap": 1},
            7,
        ),
        (
            candles(candle(2, "x,1,1,1,1"), candle(3), candle(4), candle(5)),
            4,
            "open: 'x' is not a decimal number",
            {"unreadable": 1, "gap": 1},
            7,
        ),
        (
            candles(candle(2, "1,1"), candle(3), candle(4), candle(5)),
            4,
            "3 columns; allowed are 6",
            {"unreadable": 1, "gap": 1},
            7,
        ),
        (
            candles("\n", candle(2), candle(3), candle(4), candle(5)),
            4,
            "has 1 columns",
            {"unreadable": 1},
            8,
        ),
        (
            candles(candle(2, "100,101,99,100,-1"), candle(3), candle(4), candle(5)),
            4,
            "volume is -1; it must not be negative",
            {"negative_volume": 1, "gap": 1},
            7,
        ),
        (
            candles(candle(2, "0,101,0,100,1"), candle(3), candle(4), candle(5)),
            4,
            "open is 0; it must be positive",
            {"zero_price": 1, "gap": 1},
            7,
        ),
        (
            candles(candle(2, "100,99,98,98,1"), candle(3), candle(4), candle(5)),
            4,
            "low 98 and high 99 do not hold open 100 and close 98",
            {"not_a_candle": 1, "gap": 1},
            7,
        ),
        (
            candles(candle(2, "100,101.04,99,100,1"), candle(3), candle(4), candle(5)),
            4,
            "high is 101.04; allowed are multiples of 0.1",
            {"off_tick": 1},
            8,
        ),
        (
            candles(candle(2, "100,101.1234567890123,99,100,1"), candle(3), candle(4), candle(5)),
            4,
            "high is 101.1234567890123; allowed are 12 digits",
            {"too_fine": 1, "off_tick": 1},
            8,
        ),
    ],
)
def test_bad_candles(  # noqa: PLR0917  # one row of the table above
    tmp_path: Path, text: str, line: int, reason: str, counted: dict[str, int], candles_left: int
) -> None:
    path = write(tmp_path, "x.csv", text)
    tape = read_tape(path, instrument())
    assert notes(tape) == counted
    assert len(tape.trades) == 13 * candles_left
    assert tape.trades.time_ns.tolist() == sorted(tape.trades.time_ns.tolist())
    with pytest.raises(DamagedData) as caught:
        read_tape(path, instrument(), strict=True)
    assert caught.value.line == line
    assert caught.value.path == path
    assert reason in caught.value.reason


def test_a_note_says_where_it_was_first_and_what_was_done(tmp_path: Path) -> None:
    rows = (
        candle(2, "100,101.04,99,100,1"),
        candle(3, "100,101,98.96,100,1"),
        candle(4),
        candle(5),
    )
    tape = read_tape(write(tmp_path, "x.csv", candles(*rows)), instrument())
    high, low = tape.notes[0], tape.notes[1]
    assert (high.kind, high.count) == ("off_tick", 2)
    assert high.text == (
        "x.csv, line 4: high is 101.04; allowed are multiples of 0.1; rounded to the nearest"
    )
    assert low.kind == "no_funding"
    assert max(map(float, prices(tape))) == 101.0


@pytest.mark.parametrize(
    ("rows", "line", "reason", "counted", "left"),
    [
        ([(1, 0), (2, 5), (2, 5), (3, 6)], 3, "the id 2 was there before", {"duplicate": 1}, 3),
        ([(1, 0), (3, 5), (4, 6)], 2, "ids are missing between 1 and 3", {"gap": 1}, 3),
        ([(1, 9), (2, 5), (3, 9)], 2, "time goes back", {"time_travel": 1}, 3),
    ],
)
def test_bad_trades(  # noqa: PLR0917  # one row of the table above
    tmp_path: Path,
    rows: list[tuple[int, int]],
    line: int,
    reason: str,
    counted: dict[str, int],
    left: int,
) -> None:
    text = "".join(TRADE.format(id=number, ms=START_MS + ms) for number, ms in rows)
    path = write(tmp_path, "x.csv", text)
    tape = read_tape(path, instrument())
    assert (notes(tape), len(tape.trades)) == (counted, left)
    with pytest.raises(DamagedData) as caught:
        read_tape(path, instrument(), strict=True)
    assert caught.value.line == line
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ("2,100.1,0,1,1,{ms},true", "zero_quantity"),
        ("2,-1,1,1,1,{ms},true", "zero_price"),
        ("2,1,1,1,1,{ms},perhaps", "unreadable"),
        ("2,1,1,1,1,yesterday,true", "unreadable"),
        ("2,1e400,1,1,1,{ms},true", "unreadable"),
        ("99999999999999999999,1,1,1,1,{ms},true", "unreadable"),
    ],
)
def test_a_bad_trade_is_left_out(tmp_path: Path, row: str, kind: str) -> None:
    first, last = TRADE.format(id=1, ms=START_MS), TRADE.format(id=3, ms=START_MS)
    path = write(tmp_path, "x.csv", first + row.format(ms=START_MS) + "\n" + last)
    tape = read_tape(path, instrument())
    assert len(tape.trades) == 2
    assert notes(tape)[kind] == 1
    with pytest.raises(DamagedData) as caught:
        read_tape(path, instrument(), strict=True)
    assert caught.value.line == 2


def test_a_price_that_is_nothing_in_ticks_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, "x.csv", TRADE.format(id=1, ms=START_MS).replace("100.1", "0.01"))
    with pytest.raises(DamagedData, match="it is nothing in units of"):
        read_tape(path, instrument())


def test_one_candle_does_not_say_how_long_it_is(tmp_path: Path) -> None:
    path = write(tmp_path, "x.csv", HEADING + candle(0))
    with pytest.raises(DamagedData, match="say so, in seconds"):
        read_tape(path, instrument())
    assert len(read_tape(path, instrument(), candle_s=60).trades) == 13


def test_candles_closer_than_they_are_said_to_be_long(tmp_path: Path) -> None:
    path = write(tmp_path, "x.csv", HEADING + candle(0) + candle(1))
    with pytest.raises(DamagedData, match="60 s apart, but candles are said to be 300 s long"):
        read_tape(path, instrument(), candle_s=300)


class TestRecordings:
    GOOD = '{"data":{"e":"trade","s":"BTCUSDT","p":"60000.1","q":"0.5","m":true}}'

    @pytest.mark.parametrize(
        ("line", "kind", "reason"),
        [
            ("hello", "unreadable", "expected '<local_ns> <json>'"),
            ("7 {", "unreadable", "not JSON"),
            ("7 " + GOOD.replace('"p":"60000.1",', ""), "unreadable", "the key 'p' is missing"),
            ("7 " + GOOD.replace('"60000.1"', '"NaN"'), "unreadable", "is not finite"),
            ("7 " + GOOD.replace('"60000.1"', "60000.1"), "unreadable", "is not exact"),
            ("7 " + GOOD.replace("true", '"yes"'), "unreadable", "allowed are true and false"),
            ("7 " + GOOD.replace('"0.5"', '"0"'), "zero_quantity", "quantity is 0"),
        ],
    )
    def test_a_bad_line(self, tmp_path: Path, line: str, kind: str, reason: str) -> None:
        path = write(tmp_path, "x.jsonl", f"5 {self.GOOD}\n{line}\n9 {self.GOOD}\n")
        tape = read_tape(path, instrument())
        assert (notes(tape), len(tape.trades)) == ({kind: 1}, 2)
        with pytest.raises(DamagedData) as caught:
            read_tape(path, instrument(), strict=True)
        assert caught.value.line == 2
        assert reason in caught.value.reason

    def test_time_that_goes_back_between_streams(self, tmp_path: Path) -> None:
        quote = '{"data":{"e":"bookTicker","s":"BTCUSDT","b":"1","B":"1","a":"2","A":"1"}}'
        path = write(tmp_path, "x.jsonl", f"5 {self.GOOD}\n4 {quote}\n6 {self.GOOD}\n")
        tape = read_tape(path, instrument())
        assert notes(tape) == {"time_travel": 1}
        assert tape.quotes.row.tolist() == [0]
        assert tape.trades.row.tolist() == [1, 2]
        with pytest.raises(DamagedData, match="line 2: time goes back"):
            read_tape(path, instrument(), strict=True)


class TestFundingIntervals:
    def intervals(self, folder: Path, rows: str, *, strict: bool = True) -> list[int]:
        hours = 60 * 24 * 4
        text = HEADING + candle(0) + candle(hours)
        path = write(folder, "btcusdt_1d.csv", text)
        write(folder, "btcusdt_funding.csv", rows)
        return read_tape(path, instrument(), strict=strict).fundings.interval_minutes.tolist()

    def rows(self, *hours: float) -> str:
        return "ts_ms,funding_rate\n" + "".join(
            f"{START_MS + int(hour * 3_600_000)},0.0001\n" for hour in hours
        )

    def test_it_shows_in_the_spacing(self, tmp_path: Path) -> None:
        found = self.intervals(tmp_path, self.rows(0, 8, 16.000003, 24, 28, 32, 33, 34))
        assert found == [480, 480, 480, 480, 240, 240, 60, 60]

    def test_a_missing_settlement_is_no_longer_interval(self, tmp_path: Path) -> None:
        rows = self.rows(0, 1, 2, 4, 5, 6)
        assert self.intervals(tmp_path, rows, strict=False) == [60, 60, 60, 0, 60, 60]
        with pytest.raises(DamagedData, match="line 5: the interval of the settlement is not told"):
            self.intervals(tmp_path, rows)

    def test_a_time_that_no_exchange_settles_at(self, tmp_path: Path) -> None:
        assert self.intervals(tmp_path, self.rows(0, 8, 13), strict=False) == [0, 480, 0]

    def test_a_single_settlement_does_not_say(self, tmp_path: Path) -> None:
        with pytest.raises(DamagedData, match="allowed is a column interval_hours"):
            self.intervals(tmp_path, self.rows(0))

    def test_an_empty_cell_is_seen_in_the_spacing(self, tmp_path: Path) -> None:
        rows = (
            f"ts_ms,funding_rate,interval_hours\n{START_MS},0.1,4\n{START_MS + 14_400_000},0.1,\n"
        )
        assert self.intervals(tmp_path, rows) == [240, 240]
