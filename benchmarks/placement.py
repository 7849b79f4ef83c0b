"""What the protocol costs: intent, order, result, against placing the order and nothing else.

Everything is asked one after the other, from one process, as execution asks it: the intent is one
gRPC call with a commit behind it, the order one signed request through the adapter, the result
another call and commit. The floor is that request alone, through the same adapter; a bare signed
POST shows what the adapter itself adds.
"""

import argparse
import hashlib
import hmac
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import aiohttp

from benchmarks import report
from benchmarks.opensqt_stack import start_opensqt
from benchmarks.stage import Stage, open_stage
from benchmarks.tick_to_wire import start_venue
from opensqt.adapters.ccxt import open_binance_usdm
from opensqt.adapters.grpc.position_manager import GrpcPositionManager
from opensqt.core.actions import ActionBatch, Place
from opensqt.core.grid.book import Direction, GridIdentity
from opensqt.core.orders import Order, Purpose, Side
from opensqt.ports import OrderGateway
from opensqt.runtime.clock import SystemClock
from opensqt.runtime.config_models import ExchangeConfig, PeerConfig, TlsConfig
from opensqt.runtime.grpc_channel import open_channel
from opensqt.runtime.metrics import Metrics

WARM_UP = 20
ANCHOR, INTERVAL = Decimal(50_000), Decimal(10)
DEADLINE_NS = 5 * 10**9
ACCOUNT, BOT = "bench", "bench"

Place_ = Callable[[int], Awaitable[None]]
"""Places the order with this number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What placing takes."""

    gateway: OrderGateway
    execution: GrpcPositionManager
    market_data: GrpcPositionManager
    strategy: GrpcPositionManager
    session: aiohttp.ClientSession
    venue_port: int


async def run(options: argparse.Namespace) -> dict[str, Any]:
    async with open_stage() as stage, _parts(stage) as parts:
        protocol = await Protocol.registered(parts)
        contenders: dict[str, tuple[str, Place_]] = {
            "bare": ("bare signed POST", lambda number: bare(parts, number)),
            "floor": ("the adapter's request alone (floor)", lambda n: alone(parts, n)),
            "protocol": ("intent, order, result", protocol.place),
        }
        taken: dict[str, list[float]] = {name: [] for name in contenders}
        # They take turns order by order, so that whatever the machine does, it does to all.
        for number in range(WARM_UP + options.orders):
            for name, (_, place) in contenders.items():
                started = time.perf_counter()
                await place(number)
                if number >= WARM_UP:
                    taken[name].append((time.perf_counter() - started) * 1000)
        titles = {name: title for name, (title, _) in contenders.items()}
        titles |= {name: f"  of which {name}" for name in protocol.stages}
        return compare(titles, taken | protocol.stages)


@asynccontextmanager
async def _parts(stage: Stage) -> AsyncIterator[Parts]:
    port = stage.port()
    await start_venue(stage, {"opensqt": port})
    started = await start_opensqt(stage, port, services=("state",))
    peer = PeerConfig(target=started.settings.address("state"))
    ca = stage.tls("paper_exchange")["ca"]
    config = ExchangeConfig.model_validate(
        {"endpoint": {"port": port, "ca": ca}, "api_key": "bench", "api_secret": "bench"}
    )
    async with AsyncExitStack() as opened:
        managers = {}
        for identity in ("execution", "strategy", "market_data"):
            tls = TlsConfig.model_validate(stage.tls(identity))
            channel = await opened.enter_async_context(
                open_channel(peer, identity="state", tls=tls)
            )
            managers[identity] = GrpcPositionManager(channel)
        yield Parts(
            gateway=await opened.enter_async_context(
                open_binance_usdm(
                    config,
                    account=ACCOUNT,
                    clock=SystemClock(),
                    metrics=Metrics(),
                )
            ),
            session=await opened.enter_async_context(_session(ca)),
            venue_port=port,
            **managers,
        )


@asynccontextmanager
async def _session(ca: str) -> AsyncIterator[aiohttp.ClientSession]:
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = False  # the venue answers under Binance's names; here it is an address
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        yield session


