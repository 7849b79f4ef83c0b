"""The control endpoint, and the process as a whole."""

import asyncio
import gzip
import signal
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from .conftest import SYMBOL, OpenPaper, Paper

ROOT = Path(__file__).parents[3]
RECORDING = ROOT / "recordings" / "btcusdt_usdm_20240808.jsonl.gz"


async def test_the_books_are_the_exchanges_own(paper: Paper) -> None:
    await paper.order("BUY", "0.01", newClientOrderId="x")
    await paper.order("BUY", "0.01", newClientOrderId="x")  # the first is closed: it counts twice
    await paper.order("SELL", "0.01", "61000", newClientOrderId="y", reduceOnly="true")
    books = (await paper.control("books")).json["accounts"]["paper"]
    assert books["counts"] == {
        "orders": 3,
        "open_orders": 1,
        "fills": 2,
        "buys": 2,
        "sells": 0,
        "duplicates": 1,
    }
    assert books["positions"][SYMBOL]["quantity"] == "0.02"
    (open_order,) = books["open_orders"]
    assert open_order == open_order | {
        "clientOrderId": "y",
        "status": "NEW",
        "side": "SELL",
        "price": "61000.00",
        "origQty": "0.010",
        "executedQty": "0.000",
        "reduceOnly": True,
    }
    assert books["wallet"] == "9999.399999"
    assert (books["deposit"], books["fees"], books["funding"]) == ("10000", "0.600001", "0")


async def test_the_market_is_started_paused_and_stopped(open_paper: OpenPaper) -> None:
    paper = await open_paper(
        market={"start": "when_told", "source": {"kind": "generator", "trades_per_s": 500}}
    )

    async def state() -> Any:
        return (await paper.control("status")).json["market"]

    assert (await state())["state"] == "held"
    # An exchange always has a price, also before the market moves.
    assert (await paper.request("GET", "/fapi/v1/ticker/bookTicker?symbol=BTCUSDT")).status == 200
    await paper.control("market", {"action": "start"})
    await asyncio.sleep(0.2)
    await paper.control("market", {"action": "pause"})
    await asyncio.sleep(0.05)
    paused = await state()
    assert (paused["state"], paused["ticks"] > 10) == ("paused", True)
    await asyncio.sleep(0.2)
    assert await state() == paused
    await paper.control("market", {"action": "start"})
    await asyncio.sleep(0.2)
    assert (await state())["ticks"] > paused["ticks"]
    await paper.control("market", {"action": "stop"})
    await asyncio.sleep(0.05)
    assert (await state()) == await state() | {"state": "stopped", "ended": True}
    assert (await paper.request("GET", "/fapi/v1/ping")).status == 200


async def test_the_market_can_wait_for_its_first_subscriber(open_paper: OpenPaper) -> None:
    paper = await open_paper(
        market={"start": "on_subscriber", "source": {"kind": "generator", "trades_per_s": 500}}
    )
    key = await paper.listen_key()
    async with paper.http.ws_connect(f"{paper.url}/ws/{key}"):
        await asyncio.sleep(0.1)
        assert (await paper.control("status")).json["market"]["state"] == "held"
        async with paper.http.ws_connect(f"{paper.url}/ws/btcusdt@trade") as socket:
            assert orjson.loads((await socket.receive()).data)["t"] == 1


async def test_the_exchange_outlives_its_market(open_paper: OpenPaper) -> None:
    source = {"kind": "generator", "trades_per_s": 1000, "duration_s": 0.1}
    paper = await open_paper(market={"source": source})
    async with asyncio.timeout(5):
        while not (await paper.control("status")).json["market"]["ended"]:
            await asyncio.sleep(0.02)
    assert (await paper.control("status")).json["market"]["state"] == "ended"
    assert (await paper.order("BUY", "0.01")).status == 200


