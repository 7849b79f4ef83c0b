"""Downloading from the paper exchange through ccxt, and from an archive over HTTP."""

import asyncio
import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal as D
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from click.testing import Result
from typer.testing import CliRunner

from opensqt.backtest.data.download import archive as archive_module
from opensqt.backtest.data.download import pages as pages_module
from opensqt.backtest.data.download.pages import HEADINGS, Asked, Pages, open_exchange
from opensqt.backtest.data.download.part import Part
from opensqt.backtest.data.download.wanted import DownloadError, Wanted, WantedError
from opensqt.backtest.data.reading import read_tape
from opensqt.cli.app import app
from opensqt.core.exchange.market import MarketTrade, Quote
from opensqt.core.exchange.ticks import Tick
from opensqt.core.instrument import Instrument
from opensqt.core.numbers import plain
from opensqt.runtime.clock import SystemClock
from opensqt.runtime.tasks import BackgroundTasks
from services.paper_exchange.app import PaperExchange
from services.paper_exchange.config import PaperExchangeConfig
from services.paper_exchange.venue import Settlement

RECORDINGS = Path(__file__).parents[3] / "recordings"
TRADES = 950  # the paper exchange keeps a thousand
PAGE = 300
START = "2025-05-01"
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


class World:
    """A paper exchange with a past: candles, trades and settlements."""

    def __init__(self, exchange: PaperExchange) -> None:
        self.exchange = exchange
        self.url = f"http://127.0.0.1:{exchange.ports['plain']}"
        self.now_ms = exchange.venue.clock.now_ns() // 10**6
        exchange.venue.play(
            Tick(
                offset_ns=0,
                symbol="BTCUSDT",
                happening=Quote(
                    bid=D("99999.9"),
                    bid_quantity=D(1),
                    ask=D(100_000),
                    ask_quantity=D(1),
                    time_ns=self.now_ms * 10**6,
                ),
            )
        )
        for number in range(TRADES):
            trade = MarketTrade(
                price=D(100_000) + D(number % 7) / 10,
                quantity=D(1 + number % 5) / 1000,
                buyer_is_maker=number % 2 == 0,
                time_ns=exchange.venue.clock.now_ns(),
                trade_id=number + 1,
            )
            exchange.venue.play(Tick(offset_ns=0, symbol="BTCUSDT", happening=trade))
        for hours, rate in ((16, "0.0001"), (8, "-0.02"), (0, "0.00001234")):
            exchange.venue.settlements.append(
                Settlement(
                    symbol="BTCUSDT",
                    rate=D(rate),
                    mark_price=D(100_000),
                    time_ms=self.now_ms - hours * 3_600_000,
                )
            )

    def asked(self, wanted: Wanted) -> Asked:
        return Asked(
            symbol="BTCUSDT",
            wanted=wanted,
            start_ms=self.now_ms - (60_000 if wanted is Wanted.TRADES else 48 * 3_600_000),
            end_ms=self.now_ms + 60_000,
        )


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(pages_module, "PAGE", PAGE)
    config = PaperExchangeConfig.model_validate(
        {
            "market": {
                "start": "when_told",
                "history": {"path": str(RECORDINGS / "btcusdt_perp_1m_202505.csv.gz")},
            }
        }
    )
    exchange = PaperExchange(config, clock=SystemClock())
    crashes: list[BaseException] = []
    async with BackgroundTasks(on_crash=crashes.append) as tasks:
        await exchange.start(tasks)
        try:
            yield World(exchange)
        finally:
            await exchange.stop()
    assert not crashes


async def fetched(world: World, wanted: Wanted, folder: Path) -> list[str]:
    path = folder / f"{wanted}.csv"
    async with open_exchange("binanceusdm", world.url) as pages:
        with Part(path, HEADINGS[wanted]) as part:
            await pages.fetch(world.asked(wanted), part, lambda _reached: None)
    heading, *rows = part.path.read_text().splitlines()
    assert heading == HEADINGS[wanted]
    return rows


