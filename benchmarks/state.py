"""Slot transitions per second over gRPC, against raw commits on the same PostgreSQL.

One round of a bot is two calls and two commits: ReserveOrders takes its slots from FREE to PENDING,
RecordResults brings them back (as never placed), so that the book stays as it is. The floor commits
one row per transaction with psycopg, over as many connections as there are bots.
"""

import argparse
import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from statistics import median
from typing import Any

import psycopg
from google.protobuf.timestamp_pb2 import Timestamp

from benchmarks import report
from benchmarks.opensqt_stack import start_opensqt
from benchmarks.stage import Stage, open_stage
from opensqt.market_maker.v1 import (
    actions_pb2,
    resources_pb2,
    state_pb2,
    state_service_pb2,
    state_service_pb2_grpc,
)
from opensqt.runtime.config_models import PeerConfig, TlsConfig
from opensqt.runtime.grpc_channel import open_channel

ROUNDS = 3
BOTS = 8
BATCH = 20
ANCHOR, INTERVAL = 60_000, 10

Round = Callable[[int], Awaitable[None]]
"""Does one round of the bot with this number."""


async def run(options: argparse.Namespace) -> dict[str, Any]:
    async with open_stage() as stage, raw_commits(stage) as commit, state_service(stage) as stubs:
        bots = [Bot(stubs, f"bench-{number}") for number in range(BOTS)]
        for bot in bots:
            await bot.register()
        contenders: dict[str, tuple[str, Round, int, int]] = {}
        for count in (1, BOTS):
            contenders[f"raw_{count}"] = (f"raw commits, {count} at once (floor)", commit, count, 1)
        for count, batch in itertools.product((1, BOTS), (1, BATCH)):

            async def one_round(number: int, batch: int = batch) -> None:
                await bots[number].round(batch)

            title = f"{count} bot{'s' * (count > 1)}, {batch} order{'s' * (batch > 1)} a batch"
            contenders[f"state_{count}_{batch}"] = (title, one_round, count, batch)
        rates: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(ROUNDS):
            for name, (_, one, count, _) in contenders.items():
                rates[name].append(await rounds_per_second(one, count, options.seconds / 2))
        return compare(contenders, rates)


async def rounds_per_second(one: Round, count: int, seconds: float) -> float:
    """How many rounds `count` bots do per second together."""
    done, ends = 0, time.perf_counter() + seconds

    async def work(number: int) -> None:
        nonlocal done
        while time.perf_counter() < ends:
            await one(number)
            done += 1

    started = time.perf_counter()
    await asyncio.gather(*(work(number) for number in range(count)))
    return done / (time.perf_counter() - started)


@asynccontextmanager
async def raw_commits(stage: Stage) -> AsyncIterator[Round]:
    """The floor: one row written, one commit."""
    dsn = await stage.postgres.add_database("bare")
    connections = [await psycopg.AsyncConnection.connect(dsn, autocommit=True) for _ in range(BOTS)]
    await connections[0].execute("CREATE TABLE slot (id int PRIMARY KEY, order_id text, n bigint)")
    for number in range(BOTS):
        await connections[0].execute("INSERT INTO slot VALUES (%s, '', 0)", (number,))

    async def commit(number: int) -> None:
        await connections[number].execute("UPDATE slot SET n = n + 1 WHERE id = %s", (number,))

    try:
        yield commit
    finally:
        for connection in connections:
            await connection.close()


@asynccontextmanager
async def state_service(stage: Stage) -> AsyncIterator[dict[str, Any]]:
    """OpenSQT's state service, called as strategy and execution call it."""
    started = await start_opensqt(stage, stage.port(), services=("state",))
    peer = PeerConfig(target=started.settings.address("state"))
    channels = {
        identity: open_channel(
            peer, identity="state", tls=TlsConfig.model_validate(stage.tls(identity))
        )
        for identity in ("strategy", "execution", "market_data")
    }
    try:
        yield {
            identity: state_service_pb2_grpc.StateServiceStub(channel)
            for identity, channel in channels.items()
        }
    finally:
        for channel in channels.values():
            await channel.close()