async def test_faults_are_set_by_name_or_one_by_one(paper: Paper) -> None:
    answer = await paper.control("faults", {"preset": "mild"})
    assert answer.json["lost_answer"] > 0
    answer = await paper.control("faults", {"query_lag_ms": 50})
    assert (answer.json["query_lag_ms"], answer.json["lost_answer"]) == (50, 0)
    assert (await paper.control("faults")).json == answer.json


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("faults", {"preset": "wild"}, "allowed: none, mild, rough"),
        ("faults", {"lost_answer": 2}, "less than or equal to 1"),
        ("faults", {"surprise": 1}, "surprise"),
        ("market", {"action": "rewind"}, "allowed: start, pause, stop"),
        ("market", [], "allowed: start, pause, stop"),
    ],
)
async def test_bad_wishes_are_refused_with_what_is_allowed(
    paper: Paper, path: str, body: Any, text: str
) -> None:
    answer = await paper.control(path, body)
    assert answer.status == 400
    assert text in answer.json["error"]


async def test_streams_are_broken_on_demand(paper: Paper) -> None:
    key = await paper.listen_key()
    async with paper.http.ws_connect(f"{paper.url}/ws/{key}") as socket:
        assert (await paper.control("expire_listen_keys", {})).json == {"expired": 1}
        assert orjson.loads((await socket.receive()).data)["e"] == "listenKeyExpired"
        assert (await paper.control("disconnect", {})).json == {"disconnected": 1}
        assert (await socket.receive()).type is not aiohttp.WSMsgType.TEXT


