"""Data that is not as it should be: an error when strict, otherwise counted and said."""

import zipfile
from pathlib import Path

import pytest

from opensqt.adapters.replay.source import DamagedData
from opensqt.backtest.data.reading import read_tape
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


def test_a_gap_is_told_in_times_that_people_read(tmp_path: Path) -> None:
    text = HEADING + "".join(candle(i) for i in (0, 1, 7, 8, 10))
    (gap, _) = read_tape(write(tmp_path, "x.csv", text), instrument()).notes
    assert gap.text == (
        "x.csv, line 4: candles are missing between 2023-11-14 22:14:00 UTC and "
        "2023-11-14 22:20:00 UTC, for 5 min (in all 6 candles in 2 gaps); left as it is"
    )


def test_times_that_go_back_or_come_again_are_told_in_utc(tmp_path: Path) -> None:
    rows = candle(1) + candle(0) + candle(0) + candle(2)
    back, again, _ = read_tape(write(tmp_path, "x.csv", HEADING + rows), instrument()).notes
    assert "time goes back from 2023-11-14 22:14:00 UTC to 2023-11-14 22:13:00 UTC;" in back.text
    assert "the time 2023-11-14 22:13:00 UTC was there before" in again.text


class TestTimeUnits:
    """Candles of a minute, whose times are in another unit than is said."""

    def text(self, heading: str, unit_ns: int) -> str:
        rows = (
            f"{(START_MS + i * 60_000) * 10**6 // unit_ns},100,101,99,100,5\n" for i in range(3)
        )
        return HEADING.replace("ts_ms", heading) + "".join(rows)

    @pytest.mark.parametrize("unit_ns", [10**9, 10**6, 10**3, 1])
    @pytest.mark.parametrize("heading", ["timestamp", "named"])
    def test_a_unit_is_told_or_seen(self, tmp_path: Path, heading: str, unit_ns: int) -> None:
        units = {10**9: "s", 10**6: "ms", 10**3: "us", 1: "ns"}
        named = f"ts_{units[unit_ns]}" if heading == "named" else heading
        path = write(tmp_path, "x.csv", self.text(named, unit_ns))
        tape = read_tape(path, instrument(), strict=True)
        assert (tape.candle_s, int(tape.trades.time_ns[0])) == (60, START_MS * 10**6)

    @pytest.mark.parametrize(
        ("heading", "unit_ns", "said"),
        [
            ("ts_ms", 10**9, "ts_ms is 1699999980, which is 1970-01-20 16:13:19.98 UTC; allowed"),
            ("ts_ms", 10**3, "ts_ms is 1699999980000000, which is not within the years 1 to 9999"),
            ("ts_ns", 10**6, "which is 1970-01-01 00:28:19.99998 UTC; allowed are times from 2000"),
            ("ts_us", 1, "allowed are times from 2000 to 2100 in the unit that the heading names"),
        ],
    )
    @pytest.mark.parametrize("strict", [True, False])
    def test_another_unit_is_an_error(
        self, tmp_path: Path, heading: str, unit_ns: int, said: str, *, strict: bool
    ) -> None:
        path = write(tmp_path, "x.csv", self.text(heading, unit_ns))
        with pytest.raises(DamagedData) as caught:
            read_tape(path, instrument(), strict=strict)
        assert said in caught.value.reason
        assert "line 2" in str(caught.value)

    def test_a_single_such_row_is_counted(self, tmp_path: Path) -> None:
        path = write(tmp_path, "x.csv", HEADING + candle(0) + candle(1) + "-5,1,1,1,1,1\n")
        tape = read_tape(path, instrument())
        assert (notes(tape), len(tape.trades)) == ({"wrong_time": 1}, 26)


class TestSymbolColumns:
    def text(self, *symbols: str) -> str:
        rows = (f"{symbol},{candle(i)}" for i, symbol in enumerate(symbols))
        return "symbol," + HEADING + "".join(rows)

    @pytest.mark.parametrize("symbol", ["BTCUSDT", "BTC/USDT"])
    def test_it_says_whose_they_are(self, tmp_path: Path, symbol: str) -> None:
        path = write(tmp_path, "x.csv", self.text(symbol, symbol))
        assert len(read_tape(path, instrument(), strict=True).trades) == 26

    def test_another_symbol_is_refused(self, tmp_path: Path) -> None:
        path = write(tmp_path, "x.csv", self.text("ETHUSDT", "ETHUSDT"))
        with pytest.raises(DamagedData, match="holds nothing of BTCUSDT; symbols: ETHUSDT"):
            read_tape(path, instrument())

    @pytest.mark.parametrize("bad_cell", ["", "x"])
    def test_several_are_never_taken_for_one_market(self, tmp_path: Path, bad_cell: str) -> None:
        """Also where the file is read row by row, as some cell is bad."""
        text = self.text("BTCUSDT", "BTCUSDT", "ETHUSDT") + (bad_cell and f"BTCUSDT,{bad_cell}\n")
        path = write(tmp_path, "x.csv", text)
        said = r"line 4: holds BTCUSDT, ETHUSDT; allowed is one symbol in a file"
        with pytest.raises(DamagedData, match=said):
            read_tape(path, instrument())

    def test_funding_of_another_symbol_is_refused(self, tmp_path: Path) -> None:
        path = write(tmp_path, "btcusdt_1m.csv", HEADING + candle(0) + candle(1))
        funding = f"symbol,ts_ms,funding_rate\nETHUSDT,{START_MS},0.1\n"
        write(tmp_path, "btcusdt_funding.csv", funding)
        with pytest.raises(DamagedData, match="holds ETHUSDT; by its name it is of BTCUSDT"):
            read_tape(path, instrument())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty; allowed are tables:"),
        ("\n \n", "is empty"),
        (HEADING.replace(",", ";"), "'ts_ms;open;high;low;close;volume' begins no table"),
        ("\ufffd\0", "is no text; allowed is UTF-8"),
        (
            HEADING + candle(0, "0,0,0,0,0") * 3,
            "no row of it can be used: 3 x zero_price: x.csv, l",
        ),
        (HEADING + "1,2\n", "no row of it can be used: 1 x unreadable: x.csv, line 2: '1,2' has 2"),
        (HEADING + candle(0, "1,1,1,1,0") + candle(1, "1,1,1,1,0"), "candles are without volume"),
    ],
)
def test_what_leaves_nothing_to_trade_on_is_an_error(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DamagedData) as caught:
        read_tape(write(tmp_path, "x.csv", text), instrument())
    assert said in str(caught.value)


