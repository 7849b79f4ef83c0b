"""Markets from files as columns: which forms are read, what goes beside, in which order."""

import gzip
import io
import zipfile
from decimal import Decimal as D
from pathlib import Path

import pytest

from opensqt.adapters.replay.recording import Recording
from opensqt.adapters.replay.source import DamagedData
from opensqt.backtest.data.reading import read_tape
from opensqt.backtest.tape import MARK_UNIT, RATE_UNIT, Tape
from opensqt.core.exchange.market import MarketTrade, Quote
from opensqt.core.exchange.ticks import MarkPrice
from tests.unit.backtest.reading_world import (
    HEADING,
    RECORDINGS,
    START_MS,
    candle,
    instrument,
    notes,
    prices,
    write,
)

MS = 10**6
AGG = "7,100.1,0.5,1,1,{0},True\n8,100.2,0.25,2,3,{1},false\n"
TRADES = "7,100.1,0.5,50.05,{0},true\n8,100.2,0.25,25.05,{1},False\n"


def in_order(tape: Tape) -> list[tuple[int, str]]:
    """Everything that happened, as time and kind, in the order of the rows."""
    tables = {
        "trade": tape.trades,
        "quote": tape.quotes,
        "mark": tape.marks,
        "funding": tape.fundings,
    }
    rows = [
        (int(row), int(time), kind)
        for kind, table in tables.items()
        for row, time in zip(table.row, table.time_ns, strict=True)
    ]
    assert sorted(row for row, _, _ in rows) == list(range(len(rows)))
    return [(time, kind) for _, time, kind in sorted(rows)]


class TestForms:
    @pytest.mark.parametrize(
        "text",
        [
            AGG,
            "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"
            + AGG,
            AGG.replace("True", "True,True").replace("false", "false,True"),
            TRADES,
            "id,price,qty,quote_qty,time,is_buyer_maker\n" + TRADES,
            TRADES.replace("true", "true,true").replace("False", "False,true"),
        ],
        ids=["agg", "agg heading", "agg spot", "trades", "trades heading", "trades spot"],
    )
    @pytest.mark.parametrize("unit", [1, 1000], ids=["ms", "us"])
    def test_trades_of_the_archives(self, tmp_path: Path, text: str, unit: int) -> None:
        text = text.format(START_MS * unit, (START_MS + 5) * unit)
        tape = read_tape(write(tmp_path, "x.csv", text), instrument(), strict=True)
        assert prices(tape) == [D("100.1"), D("100.2")]
        assert tape.trades.time_ns.tolist() == [START_MS * MS, (START_MS + 5) * MS]
        assert tape.trades.buyer_is_maker.tolist() == [True, False]
        assert [int(q) * tape.quantity_unit for q in tape.trades.quantity] == [D("0.5"), D("0.25")]
        assert tape.candle_s is None

    def test_klines_of_the_archives_are_the_same_candles(self, tmp_path: Path) -> None:
        ours = write(tmp_path, "a/x.csv", HEADING + candle(0) + candle(1))
        twelve = "".join(
            f"{START_MS + i * 60_000},100,101,99,100.5,13,{START_MS + i * 60_000 + 59_999},1,2,3,4,0\n"
            for i in range(2)
        )
        heading = (
            "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
            "taker_buy_volume,taker_buy_quote_volume,ignore\n"
        )
        expected = read_tape(ours, instrument())
        for text in (twelve, heading + twelve):
            tape = read_tape(write(tmp_path, "b/x.csv", text), instrument())
            assert tape.trades == expected.trades
            assert tape.candle_s == 60

    def test_gzip_and_zip(self, tmp_path: Path) -> None:
        text = (HEADING + candle(0) + candle(1)).encode()
        plain = read_tape(write(tmp_path, "x.csv", text.decode()), instrument())
        (tmp_path / "y.csv.gz").write_bytes(gzip.compress(text))
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("z.csv", text)
        (tmp_path / "z.zip").write_bytes(packed.getvalue())
        for name in ("y.csv.gz", "z.zip"):
            assert read_tape(tmp_path / name, instrument()).trades == plain.trades

    def test_numbers_with_exponents_and_many_zeros_are_exact(self, tmp_path: Path) -> None:
        text = HEADING + candle(0, "1.000000000e2,1.01E+2,99.00,1005e-1,0.13") + candle(1)
        tape = read_tape(write(tmp_path, "x.csv", text), instrument(), strict=True)
        assert prices(tape)[::4][:4] == [D(100), D(99), D(101), D("100.5")]
        assert tape.trades.quantity[0] == 10

    def test_quantities_finer_than_the_step_are_kept(self, tmp_path: Path) -> None:
        text = f"7,100.1,0.00084,1,1,{START_MS},true\n8,100.1,2,1,1,{START_MS},true\n"
        tape = read_tape(write(tmp_path, "x.csv", text), instrument(), strict=True)
        assert tape.quantity_unit == D("0.00001")
        assert tape.trades.quantity.tolist() == [84, 200_000]

    @pytest.mark.parametrize(
        ("name", "text", "reason"),
        [
            ("x.csv", "hello,world\n1,2\n", "begins no table that is known"),
            ("x.csv", "1,2,3\n", "begins no table that is known"),
            ("x.csv", "", "is empty"),
            ("x.csv", HEADING, "there are no candles"),
            ("x.txt", "", "is no data file"),
            ("x.zip", "no zip", "cannot be read"),
            ("x.csv.gz", "no gzip", "cannot be read"),
            ("x.parquet", "no parquet", "cannot be read"),
            ("x.csv", f"ts_ms,funding_rate\n{START_MS},0.1\n", "is a table of funding"),
        ],
    )
    def test_what_is_no_market(self, tmp_path: Path, name: str, text: str, reason: str) -> None:
        path = write(tmp_path, name, text)
        with pytest.raises(DamagedData, match=reason):
            read_tape(path, instrument())


