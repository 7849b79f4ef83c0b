"""Takes prices as fast as they come, with aiohttp and orjson alone; with NATS on request.

python -m benchmarks.bare.take CONFIG READY
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import nats
import orjson

from benchmarks.bare.hops import venue_ssl

LAST = 1_000_000
"""A bid from here on is the last one of a flood."""
TURN = 200
"""Prices after which the loop gets a turn: frames that are there already do not give it one, and
NATS's writer needs it."""


def note_last(config: dict[str, Any], bid: int, seen: int) -> None:
    """Write down when the last price of a flood was seen, and how many were until then."""
    noted = json.dumps({"at": time.perf_counter(), "seen": seen})
    path = Path(f"{config['notes']}.{bid}")
    path.with_suffix(".new").write_text(noted)
    path.with_suffix(".new").replace(path)


async def main(config: dict[str, Any], ready: Path) -> None:
    bus = await nats.connect(**config["nats"]) if "nats" in config else None
    count = 0
    async with aiohttp.ClientSession() as session:
        url = f"wss://127.0.0.1:{config['venue']}/public/ws"
        async with session.ws_connect(url, ssl=venue_ssl(config)) as socket:
            stream = {"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 1}
            await socket.send_json(stream)
            ready.touch()
            async for frame in socket:
                event = orjson.loads(frame.data)
                if event.get("e") != "bookTicker":
                    continue
                count += 1
                bid = float(event["b"])
                if bus is not None:
                    price = {"s": event["s"], "b": event["b"], "a": event["a"], "T": event["T"]}
                    await bus.publish("bare.price", orjson.dumps(price))
                    if count % TURN == 0:
                        await asyncio.sleep(0)
                if bid >= LAST:
                    note_last(config, int(bid), count)


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])))