def test_an_archive_that_is_encrypted(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.csv", HEADING + candle(0))
    packed = bytearray(path.read_bytes())
    packed[6] |= 1
    packed[packed.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(packed)
    with pytest.raises(DamagedData, match=r"cannot be read: .* is encrypted"):
        read_tape(path, instrument())


def test_what_is_not_there_has_no_line(tmp_path: Path) -> None:
    with pytest.raises(DamagedData) as caught:
        read_tape(tmp_path / "x.csv", instrument())
    assert str(caught.value) == f"{tmp_path / 'x.csv'}: no such file or folder"


def test_one_candle_does_not_say_how_long_it_is(tmp_path: Path) -> None:
    path = write(tmp_path, "x.csv", HEADING + candle(0))
    with pytest.raises(DamagedData, match="allowed are two candles or more"):
        read_tape(path, instrument())
    assert len(read_tape(path, instrument(), candle_s=60).trades) == 13


def test_candles_closer_than_they_are_said_to_be_long(tmp_path: Path) -> None:
    path = write(tmp_path, "x.csv", HEADING + candle(0) + candle(1))
    with pytest.raises(DamagedData, match="60 s apart, but candles are said to be 300 s long"):
        read_tape(path, instrument(), candle_s=300)


N = "170000000000000000"
"""What times of recordings begin with."""


class TestRecordings:
    GOOD = '{"data":{"e":"trade","s":"BTCUSDT","p":"60000.1","q":"0.5","m":true}}'

    @pytest.mark.parametrize(
        ("line", "kind", "reason"),
        [
            ("hello", "unreadable", "expected '<local_ns> <json>'"),
            (f"{N}7 {{", "unreadable", "not JSON"),
            (f"{N}7 " + GOOD.replace('"p":"60000.1",', ""), "unreadable", "the key 'p' is missing"),
            (f"{N}7 " + GOOD.replace('"60000.1"', '"NaN"'), "unreadable", "is not finite"),
            (f"{N}7 " + GOOD.replace('"60000.1"', "60000.1"), "unreadable", "is not exact"),
            (f"{N}7 " + GOOD.replace("true", '"yes"'), "unreadable", "allowed are true and false"),
            (f"{N}7 " + GOOD.replace("true", "null"), "unreadable", "m is None; allowed are true"),
            (f"{N}7 " + GOOD.replace('"0.5"', '"0"'), "zero_quantity", "quantity is 0"),
        ],
    )
    def test_a_bad_line(self, tmp_path: Path, line: str, kind: str, reason: str) -> None:
        path = write(tmp_path, "x.jsonl", f"{N}5 {self.GOOD}\n{line}\n{N}9 {self.GOOD}\n")
        tape = read_tape(path, instrument())
        assert (notes(tape), len(tape.trades)) == ({kind: 1}, 2)
        with pytest.raises(DamagedData) as caught:
            read_tape(path, instrument(), strict=True)
        assert caught.value.line == 2
        assert reason in caught.value.reason

    def test_time_that_goes_back_between_streams(self, tmp_path: Path) -> None:
        quote = '{"data":{"e":"bookTicker","s":"BTCUSDT","b":"1","B":"1","a":"2","A":"1"}}'
        path = write(tmp_path, "x.jsonl", f"{N}5 {self.GOOD}\n{N}4 {quote}\n{N}6 {self.GOOD}\n")
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

    def test_what_is_counted_is_that_of_the_span(self, tmp_path: Path) -> None:
        hours = [8 * i for i in range(9)]
        write(tmp_path, "btcusdt_funding.csv", self.rows(*hours, 77, 80))
        start_ns, end_ns = ((START_MS + hour * 3_600_000) * 10**6 for hour in (0, 17))
        text = HEADING + "".join(candle(60 * i) for i in range(24))
        path = write(tmp_path, "btcusdt_1h.csv", text)
        tape = read_tape(path, instrument(), start_ns=start_ns, end_ns=end_ns, strict=True)
        assert tape.fundings.interval_minutes.tolist() == [480, 480, 480]
        (seen,) = tape.notes
        assert (seen.kind, seen.count) == ("funding_interval_seen", 3)
        assert "3 settlements" in seen.text