async def bare(parts: Parts, number: int) -> None:
    """Sign and send with nothing but the libraries that do it."""
    now_ms = time.time_ns() // 1_000_000
    query = urlencode(
        {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "quantity": "0.001",
            "price": str(ANCHOR + number * INTERVAL),
            "timeInForce": "GTX",
            "newClientOrderId": f"bare{number}",
            "recvWindow": "5000",
            "timestamp": str(now_ms),
        }
    )
    signature = hmac.new(b"bench", query.encode(), hashlib.sha256).hexdigest()
    url = f"https://127.0.0.1:{parts.venue_port}/fapi/v1/order?{query}&signature={signature}"
    async with parts.session.post(url, headers={"X-MBX-APIKEY": "bench"}) as answer:
        await answer.json()


async def alone(parts: Parts, number: int) -> None:
    """One request through the adapter, of an order that nobody keeps."""
    now_ns = time.time_ns()
    price = ANCHOR + number * INTERVAL
    order = Order(
        client_oid=f"alone{secrets.token_hex(4)}",
        bot_id=BOT,
        symbol="BTCUSDT",
        side=Side.BUY,
        purpose=Purpose.OPEN,
        price=price,
        quantity=Decimal("0.001"),
        slot_price=price,
        cycle=0,
        reduce_only=False,
        post_only=True,
        batch_id="",
        created_ns=now_ns,
        deadline_ns=now_ns + DEADLINE_NS,
        updated_ns=now_ns,
    )
    await parts.gateway.place(order)


class Protocol:
    """The whole of it, on a grid of its own: every order takes the next level."""

    def __init__(self, parts: Parts, epoch: int, revision: int) -> None:
        self._parts = parts
        self._epoch = epoch
        self._revision = revision
        self.stages: dict[str, list[float]] = {"intent": [], "order": [], "result": []}

    @classmethod
    async def registered(cls, parts: Parts) -> "Protocol":
        """Register the grid, as one that has nothing on the exchange."""
        identity = GridIdentity(
            bot_id=BOT,
            account=ACCOUNT,
            symbol="BTCUSDT",
            quote="USDT",
            direction=Direction.LONG,
            anchor=ANCHOR,
            interval=INTERVAL,
            epoch=0,
        )
        book = await parts.strategy.register_grid(identity)
        revision = await parts.market_data.confirm_grid(BOT, epoch=book.identity.epoch)
        return cls(parts, book.identity.epoch, revision)

    async def place(self, number: int) -> None:
        """Commit the intent, send the order, record the answer."""
        price = ANCHOR + number * INTERVAL
        now_ns = time.time_ns()
        action = Place(
            slot_price=price,
            side=Side.BUY,
            purpose=Purpose.OPEN,
            price=price,
            quantity=Decimal("0.001"),
            reduce_only=False,
            post_only=True,
            exit_price=price + INTERVAL,
        )
        batch = ActionBatch(
            bot_id=BOT,
            epoch=self._epoch,
            state_revision=self._revision,
            actions=(action,),
            price_time_ns=now_ns,
        )
        state = self._parts.execution
        times = [time.perf_counter()]
        reservation = await state.reserve(batch, deadline_ns=now_ns + DEADLINE_NS)
        times.append(time.perf_counter())
        (order,) = reservation.to_place
        result = await self._parts.gateway.place(order)
        times.append(time.perf_counter())
        self._revision = await state.record(BOT, (result,))
        times.append(time.perf_counter())
        if number >= WARM_UP:
            for name, (begun, ended) in zip(self.stages, pairwise(times), strict=True):
                self.stages[name].append((ended - begun) * 1000)


def compare(titles: dict[str, str], taken: dict[str, list[float]]) -> dict[str, Any]:
    """Print the table; the same as data."""
    result: dict[str, Any] = {
        name: {
            "orders": len(values),
            "p50_ms": report.percentile(values, 0.5),
            "p99_ms": report.percentile(values, 0.99),
        }
        for name, values in taken.items()
    }
    floor = result["floor"]
    rows = []
    for name, title in titles.items():
        one = result[name]
        for share in ("p50", "p99"):
            one[f"{share}_ratio"] = report.ratio(one[f"{share}_ms"], floor[f"{share}_ms"])
        rows.append(
            (
                title,
                *(report.times(one[f"{share}_ratio"]) for share in ("p50", "p99")),
                *(report.number(one[f"{share}_ms"]) for share in ("p50", "p99")),
                f"{one['orders']}",
            )
        )
    header = ("placing an order", "p50", "p99", "p50 ms", "p99 ms", "orders")
    print(report.table("cost of the placement protocol", header, rows))
    return result