async def test_candles_in_pages_to_the_last_digit(world: World, tmp_path: Path) -> None:
    candles = world.exchange.venue.tapes["BTCUSDT"].candles["1m"]
    before = list(candles.all)
    rows = await fetched(world, Wanted.CANDLES, tmp_path)
    # The exchange keeps so many candles: when a minute ends meanwhile, the oldest one goes.
    oldest_ms = candles.all[0].open_ms
    closed = [c for c in before if oldest_ms <= c.open_ms <= world.now_ms - 60_000]
    assert len(closed) > 1_400
    got = [[D(cell) for cell in row.split(",")] for row in rows]
    assert [row for row in got if oldest_ms <= row[0] <= closed[-1].open_ms] == [
        [c.open_ms, c.open, c.high, c.low, c.close, c.volume] for c in closed
    ]


def exact(row: str) -> list[str]:
    """The cells, numbers without needless zeros."""
    time_ms, price, quantity, maker, number = row.split(",")
    return [time_ms, plain(D(price)), plain(D(quantity)), maker, number]


async def test_trades_in_pages_though_many_are_of_one_millisecond(
    world: World, tmp_path: Path
) -> None:
    rows = await fetched(world, Wanted.TRADES, tmp_path)
    played = world.exchange.venue.tapes["BTCUSDT"].trades
    assert [exact(row) for row in rows] == [
        [
            str(trade.time_ms),
            plain(trade.price),
            plain(trade.quantity),
            "true" if trade.buyer_is_maker else "false",
            str(trade.trade_id),
        ]
        for trade in played
    ]
    assert len(rows) == TRADES


async def test_settlements(world: World, tmp_path: Path) -> None:
    rows = await fetched(world, Wanted.FUNDING, tmp_path)
    assert [D(row.split(",")[1]) for row in rows] == [D("0.0001"), D("-0.02"), D("0.00001234")]


class StoppedError(Exception):
    """What ends a download in the middle, such as the user."""


@pytest.mark.parametrize("wanted", [Wanted.CANDLES, Wanted.TRADES])
async def test_an_interrupted_download_goes_on_where_it_was(
    world: World, tmp_path: Path, wanted: Wanted
) -> None:
    def interrupt(_reached: int) -> None:
        raise StoppedError

    whole = await fetched(world, wanted, tmp_path / "whole")
    path = tmp_path / "cut" / f"{wanted}.csv"
    async with open_exchange("binanceusdm", world.url) as pages:
        with pytest.raises(StoppedError), Part(path, HEADINGS[wanted]) as part:
            await pages.fetch(world.asked(wanted), part, interrupt)
    kept = part.path.read_text().splitlines()
    assert len(kept) - 1 == PAGE < len(whole)
    with part.path.open("a") as file:
        file.write(whole[len(kept) - 1][:9])  # the power failed in the middle of a row
    assert (await fetched(world, wanted, tmp_path / "cut"))[: len(whole)] == whole


async def test_an_unknown_symbol_names_some_that_are_known(world: World, tmp_path: Path) -> None:
    asked = Asked(symbol="DOGEUSDT", wanted=Wanted.FUNDING, start_ms=0, end_ms=1)
    async with open_exchange("binanceusdm", world.url) as pages:
        with (
            Part(tmp_path / "x.csv", "x") as part,
            pytest.raises(WantedError, match="lists no DOGEUSDT; it lists BTCUSDT"),
        ):
            await pages.fetch(asked, part, lambda _reached: None)


async def test_an_exchange_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setattr(pages_module, "BACKOFF_S_MAX", 0.01)
    with pytest.raises(DownloadError, match="no answer after 6 attempts") as caught:
        async with open_exchange("binanceusdm", f"http://127.0.0.1:{unused_tcp_port}", backoff_s=0):
            pass
    assert caught.value.unreachable