class TestRecordings:
    def test_a_recording_reads_what_the_paper_exchange_plays(self) -> None:
        path = RECORDINGS / "btcusdt_usdm_20240808.jsonl.gz"
        rules = instrument()
        tape = read_tape(path, rules)
        ticks = list(Recording(path, {"BTCUSDT": rules}).ticks())
        order = in_order(tape)
        kinds = {MarketTrade: "trade", Quote: "quote", MarkPrice: "mark"}
        assert [kind for _, kind in order] == [kinds[type(tick.happening)] for tick in ticks]
        assert [time - order[0][0] for time, _ in order] == [tick.offset_ns for tick in ticks]
        trades = [t.happening for t in ticks if isinstance(t.happening, MarketTrade)]
        quotes = [t.happening for t in ticks if isinstance(t.happening, Quote)]
        assert prices(tape) == [trade.price for trade in trades]
        assert tape.trades.buyer_is_maker.tolist() == [t.buyer_is_maker for t in trades]
        assert [int(b) * tape.tick for b in tape.quotes.bid] == [q.bid for q in quotes]
        assert [int(a) * tape.tick for a in tape.quotes.ask] == [q.ask for q in quotes]
        unit = tape.quantity_unit
        assert [int(q) * unit for q in tape.quotes.ask_quantity] == [q.ask_quantity for q in quotes]
        assert [int(q) * unit for q in tape.trades.quantity] == [t.quantity for t in trades]

    def test_trades_only(self) -> None:
        path = RECORDINGS / "btcusdt_usdm_20240808.jsonl.gz"
        tape = read_tape(path, instrument(), trades_only=True)
        assert (len(tape.trades), len(tape.quotes)) == (21_313, 0)
        assert tape.trades.row.tolist() == list(range(21_313))

    def test_a_symbol_that_is_not_in_it(self) -> None:
        path = RECORDINGS / "btcusdt_usdm_20240808.jsonl.gz"
        with pytest.raises(DamagedData, match="nothing of ETHUSDT; symbols: BTCUSDT"):
            read_tape(path, instrument("ETHUSDT"))

    def test_mark_prices(self, tmp_path: Path) -> None:
        trade = '{"data":{"e":"trade","s":"BTCUSDT","p":"60000.1","q":"0.5","m":true}}'
        mark = '{"data":{"e":"markPriceUpdate","s":"BTCUSDT","p":"60001.12345678","r":"","T":9}}'
        at = 17 * 10**16
        path = write(tmp_path, "x.jsonl", f"{at}5 {mark}\n{at}5 {trade}\n{at}6 {mark}\n")
        tape = read_tape(path, instrument(), strict=True)
        assert in_order(tape) == [
            (int(f"{at}{last}"), what) for last, what in ((5, "mark"), (5, "trade"), (6, "mark"))
        ]
        assert int(tape.marks.price[0]) * MARK_UNIT == D("60001.12345678")