async def process(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.paper_exchange",
        *arguments,
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'libs' / 'common'}:{ROOT}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def test_a_damaged_recording_is_refused_with_line_and_reason(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.jsonl.gz"
    lines = gzip.decompress(RECORDING.read_bytes()).splitlines(keepends=True)
    damaged.write_bytes(gzip.compress(b"".join([*lines[:500], lines[500][:60] + b"\n"])))
    config = tmp_path / "config.yaml"
    config.write_text(f"market: {{source: {{kind: recording, path: {damaged}}}}}\n")
    running = await process("--config", str(config))
    output, _ = await running.communicate()
    assert running.returncode == 2
    assert b"line 501: not JSON" in output
    assert b"market.source.path" in output


async def test_the_process_replays_the_bundled_recording(tmp_path: Path) -> None:
    config, ready = tmp_path / "config.yaml", tmp_path / "ready.json"
    config.write_text(
        "market:\n"
        "  source: {kind: recording, path: recordings/btcusdt_usdm_20240808.jsonl.gz}\n"
        "  speed: 2000\n"
        "  start: on_subscriber\n"
    )
    running = await process("--config", str(config), "--ready-file", str(ready))
    try:
        async with asyncio.timeout(20):
            while not ready.exists():
                await asyncio.sleep(0.05)
        ports = orjson.loads(ready.read_bytes())["ports"]
        async with aiohttp.ClientSession() as http:
            url = f"http://127.0.0.1:{ports['plain']}/ws/btcusdt@trade"
            trades = []
            async with http.ws_connect(url) as socket, asyncio.timeout(20):
                while len(trades) < 21_313:
                    trades.append(orjson.loads((await socket.receive()).data))
            control = f"http://127.0.0.1:{ports['control']}/control/status"
            async with asyncio.timeout(5):
                while True:
                    async with http.get(control) as answer:
                        status = orjson.loads(await answer.read())
                    if status["market"]["ended"]:
                        break
                    await asyncio.sleep(0.05)
    finally:
        running.send_signal(signal.SIGTERM)
        await running.communicate()
    assert running.returncode == 0
    assert not ready.exists()
    assert status["last_price"] == {"BTCUSDT": "61659.8"}
    assert status["market"]["ticks"] == 23_340
    assert [trades[0]["t"], trades[-1]["t"]] == [5266583935, 5266605247]
    assert all(one["E"] <= two["E"] for one, two in pairwise(trades))


async def test_candles_reach_back_before_the_market_began(open_paper: OpenPaper) -> None:
    history = {"path": ROOT / "recordings" / "btcusdt_perp_1m_20250603.csv.gz", "rescale": True}
    paper = await open_paper(market={"start": "when_told", "history": history})
    answer = await paper.request("GET", "/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=100")
    candles = answer.json
    assert len(candles) == 100
    now_ms = paper.clock.now_ns() // 1_000_000
    assert candles[-1][0] <= now_ms < candles[-1][0] + 60_000
    best = (await paper.request("GET", "/fapi/v1/ticker/bookTicker?symbol=BTCUSDT")).json
    assert abs(float(candles[-1][4]) - float(best["bidPrice"])) < 1


@pytest.mark.parametrize(
    ("config", "key", "reason"),
    [
        ("listen: {certificate: none.pem, key: none.key}", "listen.certificate", "No such file"),
        ("listen: {host: 192.0.2.1}", "listen", "a free address"),
        ("listen: {certificate: none.pem}", "listen", "both, or neither"),
        ("market: {source: {kind: generator, symbol: DOGEUSDT}}", "", "DOGEUSDT is not listed"),
        ("market: {speed: 0}", "market.speed", "greater than 0"),
        ("market: {sped: 1}", "market.sped", "speed"),
        ("symbols: [{tick_size: -1}]", "symbols", "greater than 0"),
        ("accounts: [{}, {name: two}]", "", "api keys repeat"),
    ],
)
async def test_a_bad_configuration_is_refused_with_key_and_reason(
    tmp_path: Path, config: str, key: str, reason: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(config)
    running = await process("--config", str(path))
    output, _ = await running.communicate()
    assert running.returncode == 2, output
    assert key in output.decode()
    assert reason in output.decode()


async def test_a_liquidation_takes_back_the_orders_and_closes_the_position(paper: Paper) -> None:
    await paper.order("BUY", "0.03", newClientOrderId="x")
    await paper.order("BUY", "0.01", "59000", newClientOrderId="y")
    body = {"account": "paper", "symbol": SYMBOL, "kind": "LIQUIDATION", "fraction": "0.5"}
    answer = await paper.control("force_close", body)
    assert answer.json == {"events": 4, "position": "0.015", "open_orders": 0}
    books = (await paper.control("books")).json["accounts"]["paper"]
    forced = books["orders"][-1]
    assert forced["clientOrderId"].startswith("autoclose-")
    assert (forced["status"], forced["side"]) == ("FILLED", "SELL")
    assert books["orders"][1]["status"] == "CANCELED"
    rest = await paper.control("force_close", {"account": "paper", "symbol": SYMBOL})
    assert rest.json["position"] == "0"


async def test_self_trade_prevention_and_a_mass_cancel(paper: Paper) -> None:
    for number in range(3):
        await paper.order("BUY", "0.01", "59000", newClientOrderId=f"y{number}")
    where = {"account": "paper", "symbol": SYMBOL}
    answer = await paper.control("expire_in_match", {**where, "client_order_id": "y1"})
    assert answer.json["open_orders"] == 2
    again = await paper.control("expire_in_match", {**where, "client_order_id": "y1"})
    assert (again.status, again.json) == (400, {"error": "ORDER_UNKNOWN; allowed: an open order"})
    assert (await paper.control("cancel_all", where)).json["open_orders"] == 0
    books = (await paper.control("books")).json["accounts"]["paper"]
    assert [order["status"] for order in books["orders"]] == [
        "CANCELED",
        "EXPIRED_IN_MATCH",
        "CANCELED",
    ]


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("cancel_all", {"account": "paper", "symbol": "DOGEUSDT"}, "symbol 'DOGEUSDT'; allowed"),
        ("cancel_all", {"account": "nobody", "symbol": SYMBOL}, "account 'nobody'; allowed"),
        ("force_close", {"account": "paper", "symbol": SYMBOL, "kind": "SPITE"}, "kind"),
        ("force_close", {"account": "paper", "symbol": SYMBOL, "quantity": "-1"}, "quantity"),
        (
            "force_close",
            {"account": "paper", "symbol": SYMBOL, "quantity": "1", "fraction": "1"},
            "one of both",
        ),
        ("expire_in_match", {"account": "paper", "symbol": SYMBOL}, "client_order_id"),
    ],
)
async def test_what_cannot_be_done_is_refused(
    paper: Paper, path: str, body: dict[str, str], said: str
) -> None:
    answer = await paper.control(path, body)
    assert answer.status == 400
    assert said in answer.json["error"]