async def test_more_at_one_moment_than_a_page_holds_is_an_error_and_no_loop(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an exchange that cannot count on from an id."""

    async def page(*_: object) -> list[tuple[int, str]]:
        return [(world.now_ms, f"{world.now_ms},1,1,true,{number}") for number in range(PAGE)]

    monkeypatch.setattr(Pages, "_page", page)
    monkeypatch.setattr(Pages, "_id_to_follow", lambda *_: None)
    async with open_exchange("binanceusdm", world.url) as pages:
        with (
            Part(tmp_path / "x.csv", "x") as part,
            pytest.raises(DownloadError, match="cannot be paged through"),
        ):
            await pages.fetch(world.asked(Wanted.TRADES), part, lambda _reached: None)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["data", "download", *words])


async def test_the_command_writes_what_a_backtest_reads(world: World, tmp_path: Path) -> None:
    words = ["BTCUSDT", "--from", "2025-01-01", "--to", "2100-01-01", "--url", world.url]
    kinds = [word for kind in ("candles", "funding") for word in ("--kind", kind)]
    answer = await asyncio.to_thread(run, *words, *kinds, "--out", str(tmp_path), "--json")
    assert answer.exit_code == 0, answer.output
    names = [Path(name).name for name in json.loads(answer.stdout)["files"]]
    assert names == [
        "BTCUSDT_1m_20250101_21000101.parquet",
        "BTCUSDT_funding_20250101_21000101.parquet",
    ]
    assert names_in(tmp_path) == names
    tape = read_tape(tmp_path, INSTRUMENT)
    assert len(tape.trades) > 13 * 1_400
    assert tape.fundings.interval_minutes.tolist() == [480, 480]
    again = await asyncio.to_thread(run, *words, *kinds, "--out", str(tmp_path))
    assert again.exit_code == 0


def names_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


Fault = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]


def status(code: int, **headers: str) -> Fault:
    async def answer(_request: web.Request, _body: bytes) -> web.StreamResponse:
        return web.Response(
            status=code, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    return answer


async def cut_short(request: web.Request, body: bytes) -> web.StreamResponse:
    """The connection ends before all that was announced has come."""
    answer = web.StreamResponse(headers={"Content-Length": str(len(body))})
    await answer.prepare(request)
    await answer.write(body[: len(body) // 2])
    assert request.transport is not None
    request.transport.close()
    return answer


async def half(_request: web.Request, body: bytes) -> web.StreamResponse:
    """Half of it, as if it were all."""
    return web.Response(body=body[: len(body) // 2])


class ArchiveHost:
    """Files by their path, each with a checksum; `faults` come before them."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.faults: dict[str, list[Fault]] = {}
        """By path, how the next requests for it fail."""

    def add(self, path: str, table: str, *, checksum: str | None = None) -> None:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(path.rpartition("/")[2].replace(".zip", ".csv"), table)
        body = packed.getvalue()
        digest = checksum or hashlib.sha256(body).hexdigest()
        self.files[path] = body
        self.files[f"{path}.CHECKSUM"] = f"{digest}  {path}\n".encode()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.lstrip("/")
        self.asked.append(path)
        if self.faults.get(path):
            return await self.faults[path].pop(0)(request, self.files[path])
        if path not in self.files:
            return web.Response(status=404)
        return web.Response(body=self.files[path])


@pytest.fixture
async def archive() -> AsyncIterator[tuple[ArchiveHost, str]]:
    host = ArchiveHost()
    application = web.Application()
    application.router.add_get("/{path:.*}", host.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    yield host, f"http://127.0.0.1:{port}"
    await runner.cleanup()


DAY_MS = 86_400_000
MAY_MS = 1_746_057_600_000


def day_of_candles(day: int) -> str:
    """Two candles, with the heading that the archive has."""
    rows = "".join(
        f"{MAY_MS + day * DAY_MS + i * 60_000},100,101,99,100,5,0,0,0,0,0,0\n" for i in range(2)
    )
    return (
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
        "taker_buy_quote_volume,ignore\n" + rows
    )


async def test_archives_by_month_and_by_day(
    archive: tuple[ArchiveHost, str], tmp_path: Path
) -> None:
    host, url = archive
    folder = "klines/BTCUSDT/1m/BTCUSDT-1m"
    host.add(f"monthly/{folder}-2025-05.zip", day_of_candles(0))
    for day in range(2):
        host.add(f"daily/{folder}-2025-06-0{day + 1}.zip", day_of_candles(31 + day))
    host.add(
        "monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2025-05.zip",
        f"calc_time,funding_interval_hours,last_funding_rate\n{MAY_MS},8,0.0001\n",
    )
    host.faults[f"daily/{folder}-2025-06-01.zip"] = [status(503)]
    words = ["BTCUSDT", "--archive", "--url", url, "--from", START, "--out", str(tmp_path)]
    answer = await asyncio.to_thread(run, *words, "--to", "2025-06-03", "--json")
    assert answer.exit_code == 1
    assert json.loads(answer.stdout)["missing"] == ["BTCUSDT-fundingRate-2025-06.zip"]
    assert names_in(tmp_path) == [
        "BTCUSDT-1m-2025-05.zip",
        "BTCUSDT-1m-2025-06-01.zip",
        "BTCUSDT-1m-2025-06-02.zip",
        "BTCUSDT-fundingRate-2025-05.zip",
    ]
    tape = read_tape(tmp_path, INSTRUMENT, candle_s=60)
    assert (len(tape.trades), len(tape.fundings)) == (6 * 13, 1)

    host.asked.clear()
    await asyncio.to_thread(run, *words, "--to", "2025-06-01")
    assert host.asked == [], "what is there is not got again"


async def test_a_month_that_is_not_there_yet_is_got_by_days(
    archive: tuple[ArchiveHost, str], tmp_path: Path
) -> None:
    host, url = archive
    for day in range(31):
        name = f"BTCUSDT-aggTrades-2025-05-{day + 1:02}.zip"
        row = f"{day},100,1,1,1,{MAY_MS + day * DAY_MS},true\n"
        host.add(f"daily/aggTrades/BTCUSDT/{name}", row)
    words = ["BTCUSDT", "--archive", "--url", url, "--kind", "trades", "--out", str(tmp_path)]
    answer = await asyncio.to_thread(run, *words, "--from", START, "--to", "2025-06-01")
    assert answer.exit_code == 0, answer.output
    assert len(read_tape(tmp_path, INSTRUMENT).trades) == 31


ONE_DAY = "daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-05-01.zip"


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts without waiting between them."""
    monkeypatch.setattr(archive_module.Archive.__init__, "__kwdefaults__", {"backoff_s": 0})


async def one_day(url: str, folder: Path) -> Result:
    words = ["BTCUSDT", "--archive", "--url", url, "--kind", "candles", "--out", str(folder)]
    return await asyncio.to_thread(run, *words, "--from", START, "--to", "2025-05-02")


@pytest.mark.parametrize(
    "faults",
    [
        [status(429, Retry_After="0"), status(429)],
        [status(500), status(502), status(503), status(504)],
        [cut_short, cut_short],
        [status(408)],
    ],
)
@pytest.mark.parametrize("of", ["", ".CHECKSUM"])
@pytest.mark.usefixtures("at_once")
async def test_what_passes_is_asked_for_again(
    archive: tuple[ArchiveHost, str],
    tmp_path: Path,
    faults: list[Fault],
    of: str,
) -> None:
    host, url = archive
    host.add(ONE_DAY, day_of_candles(0))
    host.faults[ONE_DAY + of] = list(faults)
    answer = await one_day(url, tmp_path)
    assert answer.exit_code == 0, answer.output
    assert host.asked.count(ONE_DAY + of) == len(faults) + 1
    assert names_in(tmp_path) == ["BTCUSDT-1m-2025-05-01.zip"]
    assert (tmp_path / "BTCUSDT-1m-2025-05-01.zip").read_bytes() == host.files[ONE_DAY]


@pytest.mark.parametrize(
    ("faults", "code", "said"),
    [
        ([status(503)] * 9, 3, "no answer after 5 attempts: 503"),
        ([cut_short] * 9, 3, "no answer after 5 attempts"),
        ([status(403)] * 9, 1, "refused with 403 Forbidden"),
        ([half], 1, "but the archive's is "),
    ],
)
@pytest.mark.usefixtures("at_once")
async def test_what_does_not_pass_leaves_nothing_and_is_got_by_the_same_command_later(
    archive: tuple[ArchiveHost, str],
    tmp_path: Path,
    faults: list[Fault],
    code: int,
    said: str,
) -> None:
    host, url = archive
    host.add(ONE_DAY, day_of_candles(0))
    host.faults[ONE_DAY] = list(faults)
    answer = await one_day(url, tmp_path)
    assert answer.exit_code == code, answer.output
    assert said in answer.stderr
    assert "give the same command again to go on" in answer.stderr
    assert names_in(tmp_path) == []
    host.faults.clear()
    assert (await one_day(url, tmp_path)).exit_code == 0


@pytest.mark.parametrize("checksum", [b"", b" \n", None])
async def test_a_file_whose_checksum_is_missing_is_not_kept(
    archive: tuple[ArchiveHost, str], tmp_path: Path, checksum: bytes | None
) -> None:
    host, url = archive
    host.add(ONE_DAY, day_of_candles(0))
    if checksum is None:
        del host.files[f"{ONE_DAY}.CHECKSUM"]
    else:
        host.files[f"{ONE_DAY}.CHECKSUM"] = checksum
    answer = await one_day(url, tmp_path)
    assert answer.exit_code == 1
    assert "but the archive's is none" in answer.stderr
    assert names_in(tmp_path) == []


async def test_a_download_that_is_stopped_in_a_file_leaves_none_of_it(
    archive: tuple[ArchiveHost, str], tmp_path: Path
) -> None:
    host, url = archive
    stalled = asyncio.Event()

    async def stall(request: web.Request, body: bytes) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": str(len(body))})
        await answer.prepare(request)
        await answer.write(body[:9])
        stalled.set()
        await asyncio.sleep(60)
        return answer

    second = ONE_DAY.replace("-01.zip", "-02.zip")
    for day, path in enumerate((ONE_DAY, second)):
        host.add(path, day_of_candles(day))
    host.faults[second] = [stall]
    async with aiohttp.ClientSession() as session:
        getting = asyncio.create_task(
            archive_module.Archive(session, url).fetch(
                "BTCUSDT",
                Wanted.CANDLES,
                start_ns=MAY_MS * 10**6,
                end_ns=(MAY_MS + 2 * DAY_MS) * 10**6,
                interval="1m",
                folder=tmp_path,
                progress=lambda _name: None,
            )
        )
        await stalled.wait()
        getting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await getting
    assert names_in(tmp_path) == ["BTCUSDT-1m-2025-05-01.zip"]


async def test_a_file_that_does_not_fit_its_checksum_is_not_kept(
    archive: tuple[ArchiveHost, str], tmp_path: Path
) -> None:
    host, url = archive
    path = "daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-05-01.zip"
    host.add(path, day_of_candles(0), checksum="0" * 64)
    words = ["BTCUSDT", "--archive", "--url", url, "--kind", "candles", "--out", str(tmp_path)]
    answer = await asyncio.to_thread(run, *words, "--from", START, "--to", "2025-05-02")
    assert answer.exit_code == 1
    assert "its checksum is" in answer.stderr
    assert names_in(tmp_path) == []
