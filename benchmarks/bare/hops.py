"""Four bare processes: ws -> NATS -> NATS -> one gRPC call with one commit -> one signed POST.

python -m benchmarks.bare.hops CONFIG READY    (CONFIG says which of the four)
"""

import asyncio
import hashlib
import hmac
import json
import ssl
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import grpc
import grpc.aio
import nats
import orjson
import psycopg

METHOD = "/bench.Ledger/Commit"
INTERVAL = 10


async def feed(config: dict[str, Any], ready: Path) -> None:
    """market_data, bare: a frame in, a message out."""
    bus = await nats.connect(**config["nats"])
    async with aiohttp.ClientSession() as session:
        url = f"wss://127.0.0.1:{config['venue']}/public/ws"
        async with session.ws_connect(url, ssl=venue_ssl(config)) as socket:
            await socket.send_json(
                {"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 1}
            )
            ready.touch()
            async for frame in socket:
                event = orjson.loads(frame.data)
                if event.get("e") == "bookTicker":
                    price = {"s": event["s"], "b": event["b"], "a": event["a"], "T": event["T"]}
                    price["at"] = [time.time_ns()]
                    await bus.publish("bare.price", orjson.dumps(price))


async def decide(config: dict[str, Any], ready: Path) -> None:
    """strategy, bare: a price in; when it is above every level so far, an action out."""
    bus = await nats.connect(**config["nats"])
    highest = 0

    async def on_price(message: Any) -> None:
        nonlocal highest
        price = orjson.loads(message.data)
        level = int(float(price["b"])) // INTERVAL * INTERVAL
        if level > highest:
            if highest:
                action = {"price": str(level), "side": "BUY", "quantity": "0.001", "slot": level}
                action["at"] = [*price["at"], time.time_ns()]
                await bus.publish("bare.action", orjson.dumps(action))
            highest = level

    await bus.subscribe("bare.price", cb=on_price)
    await bus.flush()
    ready.touch()
    await asyncio.Event().wait()


async def execute(config: dict[str, Any], ready: Path) -> None:
    """execution, bare: an action in, an intent committed, an order out."""
    bus = await nats.connect(**config["nats"])
    tls = config["tls"]
    credentials = grpc.ssl_channel_credentials(
        Path(tls["ca"]).read_bytes(),
        Path(tls["key"]).read_bytes(),
        Path(tls["certificate"]).read_bytes(),
    )
    channel = grpc.aio.secure_channel(f"127.0.0.1:{config['ledger']}", credentials)
    commit: Any = channel.unary_unary(METHOD)
    url = f"https://127.0.0.1:{config['venue']}/fapi/v1/order"
    # As OpenSQT does: a quiet market must not cost the next order a new TLS handshake.
    connector = aiohttp.TCPConnector(ssl=venue_ssl(config), keepalive_timeout=600)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def on_action(message: Any) -> None:
            action = orjson.loads(message.data)
            at = action["at"]
            at.append(time.time_ns())
            action["id"] = f"bare{action['slot']}"
            at.append(time.time_ns())
            at += orjson.loads(await commit(orjson.dumps(action)))
            at.append(time.time_ns())
            body, headers = signed_order(action)
            at.append(time.time_ns())
            # Where the time went; the venue keeps it.
            headers["X-Hops"] = ",".join(map(str, at))
            async with session.post(url, data=body, headers=headers) as answer:
                await answer.read()

        await bus.subscribe("bare.action", cb=on_action)
        await bus.flush()
        ready.touch()
        await asyncio.Event().wait()


async def ledger(config: dict[str, Any], ready: Path) -> None:
    """state, bare: a call in, a committed row."""
    database = await psycopg.AsyncConnection.connect(config["dsn"], autocommit=True)
    await database.execute("CREATE TABLE IF NOT EXISTS intent (id text PRIMARY KEY, action jsonb)")

    async def commit(request: bytes, _: Any) -> bytes:
        called_ns = time.time_ns()
        action = orjson.loads(request)
        await database.execute(
            "INSERT INTO intent VALUES (%s, %s)", (action["id"], request.decode())
        )
        return orjson.dumps([called_ns, time.time_ns()])

    tls = config["tls"]
    server = grpc.aio.server()
    handler: Any = grpc.unary_unary_rpc_method_handler(commit)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("bench.Ledger", {"Commit": handler}),)
    )
    pair = (Path(tls["key"]).read_bytes(), Path(tls["certificate"]).read_bytes())
    credentials = grpc.ssl_server_credentials(
        [pair], Path(tls["ca"]).read_bytes(), require_client_auth=True
    )
    server.add_secure_port(f"127.0.0.1:{config['ledger']}", credentials)
    await server.start()
    ready.touch()
    await server.wait_for_termination()


def signed_order(action: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """A limit order as Binance wants it: body and headers."""
    body = urlencode(
        {
            "symbol": "BTCUSDT",
            "side": action["side"],
            "type": "LIMIT",
            "timeInForce": "GTX",
            "quantity": action["quantity"],
            "price": action["price"],
            "newClientOrderId": action["id"],
            "recvWindow": "5000",
            "timestamp": time.time_ns() // 1_000_000,
        }
    )
    signature = hmac.new(b"secret", body.encode(), hashlib.sha256).hexdigest()
    form = "application/x-www-form-urlencoded"
    return f"{body}&signature={signature}", {"X-MBX-APIKEY": "key", "Content-Type": form}


def venue_ssl(config: dict[str, Any]) -> ssl.SSLContext:
    """TLS to the venue, which the development authority vouches for."""
    return ssl.create_default_context(cafile=config["tls"]["ca"])


ROLES = {"feed": feed, "decide": decide, "execute": execute, "ledger": ledger}

if __name__ == "__main__":
    options = json.loads(Path(sys.argv[1]).read_text())
    asyncio.run(ROLES[options["role"]](options, Path(sys.argv[2])))
