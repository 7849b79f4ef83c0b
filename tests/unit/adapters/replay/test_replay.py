"""Market data: what is read from files, and what is said of damaged ones."""

import gzip
from decimal import Decimal as D
from itertools import pairwise
from pathlib import Path

import pytest

from opensqt.adapters.replay.recording import Recording
from opensqt.adapters.replay.source import DamagedData
from opensqt.adapters.replay.tables import CandlesTable, TradesTable
from opensqt.core.exchange.market import MarketTrade, Quote
from opensqt.core.exchange.ticks import MarkPrice, Tick
from opensqt.core.instrument import Instrument

INSTRUMENT = Instrument(
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick_size=D("0.1"),
    step_size=D("0.001"),
    min_quantity=D("0.001"),
    max_quantity=D(1000),
    min_notional=D(100),
)
INSTRUMENTS = {"BTCUSDT": INSTRUMENT}
TRADE = b'{"stream":"s","data":{"e":"trade","E":5,"T":4,"s":"BTCUSDT","t":9,"p":"60000.1","q":"0.5","X":"MARKET","m":true}}'
QUOTE = b'{"stream":"s","data":{"e":"bookTicker","u":1,"s":"BTCUSDT","b":"60000","B":"2","a":"60000.1","A":"3","T":4,"E":5}}'
BUNDLED = Path(__file__).parents[4] / "recordings" / "btcusdt_usdm_20240808.jsonl.gz"


def recording(tmp_path: Path, *lines: bytes) -> list[Tick]:
    path = tmp_path / "recording.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    return list(Recording(path, INSTRUMENTS).ticks())


def damage(tmp_path: Path, *lines: bytes) -> DamagedData:
    with pytest.raises(DamagedData) as caught:
        recording(tmp_path, *lines)
    return caught.value


def test_a_recording_yields_trades_quotes_and_mark_prices(tmp_path: Path) -> None:
    mark = b'{"stream":"s","data":{"e":"markPriceUpdate","E":5,"s":"BTCUSDT","p":"60001","r":"0.0002","T":9}}'
    ticks = recording(tmp_path, b"1000 " + TRADE, b"1500 " + QUOTE, b"1700 " + mark)
    assert ticks == [
        Tick(
            offset_ns=0,
            symbol="BTCUSDT",
            happening=MarketTrade(
                price=D("60000.1"),
                quantity=D("0.5"),
                buyer_is_maker=True,
                time_ns=4_000_000,
                trade_id=9,
            ),
        ),
        Tick(
            offset_ns=500,
            symbol="BTCUSDT",
            happening=Quote(
                bid=D(60000),
                bid_quantity=D(2),
                ask=D("60000.1"),
                ask_quantity=D(3),
                time_ns=4_000_000,
            ),
        ),
        Tick(
            offset_ns=700,
            symbol="BTCUSDT",
            happening=MarkPrice(price=D(60001), rate=D("0.0002"), time_ns=5_000_000),
        ),
    ]


def test_other_messages_are_passed_over(tmp_path: Path) -> None:
    others = [
        b'1 {"lastUpdateId":5,"bids":[]}',
        b'2 {"stream":"s","data":{"e":"depthUpdate"}}',
        b"3 " + TRADE.replace(b"MARKET", b"INSURANCE_FUND"),
        b"",
    ]
    assert [tick.offset_ns for tick in recording(tmp_path, *others, b"9 " + TRADE)] == [8]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"hello", "expected '<local_ns> <json>'"),
        (b"x " + TRADE, "expected '<local_ns> <json>'"),
        (b"-5 " + TRADE, "expected '<local_ns> <json>'"),
        (b"7 {", "not JSON"),
        (b"7 []", "not an object"),
        (b"1 " + TRADE, "time goes back from 5 to 1"),
        (b"7 " + TRADE.replace(b'"p":"60000.1",', b""), "the key 'p' is missing"),
        (b"7 " + TRADE.replace(b'"60000.1"', b'"abc"'), "p: 'abc' is not a decimal number"),
        (b"7 " + TRADE.replace(b'"60000.1"', b"60000.1"), "is not exact"),
        (b"7 " + TRADE.replace(b'"0.5"', b'"0"'), "q is 0; it must be positive"),
        (b"7 " + TRADE.replace(b'"0.5"', b'"NaN"'), "is not finite"),
        (b"7 " + TRADE.replace(b"true", b'"yes"'), "allowed are true and false"),
        (b"7 " + TRADE.replace(b'"T":4', b'"T":"4"'), "is not a time in milliseconds"),
        (
            b"7 " + TRADE.replace(b"BTCUSDT", b"DOGEUSDT"),
            "DOGEUSDT is not listed; symbols: BTCUSDT",
        ),
        (
            b"7 " + QUOTE.replace(b'"60000.1"', b'"59999"'),
            "the bid 60000 is not below the ask 59999",
        ),
    ],
)
def test_a_damaged_recording_is_told_by_line_and_reason(
    tmp_path: Path, line: bytes, reason: str
) -> None:
    damaged = damage(tmp_path, b"5 " + TRADE, b"5 " + QUOTE, line, b"9 " + TRADE)
    assert damaged.line == 3
    assert reason in damaged.reason
    assert "line 3" in str(damaged)