class Bot:
    """One grid, and the calls that move its slots."""

    def __init__(self, stubs: dict[str, Any], bot_id: str) -> None:
        self._strategy, self._execution = stubs["strategy"], stubs["execution"]
        self._market_data = stubs["market_data"]
        self._bot_id = bot_id
        self._epoch = 0
        self._revision = 0

    async def register(self) -> None:
        identity = state_pb2.GridIdentity(
            bot_id=self._bot_id,
            account="bench",
            symbol="BTCUSDT",
            direction=state_pb2.GRID_DIRECTION_LONG,
            anchor=decimal(ANCHOR),
            interval=decimal(INTERVAL),
            quote="USDT",
        )
        answer = await self._strategy.RegisterGrid(
            state_service_pb2.RegisterGridRequest(request_id=self._bot_id, identity=identity)
        )
        self._epoch = answer.grid.identity.epoch
        confirmed = await self._market_data.ConfirmGrid(
            state_service_pb2.ConfirmGridRequest(bot_id=self._bot_id, epoch=self._epoch)
        )
        self._revision = confirmed.revision

    async def round(self, count: int) -> None:
        """Reserve so many slots, then record that their orders never came to be."""
        now = Timestamp()
        now.GetCurrentTime()
        deadline = Timestamp(seconds=now.seconds + 5)
        batch = actions_pb2.ActionBatch(
            batch_id=f"{self._bot_id}:{self._epoch}:{self._revision}",
            bot_id=self._bot_id,
            epoch=self._epoch,
            state_revision=self._revision,
            actions=[actions_pb2.Action(place=place(level)) for level in range(count)],
            price_time=now,
        )
        reserved = await self._execution.ReserveOrders(
            state_service_pb2.ReserveOrdersRequest(batch=batch, deadline=deadline)
        )
        results = [
            state_service_pb2.PlacementResult(
                client_oid=order.client_oid,
                status=resources_pb2.ORDER_STATUS_NOT_PLACED,
                end_reason=resources_pb2.END_REASON_NEVER_ARRIVED,
            )
            for order in reserved.to_place
        ]
        recorded = await self._execution.RecordResults(
            state_service_pb2.RecordResultsRequest(bot_id=self._bot_id, results=results)
        )
        self._revision = recorded.revision


def place(level: int) -> actions_pb2.PlaceAction:
    price = ANCHOR - level * INTERVAL
    return actions_pb2.PlaceAction(
        slot_price=decimal(price),
        side=resources_pb2.SIDE_BUY,
        purpose=resources_pb2.ORDER_PURPOSE_OPEN,
        price=decimal(price),
        quantity=resources_pb2.Decimal(value="0.001"),
        post_only=True,
        exit_price=decimal(price + INTERVAL),
    )


def decimal(value: int) -> resources_pb2.Decimal:
    return resources_pb2.Decimal(value=str(value))


def compare(
    contenders: dict[str, tuple[str, Round, int, int]], rates: dict[str, list[float]]
) -> dict[str, Any]:
    """Print the table; the same as data."""
    result: dict[str, Any] = {}
    rows = []
    for name, (title, _, count, batch) in contenders.items():
        raw = name.startswith("raw")
        # A round of a bot is two commits, and two transitions of each of its slots.
        commits = median(rates[name]) * (1 if raw else 2)
        transitions = commits * batch
        floor = median(rates[f"raw_{count}"])
        result[name] = {
            "commits_per_s": commits,
            "transitions_per_s": transitions,
            "commits_ratio": report.ratio(commits, floor),
            "transitions_ratio": report.ratio(transitions, floor),
        }
        rows.append(
            (
                title,
                *(report.times(report.ratio(rate, floor)) for rate in (commits, transitions)),
                *(report.number(rate, 0) for rate in (commits, transitions)),
                report.number(1000 * count / commits),
            )
        )
    header = ("state", "commits", "transitions", "commits/s", "transitions/s", "ms a call")
    print(report.table("slot transitions over gRPC, mTLS", header, rows))
    return result