class TestBeside:
    def funding(self, folder: Path, rows: str, name: str = "btcusdt_funding.csv") -> None:
        write(folder, name, "ts_ms,funding_rate,interval_hours\n" + rows)

    def test_funding_lies_beside_the_market_and_comes_before_it(self, tmp_path: Path) -> None:
        hour = START_MS - START_MS % 3_600_000
        rows = "".join(candle(i, start_ms=hour) for i in range(3))
        path = write(tmp_path, "btcusdt_1m.csv", HEADING + rows)
        self.funding(
            tmp_path, f"{hour - 3_600_000},0.0001,1\n{hour},-1.5e-05,1\n{hour + 60_007},0.02,8\n"
        )
        tape = read_tape(path, instrument(), strict=True)
        assert [int(rate) * RATE_UNIT for rate in tape.fundings.rate] == [D("-0.000015"), D("0.02")]
        assert tape.fundings.interval_minutes.tolist() == [60, 480]
        order = in_order(tape)
        assert order[0] == (hour * MS, "funding")
        assert order == sorted(order, key=lambda event: event[0])
        assert (
            order.index(((hour + 60_007) * MS, "funding")) == 15
        )  # after the candle's first trade

    def test_of_another_symbol_it_is_not_taken(self, tmp_path: Path) -> None:
        path = write(tmp_path, "btcusdt_1m.csv", HEADING + candle(0) + candle(1))
        self.funding(tmp_path, f"{START_MS},0.0001,1\n", name="ethusdt_funding.csv")
        tape = read_tape(path, instrument())
        assert not len(tape.fundings)
        assert tape.notes[-1].kind == "no_funding"

    def test_the_archives_funding(self, tmp_path: Path) -> None:
        path = write(tmp_path, "BTCUSDT-1m-2023-11-14.csv", HEADING + candle(0) + candle(1))
        write(
            tmp_path,
            "BTCUSDT-fundingRate-2023-11.csv",
            f"calc_time,funding_interval_hours,last_funding_rate\n{START_MS + 3},4,-0.00030000\n",
        )
        tape = read_tape(path, instrument(), strict=True)
        assert tape.fundings.interval_minutes.tolist() == [240]

    def test_mark_candles_as_fine_as_the_market_are_its_mark(self, tmp_path: Path) -> None:
        path = write(tmp_path, "btcusdt_1m.csv", HEADING + candle(0) + candle(1))
        mark = (
            "ts_ms,open,high,low,close\n"
            + candle(0, "100,101,99.12345678,100.5")
            + candle(1, "100,100,100,100")
        )
        write(tmp_path, "btcusdt_mark_1m.csv", mark)
        tape = read_tape(path, instrument(), strict=True)
        assert [int(p) * MARK_UNIT for p in tape.marks.price[:4]] == [
            D(100),
            D("99.12345678"),
            D(101),
            D("100.5"),
        ]
        assert tape.marks.time_ns[:4].tolist() == tape.trades.time_ns[:13:4].tolist()
        assert in_order(tape)[:2] == [(START_MS * MS, "mark"), (START_MS * MS, "trade")]

    def test_coarser_mark_candles_are_not_used(self, tmp_path: Path) -> None:
        path = write(tmp_path, "btcusdt_1m.csv", HEADING + candle(0) + candle(1))
        mark = "ts_ms,open,high,low,close\n" + candle(0, "1,1,1,1") + candle(480, "1,1,1,1")
        write(tmp_path, "btcusdt_mark_8h.csv", mark)
        tape = read_tape(path, instrument(), strict=True)
        assert not len(tape.marks)
        assert notes(tape) == {"coarse_mark": 2}