def test_an_empty_recording_is_damaged(tmp_path: Path) -> None:
    assert "empty" in damage(tmp_path).reason


def test_a_cut_off_archive_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(gzip.compress(b"5 " + TRADE + b"\n")[:-9])
    with pytest.raises(DamagedData, match="cannot be read on"):
        list(Recording(path, INSTRUMENTS).ticks())


def test_a_missing_file_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(DamagedData, match="No such file"):
        list(Recording(tmp_path / "none.jsonl", INSTRUMENTS).ticks())


def test_the_bundled_recording_is_whole() -> None:
    ticks = list(Recording(BUNDLED, INSTRUMENTS).ticks())
    trades = [tick.happening for tick in ticks if isinstance(tick.happening, MarketTrade)]
    assert (len(ticks), len(trades)) == (23_340, 21_313)
    assert {min(t.price for t in trades), max(t.price for t in trades)} == {
        D("61590.30"),
        D("61839.90"),
    }


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(text)
    return path


class TestTrades:
    def test_with_and_without_heading_in_milliseconds_and_microseconds(
        self, tmp_path: Path
    ) -> None:
        rows = "7,60000.1,0.5,1,1,1700000000000,True,True\n8,60000.2,0.4,2,2,1700000000000500,false,true\n"
        for heading in ("", "agg_trade_id,price,quantity,first,last,time,maker,best\n"):
            ticks = list(TradesTable(table(tmp_path, heading + rows), INSTRUMENT).ticks())
            assert [tick.offset_ns for tick in ticks] == [0, 500_000]
            trades = [tick.happening for tick in ticks]
            assert isinstance(trades[0], MarketTrade)
            assert (trades[0].price, trades[0].buyer_is_maker, trades[0].trade_id) == (
                D("60000.1"),
                True,
                7,
            )

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            ("7,60000.1", "out of range"),
            ("7,abc,0.5,1,1,1700000000000,true,true", "price: 'abc'"),
            ("7,1,-0.5,1,1,1700000000000,true,true", "quantity is -0.5"),
            ("7,1,0.5,1,1,1700000000000,perhaps,true", "allowed are true and false"),
            ("7,1,0.5,1,1,1600000000000,true,true", "time goes back"),
        ],
    )
    def test_damage(self, tmp_path: Path, row: str, reason: str) -> None:
        good = "1,60000.1,0.5,1,1,1700000000000,true,true\n"
        with pytest.raises(DamagedData) as caught:
            list(TradesTable(table(tmp_path, good + row + "\n"), INSTRUMENT).ticks())
        assert caught.value.line == 2
        assert reason in caught.value.reason


class TestCandles:
    HEADING = "ts_ms,open,high,low,close,volume\n"

    def ticks(self, tmp_path: Path, rows: str) -> list[MarketTrade]:
        source = CandlesTable(table(tmp_path, self.HEADING + rows), INSTRUMENT, interval_s=60)
        return [
            tick.happening for tick in source.ticks() if isinstance(tick.happening, MarketTrade)
        ]

    @pytest.mark.parametrize(
        ("row", "turns"),
        [
            ("0,100,120,90,110,12", [100, 90, 120, 110]),
            ("0,100,105,70,95,12", [100, 105, 70, 95]),
            ("0,100,110,90,105,12", [100, 90, 110, 105]),
            ("0,100,110,90,95,12", [100, 110, 90, 95]),
        ],
    )
    def test_the_way_meets_all_four_prices_in_the_assumed_order(
        self, tmp_path: Path, row: str, turns: list[int]
    ) -> None:
        trades = self.ticks(tmp_path, row)
        prices = [trade.price for trade in trades]
        assert prices[::4] == turns
        assert (min(prices), max(prices)) == (min(turns), max(turns))
        assert sum(trade.quantity for trade in trades) == D("0.923") * 13
        times = [trade.time_ns for trade in trades]
        assert times == sorted(times)
        assert times[-1] < 60 * 10**9

    def test_the_aggressor_follows_the_direction(self, tmp_path: Path) -> None:
        trades = self.ticks(tmp_path, "0,100,120,90,110,12")
        for before, after in pairwise(trades):
            if after.price != before.price:
                assert after.buyer_is_maker == (after.price < before.price)

    def test_a_candle_without_volume_trades_nothing(self, tmp_path: Path) -> None:
        assert self.ticks(tmp_path, "0,100,100,100,100,0") == []

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            ("60000,100,90,80,85,1", "do not hold"),
            ("60000,100,110,90,0,1", "close is 0"),
            ("60000,100,110,90,100,-1", "volume is -1"),
            ("0,100,110,90,100,1", "time goes back"),
            ("60000,100,110", "shorter"),
        ],
    )
    def test_damage(self, tmp_path: Path, row: str, reason: str) -> None:
        with pytest.raises(DamagedData) as caught:
            self.ticks(tmp_path, "0,100,110,90,100,1\n" + row + "\n")
        assert caught.value.line == 3
        assert reason in caught.value.reason