class TestFolders:
    def test_the_symbol_is_found_by_name(self, tmp_path: Path) -> None:
        write(tmp_path, "BTCUSDT_perp_1m.csv", HEADING + candle(0) + candle(1))
        write(tmp_path, "BTCUSDT_spot_1m.csv", HEADING + candle(5) + candle(6))
        write(tmp_path, "ETHUSDT_perp_1m.csv", HEADING + candle(7) + candle(8))
        write(tmp_path, "BTCUSDT_funding.csv", f"ts_ms,funding_rate\n{START_MS},0.1\n")
        write(tmp_path, "README.md", "BTCUSDT")
        tape = read_tape(tmp_path, instrument())
        assert tape.source == "BTCUSDT_perp_1m.csv"
        assert len(tape.fundings) == 1

    def test_days_are_put_together(self, tmp_path: Path) -> None:
        write(tmp_path, "BTCUSDT-1m-2023-11-15.csv", HEADING + candle(2) + candle(3))
        write(tmp_path, "BTCUSDT-1m-2023-11-14.csv", HEADING + candle(0) + candle(1))
        write(tmp_path, "markPriceKlines/BTCUSDT-1m-2023-11-14.csv", HEADING + candle(9))
        tape = read_tape(tmp_path, instrument())
        whole = write(tmp_path / "x", "y.csv", HEADING + "".join(map(candle, range(4))))
        assert tape.trades == read_tape(whole, instrument()).trades

    def test_days_that_overlap_or_leave_a_gap(self, tmp_path: Path) -> None:
        write(tmp_path, "BTCUSDT-1m-2023-11-14.csv", HEADING + candle(0) + candle(1))
        second = write(tmp_path, "BTCUSDT-1m-2023-11-15.csv", HEADING + candle(1) + candle(2))
        tape = read_tape(tmp_path, instrument())
        assert (len(tape.trades), notes(tape)) == (3 * 13, {"overlap": 1})
        second.write_text(HEADING + candle(4) + candle(5))
        assert notes(read_tape(tmp_path, instrument())) == {"gap": 1}
        with pytest.raises(DamagedData, match="candles are missing"):
            read_tape(tmp_path, instrument(), strict=True)

    def test_several_that_can_be_meant(self, tmp_path: Path) -> None:
        write(tmp_path, "BTCUSDT_perp_1m.csv", HEADING + candle(0))
        write(tmp_path, "BTCUSDT_perp_5m.csv", HEADING + candle(0))
        with pytest.raises(DamagedData, match=r"several .* BTCUSDT_perp_1m.csv, .*; name one"):
            read_tape(tmp_path, instrument())

    def test_none_or_nowhere(self, tmp_path: Path) -> None:
        write(tmp_path, "ETHUSDT_perp_1m.csv", HEADING + candle(0))
        with pytest.raises(DamagedData, match="no market of BTCUSDT; files: ETHUSDT_perp_1m"):
            read_tape(tmp_path, instrument())
        with pytest.raises(DamagedData, match="no such file"):
            read_tape(tmp_path / "nowhere", instrument())


class TestSpan:
    def test_from_and_to(self, tmp_path: Path) -> None:
        path = write(tmp_path, "x.csv", HEADING + "".join(map(candle, range(5))))
        minute = 60_000 * MS
        start_ns = START_MS * MS
        tape = read_tape(
            path, instrument(), start_ns=start_ns + minute, end_ns=start_ns + 3 * minute
        )
        assert len(tape.trades) == 2 * 13
        assert tape.trades.time_ns[0] == start_ns + minute

    def test_nothing_within(self, tmp_path: Path) -> None:
        path = write(tmp_path, "x.csv", HEADING + candle(0) + candle(1))
        with pytest.raises(
            DamagedData, match=r"holds nothing .* 2030-01-01 .* it holds 2023-11-14"
        ):
            read_tape(path, instrument(), start_ns=1_893_456_000 * 10**9)
